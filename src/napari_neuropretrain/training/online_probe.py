"""What a pre-training has learned so far, read by probes while it runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_neuropretrain.config.trainings import PretrainConfig
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.evaluation.probes import ProbeKind, probe_features
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.synthesis.source import VolumeSource
from napari_neuropretrain.training.batches import ordered_loader
from napari_neuropretrain.training.pretrain_cohort import PretrainCohort
from napari_neuropretrain.training.source_volumes import SourceDataset


@dataclass(frozen=True, eq=False)
class ProbedLabel:
    """A label that is read from the features.

    Parameters
    ----------
    name
        For example ``age``.
    train, validation
        Labels (N,); not a number where there is none.
    classes
        0 for numbers.
    """

    name: str
    train: Tensor
    validation: Tensor
    classes: int


class OnlineProbe:
    """Fit on features of training volumes, judge on those of validation volumes.

    Parameters
    ----------
    kind
        ``linear`` or ``knn``.
    dataset
        The training volumes whose features are read.
    labels
        What is read from them.
    every
        Epochs between two probes.
    batch_size
        Volumes at a time.
    """

    def __init__(
        self,
        kind: ProbeKind,
        dataset: SourceDataset,
        labels: Sequence[ProbedLabel],
        every: int,
        batch_size: int,
    ) -> None:
        self.kind = kind
        self.labels = labels
        self.every = every
        self._loader = ordered_loader(dataset, batch_size)

    def due(self, epoch: int, last: int) -> bool:
        """Whether this epoch, from 0 on, has a probe; the last one always has."""
        return (epoch + 1) % self.every == 0 or epoch + 1 == last or epoch == 0

    @torch.no_grad()
    def read(self, encoder: nn.Module, validation: Tensor) -> dict[str, float]:
        """Return ``probe_<label>_<metric>`` for each label.

        Parameters
        ----------
        encoder
            A backbone, in evaluation mode.
        validation
            Features (N, C) of the first validation volumes.
        """
        backbone: Any = encoder
        device = next(encoder.parameters()).device
        features = torch.cat(
            [backbone.encode(one.to(device)).features.cpu() for one, _ in self._loader]
        ).float()
        found: dict[str, float] = {}
        for label in self.labels:
            judged = probe_features(
                self.kind,
                (features, label.train),
                (validation, label.validation[: len(validation)]),
                label.classes,
            )
            found |= {f"probe_{label.name}_{name}": one for name, one in judged.items()}
        return found


def make_probe(
    config: PretrainConfig, cohort: PretrainCohort, report: Report
) -> OnlineProbe | None:
    """Return the probe that the settings ask for, or None.

    Labels that the source does not have are left out, with a warning where none is
    left.
    """
    if config.probe == "none":
        return None
    train = cohort.dataset("train").first(config.probe_volumes)
    validation = cohort.indices("validation")
    labels = []
    for name in config.probe_labels:
        found = _probed_label(cohort.source, name, train.indices, validation)
        if found is not None:
            labels.append(found)
    if not labels:
        wanted = ", ".join(config.probe_labels)
        report(Progress("warning", f"No probe: the source has no label of {wanted}."))
        return None
    size = max(2, config.batch_size)
    return OnlineProbe(config.probe, train, labels, config.probe_every, size)


def _probed_label(
    source: VolumeSource, name: str, train: Sequence[int], validation: Sequence[int]
) -> ProbedLabel | None:
    try:
        words = source.classes(name)
        seen, held = _values(source, name, train), _values(source, name, validation)
    except CohortError:
        return None
    return ProbedLabel(name, seen, held, len(words) if len(words) > 1 else 0)


def _values(source: VolumeSource, name: str, indices: Sequence[int]) -> Tensor:
    found = [source.label(index, name) for index in indices]
    return torch.tensor([math.nan if one is None else one for one in found])
