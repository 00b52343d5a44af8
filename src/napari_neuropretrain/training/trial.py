"""What `estimate` runs in a process of its own: build, check, and try some steps."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.estimate import EstimateConfig
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.options.shapes import fit_to_shape
from napari_neuropretrain.data.participants import Cohort, read_cohort
from napari_neuropretrain.preprocessing.derivatives import (
    contract_of,
    read_sidecar,
)
from napari_neuropretrain.training.augmentations import Augmentation
from napari_neuropretrain.training.division import divide_by
from napari_neuropretrain.training.findings import Findings, run_apart
from napari_neuropretrain.training.labelled_cohort import PARTS, read_labels
from napari_neuropretrain.training.leakage import check_leakage
from napari_neuropretrain.training.module import Schedule
from napari_neuropretrain.training.people import describe_people
from napari_neuropretrain.training.preprocessed import refuse_mixture
from napari_neuropretrain.training.probe import Probe
from napari_neuropretrain.training.speed import (
    choose_precision,
    prepare_network,
)
from napari_neuropretrain.training.task import Task
from napari_neuropretrain.training.task_module import TaskModule
from napari_neuropretrain.tuning.plan import Plan
from napari_neuropretrain.weights.device import find_device
from napari_neuropretrain.weights.initial import check_initial_weights


class Trial:
    """Find out more and more about a fine-tuning.

    Parameters
    ----------
    config
        Its settings.
    """

    def __init__(self, config: EstimateConfig) -> None:
        self.config = config
        self.findings = Findings(config.epochs)

    def run(self) -> None:
        """Say what is known after each step.

        Raises
        ------
        NeuropretrainError
            If the settings cannot be trained with.
        """
        config = self.config
        device = find_device(config.device)
        precision = choose_precision(config.precision, device)
        torch.set_num_threads(config.threads)
        given = config.cohort != NOTHING
        cohort = read_cohort(config.cohort) if given else None
        contract = self._contract(cohort)
        backbone = self._count(contract)
        self._check_weights(backbone, contract)
        if cohort is not None:
            task = self._count_scans(cohort)
            if config.probe_seconds:
                module = _module(config, backbone, task)
                probe = Probe(config, module, device, precision)
                self.findings.tell(device=str(device))
                for changes in probe.steps(self.findings.found):
                    self.findings.tell(**changes)
        self.findings.tell(done=True)

    def _contract(self, cohort: Cohort | None) -> PreprocessingContract:
        """Return how the volumes are, or will be, preprocessed."""
        if cohort is None or cohort.kind != "preprocessed":
            return PreprocessingContract(shape=self.config.shape)
        first = cohort.scans[0].path
        return contract_of(first, read_sidecar(first))

    def _count(self, contract: PreprocessingContract) -> Choice:
        """Build the network without its numbers, and count them."""
        config = self.config
        options = fit_to_shape(config.backbone.options, contract.shape)
        backbone = config.backbone.replace(options=options)
        with torch.device("meta"):
            network: nn.Module = backbone.entry.load()(options)
            plan: Plan = config.tuning.entry.load()(network, config.tuning.options)
        # Refuses what cannot be checkpointed.
        prepare_network(network, config.replace(compile=False, channels_last=False))
        self.findings.tell(
            shape=contract.shape, parameters=plan.total, trainable=plan.trainable
        )
        return backbone

    def _check_weights(self, backbone: Choice, contract: PreprocessingContract) -> None:
        source = self.config.initial_weights
        if not source:
            if self.config.tuning.name != "full":
                message = (
                    f"'{self.config.tuning}' without initial weights: what does not "
                    "learn keeps its random weights."
                )
                self.findings.tell((message,))
            return
        with torch.device("meta"):
            network: nn.Module = backbone.entry.load()(backbone.options)
        self.findings.tell(
            check_initial_weights(network, source, backbone.name, contract)
        )

    def _count_scans(self, cohort: Cohort) -> Task:
        """Divide the scans as the training would."""
        config = self.config
        if cohort.kind == "preprocessed":
            refuse_mixture(cohort)
        task: Task = config.task.entry.load()(config.task.options)
        column = config.label or task.options.label
        labels = read_labels(cohort, task, column, self.findings.hear)
        scans = [scan for scan in cohort.scans if scan.key in labels.values]
        parts = divide_by(config, scans, labels.values, task, self.findings.hear)
        listed = [scan for scan in scans if scan.key in parts]
        check_leakage(listed, parts, config, self.findings.hear)
        raw = len(cohort.scans) if cohort.kind != "preprocessed" else 0
        given = list(parts.values())
        counts = {part: given.count(part) for part in PARTS}
        people = describe_people(listed, parts, task, column)
        self.findings.tell(scans=counts, raw_scans=raw, people=people)
        return task


def _module(config: EstimateConfig, backbone: Choice, task: Task) -> TaskModule:
    """Build what would be trained, not compiled."""
    network: nn.Module = backbone.entry.load()(backbone.options)
    plan: Plan = config.tuning.entry.load()(network, config.tuning.options)
    prepare_network(network, config.replace(compile=False))
    schedule = Schedule(config.learning_rate, config.weight_decay, 1, 1000)
    augment = Augmentation(config.seed) if config.augment else None
    return TaskModule(plan, task, schedule, augment, config.channels_last)


def main(settings: Path) -> int:
    """Run the trial of a settings file."""
    trial = Trial(EstimateConfig.from_file(settings))
    return run_apart(trial.findings, trial.run)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
