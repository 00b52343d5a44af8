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
from napari_neuropretrain.config.options.sources import CohortOptions, VideoOptions
from napari_neuropretrain.config.options.views import ViewOptions
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.data.unpacked import UnpackedVolumes
from napari_neuropretrain.methods.batch import Method
from napari_neuropretrain.synthesis.source import VolumeSource
from napari_neuropretrain.training.cohort_source import CohortSource, source_of
from napari_neuropretrain.training.findings import run_apart
from napari_neuropretrain.training.module import Schedule
from napari_neuropretrain.training.preprocessed import refuse_mixture
from napari_neuropretrain.training.pretrain_cohort import divide_source
from napari_neuropretrain.training.pretrain_module import DrawBatch, PretrainModule
from napari_neuropretrain.training.trial import Trial
from napari_neuropretrain.training.views import Views
from napari_neuropretrain.tuning.plan import Group, Plan


class PretrainTrial(Trial[PretrainEstimateConfig]):
    """Find out more and more about a pre-training.

    Parameters
    ----------
    config
        Its settings.
    """

    def __init__(self, config: PretrainEstimateConfig) -> None:
        super().__init__(config)
        self._kind: type[Method] = config.method.entry.load()
        self._source: VolumeSource | None = None
        self._classes = 0

    def open(self) -> tuple[tuple[int, int, int], PreprocessingContract | None]:
        """Check the pair of method and backbone, and open the source."""
        backbone = self.config.backbone
        with torch.device("meta"):
            self._kind.check_backbone(backbone.entry.load()(backbone.options))
        if not self.config.has_source:
            return self.config.shape, None
        self._source = self._open_source()
        return self._source.shape, self._source.contract

    def count(self, backbone: Choice) -> tuple[int, int]:
        """Build the method without its numbers, and count them."""
        # The head of the backbone has no part in a pre-training.
        count = _plan(_method(self.config, backbone)).trainable
        return count, count

    def divide(self) -> bool:
        """Divide the volumes as the training would; whether there are any."""
        if self._source is None:
            return False
        least, hear = self._kind.smallest_batch, self.findings.hear
        cohort = divide_source(self.config, self._source, least, hear)
        given = list(cohort.parts.values())
        counts = {part: given.count(part) for part in ("train", "validation")}
        self.findings.tell(scans=counts)
        self._classes = cohort.classes
        return True

    def module(self, backbone: Choice) -> PretrainModule:
        """Build what would be trained."""
        config, options = self.config, self.config.method.options
        method = _method(config, backbone)
        labelled = bool(getattr(options, "label", ""))
        if labelled:
            fitted = torch.tensor([0.0, 1.0])
            cast(Method, method).fit_labels(fitted, self._classes)
        views = Views(options) if isinstance(options, ViewOptions) else None
        count = cast(Method, method).views
        draws = DrawBatch(views, count, labelled, config.seed, 1)
        schedule = Schedule(config.learning_rate, config.weight_decay, 1, 1000)
        return PretrainModule(_plan(method), schedule, draws, draws)

    def _open_source(self) -> VolumeSource:
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


def _method(config: PretrainEstimateConfig, backbone: Choice) -> nn.Module:
    network: nn.Module = backbone.entry.load()(backbone.options)
    method: nn.Module = config.method.entry.load()(config.method.options, network)
    return method


def _plan(method: nn.Module) -> Plan:
    learning = tuple(one for one in method.parameters() if one.requires_grad)
    return Plan(method, [Group("all", learning)])


def main(settings: Path) -> int:
    """Run the trial of a settings file."""
    trial = PretrainTrial(PretrainEstimateConfig.from_file(settings))
    return run_apart(trial.findings, trial.run)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
