"""What ``estimate`` runs in a process of its own: build, check, and try some steps."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import nn

from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.estimate import EstimateConfig
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.data.participants import Cohort, read_cohort
from napari_neuropretrain.preprocessing.derivatives import (
    contract_of,
    read_sidecar,
)
from napari_neuropretrain.training.augmentations import Augmentation
from napari_neuropretrain.training.division import divide_by
from napari_neuropretrain.training.findings import run_apart
from napari_neuropretrain.training.labelled_cohort import PARTS, read_labels
from napari_neuropretrain.training.leakage import check_leakage
from napari_neuropretrain.training.module import Schedule
from napari_neuropretrain.training.people import describe_people
from napari_neuropretrain.training.preprocessed import refuse_mixture
from napari_neuropretrain.training.speed import prepare_network
from napari_neuropretrain.training.task import Task
from napari_neuropretrain.training.task_module import TaskModule
from napari_neuropretrain.training.trial import Trial
from napari_neuropretrain.tuning.plan import Plan


class FinetuneTrial(Trial[EstimateConfig]):
    """Find out more and more about a fine-tuning.

    Parameters
    ----------
    config
        Its settings.
    """

    def __init__(self, config: EstimateConfig) -> None:
        super().__init__(config)
        self._cohort: Cohort | None = None
        self._task: Task = config.task.entry.load()(config.task.options)

    def open(self) -> tuple[tuple[int, int, int], PreprocessingContract | None]:
        """Read who is in the cohort, and how the volumes are, or will be, made."""
        config = self.config
        contract = PreprocessingContract(shape=config.shape)
        if config.cohort != NOTHING:
            self._cohort = read_cohort(config.cohort)
            if self._cohort.kind == "preprocessed":
                first = self._cohort.scans[0].path
                contract = contract_of(first, read_sidecar(first))
        return contract.shape, contract

    def count(self, backbone: Choice) -> tuple[int, int]:
        """Build the network without its numbers; return how many, and that learn."""
        config, plan = self.config, self._plan(backbone)
        # Refuses what cannot be checkpointed.
        prepare_network(
            plan.network, config.replace(compile=False, channels_last=False)
        )
        return plan.total, plan.trainable

    def divide(self) -> bool:
        """Divide the scans as the training would; whether there are any."""
        config, cohort, hear = self.config, self._cohort, self.findings.hear
        if config.tuning.name != "full" and not config.initial_weights:
            message = (
                f"'{config.tuning}' without initial weights: what does not "
                "learn keeps its random weights."
            )
            self.findings.tell((message,))
        if cohort is None:
            return False
        raw = cohort.kind != "preprocessed"
        if not raw:
            refuse_mixture(cohort)
        column = config.label or self._task.options.label
        labels = read_labels(cohort, self._task, column, hear)
        scans = [scan for scan in cohort.scans if scan.key in labels.values]
        parts = divide_by(config, scans, labels.values, self._task, hear)
        listed = [scan for scan in scans if scan.key in parts]
        check_leakage(listed, parts, config, hear)
        given = list(parts.values())
        self.findings.tell(
            scans={part: given.count(part) for part in PARTS},
            raw_scans=len(cohort.scans) if raw else 0,
            people=describe_people(listed, parts, self._task, column),
        )
        return True

    def module(self, backbone: Choice) -> TaskModule:
        """Build what would be trained, not compiled."""
        config, plan = self.config, self._plan(backbone)
        prepare_network(plan.network, config.replace(compile=False))
        schedule = Schedule(config.learning_rate, config.weight_decay, 1, 1000)
        augment = Augmentation(config.seed) if config.augment else None
        return TaskModule(plan, self._task, schedule, augment, config.channels_last)

    def _plan(self, backbone: Choice) -> Plan:
        network: nn.Module = backbone.entry.load()(backbone.options)
        tuning = self.config.tuning
        plan: Plan = tuning.entry.load()(network, tuning.options)
        return plan


def main(settings: Path) -> int:
    """Run the trial of a settings file."""
    trial = FinetuneTrial(EstimateConfig.from_file(settings))
    return run_apart(trial.findings, trial.run)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
