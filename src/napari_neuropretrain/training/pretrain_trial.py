"""What ``estimate-pretrain`` runs in a process of its own: check, try some steps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import torch
from torch import nn

from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.estimate import PretrainEstimateConfig
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.options.shapes import fit_to_shape
from napari_neuropretrain.config.options.sources import CohortOptions, VideoOptions
from napari_neuropretrain.config.options.views import ViewOptions
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.data.unpacked import UnpackedVolumes
from napari_neuropretrain.methods.batch import Method
from napari_neuropretrain.synthesis.source import VolumeSource
from napari_neuropretrain.training.cohort_source import CohortSource, source_of
from napari_neuropretrain.training.findings import Findings, run_apart
from napari_neuropretrain.training.module import Schedule
from napari_neuropretrain.training.preprocessed import refuse_mixture
from napari_neuropretrain.training.pretrain_cohort import divide_source
from napari_neuropretrain.training.pretrain_module import DrawBatch, PretrainModule
from napari_neuropretrain.training.probe import Probe
from napari_neuropretrain.training.speed import choose_precision
from napari_neuropretrain.training.views import Views
from napari_neuropretrain.tuning.plan import Group, Plan
from napari_neuropretrain.weights.device import find_device
from napari_neuropretrain.weights.initial import check_initial_weights


class PretrainTrial:
    """Find out more and more about a pre-training.

    Parameters
    ----------
    config
        Its settings.
    """

    def __init__(self, config: PretrainEstimateConfig) -> None:
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
        kind: type[Method] = config.method.entry.load()
        with torch.device("meta"):
            kind.check_backbone(config.backbone.entry.load()(config.backbone.options))
        source = self._open() if config.has_source else None
        backbone = self._count(source.shape if source else config.shape)
        self._check_weights(backbone, source.contract if source else None)
        if source is not None:
            classes = self._count_volumes(source, kind)
            if config.probe_seconds:
                module = _module(config, backbone, classes)
                self.findings.tell(device=str(device))
                probe = Probe(config, module, device, precision)
                for changes in probe.steps(self.findings.found):
                    self.findings.tell(**changes)
        self.findings.tell(done=True)

    def _open(self) -> VolumeSource:
        """Open the source; raw scans are counted, and not preprocessed."""
        config, hear = self.config, self.findings.hear
        choice, options = config.source, config.source.options
        if config.cohort == NOTHING:
            if isinstance(options, VideoOptions):  # to decode all takes too long
                options = options.replace(check="first_frame")
            source: VolumeSource = choice.entry.load()(options, hear)
            return source
        cohort = read_cohort(config.cohort)
        if cohort.kind == "preprocessed":
            refuse_mixture(cohort)
            return source_of(cohort, cast(CohortOptions, options), hear)
        self.findings.tell(raw_scans=len(cohort.scans))
        contract = PreprocessingContract(shape=config.shape)
        return CohortSource(cohort, contract, UnpackedVolumes("", 0))

    def _count(self, shape: tuple[int, int, int]) -> Choice:
        """Build the network without its numbers, and count them."""
        config = self.config
        options = fit_to_shape(config.backbone.options, shape)
        backbone = config.backbone.replace(options=options)
        with torch.device("meta"):
            method = _method(config, backbone)
        plan = _plan(method)
        # The head of the backbone has no part in a pre-training.
        count = plan.trainable
        self.findings.tell(shape=shape, parameters=count, trainable=count)
        return backbone

    def _check_weights(
        self, backbone: Choice, contract: PreprocessingContract | None
    ) -> None:
        weights = self.config.initial_weights
        if weights:
            with torch.device("meta"):
                network: nn.Module = backbone.entry.load()(backbone.options)
            notes = check_initial_weights(network, weights, backbone.name, contract)
            self.findings.tell(notes)

    def _count_volumes(self, source: VolumeSource, kind: type[Method]) -> int:
        """Divide the volumes as the training would; return the number of classes."""
        least, hear = kind.smallest_batch, self.findings.hear
        cohort = divide_source(self.config, source, least, hear)
        given = list(cohort.parts.values())
        counts = {part: given.count(part) for part in ("train", "validation")}
        self.findings.tell(scans=counts)
        return cohort.classes


def _method(config: PretrainEstimateConfig, backbone: Choice) -> nn.Module:
    network: nn.Module = backbone.entry.load()(backbone.options)
    method: nn.Module = config.method.entry.load()(config.method.options, network)
    return method


def _plan(method: nn.Module) -> Plan:
    learning = tuple(one for one in method.parameters() if one.requires_grad)
    return Plan(method, [Group("all", learning)])


def _module(
    config: PretrainEstimateConfig, backbone: Choice, classes: int
) -> PretrainModule:
    """Build what would be trained."""
    method, options = _method(config, backbone), config.method.options
    labelled = bool(getattr(options, "label", ""))
    if labelled:
        cast(Method, method).fit_labels(torch.tensor([0.0, 1.0]), classes)
    views = Views(options) if isinstance(options, ViewOptions) else None
    draws = DrawBatch(views, cast(Method, method).views, labelled, config.seed, 1)
    schedule = Schedule(config.learning_rate, config.weight_decay, 1, 1000)
    return PretrainModule(_plan(method), schedule, draws, draws)


def main(settings: Path) -> int:
    """Run the trial of a settings file."""
    trial = PretrainTrial(PretrainEstimateConfig.from_file(settings))
    return run_apart(trial.findings, trial.run)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
