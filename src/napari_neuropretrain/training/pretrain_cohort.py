"""Who takes part in a pre-training: scans, labels where wanted, two parts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.trainings import PretrainConfig
from napari_neuropretrain.data.labels import (
    binary_labels,
    missing_labels,
    numeric_labels,
)
from napari_neuropretrain.data.participants import Cohort
from napari_neuropretrain.data.splits import Part, split_participants
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Failure, Progress, Report
from napari_neuropretrain.training.labelled_cohort import MIN_TRAINING
from napari_neuropretrain.training.preprocessed import preprocessed_cohort
from napari_neuropretrain.training.volumes import VolumeDataset, Volumes, load_volumes


@dataclass(frozen=True, eq=False)
class PretrainCohort:
    """Everything a pre-training looks at.

    Parameters
    ----------
    volumes
        Usable scans.
    labels
        By scan key, in their unit; None where the method wants none.
    parts
        ``train`` or ``validation`` by scan key.
    failures
        Scans that were left out.
    """

    volumes: Volumes
    labels: Mapping[str, float] | None
    parts: Mapping[str, Part]
    failures: tuple[Failure, ...]

    def dataset(self, part: Part) -> VolumeDataset:
        """Return the volumes of one part with their labels; not a number: none."""
        pairs = zip(self.volumes.scans, self.volumes.sources, strict=True)
        sources = [source for scan, source in pairs if self.parts[scan.key] == part]
        return VolumeDataset(sources, self.labels_of(part))

    def labels_of(self, part: Part) -> Tensor:
        """Return the labels (N,) of one part, in the order of `dataset`."""
        known = self.labels or {}
        return torch.tensor(
            [
                known.get(scan.key, math.nan)
                for scan in self.volumes.scans
                if self.parts[scan.key] == part
            ]
        )

    def digest(self) -> str:
        """Return a hash of scans, labels, parts and preprocessing; not of voxels."""
        known = self.labels or {}
        lines = [
            f"{scan.key} {known.get(scan.key)!r} {self.parts[scan.key]}"
            for scan in self.volumes.scans
        ]
        lines.append(self.volumes.contract.model_dump_json())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def gather_cohort(
    config: PretrainConfig, smallest_batch: int, report: Report
) -> PretrainCohort:
    """Preprocess where needed, read volumes and labels, and divide.

    Parameters
    ----------
    config
        Cohort, method and division.
    smallest_batch
        Volumes that each part needs at least.
    report
        Hears what happens; may raise `Cancelled`.

    Raises
    ------
    CohortError
        If a label is missing or there are too few participants.
    ContractError
        If the scans were preprocessed in different ways.
    """
    cohort = preprocessed_cohort(
        Path(config.cohort),
        PreprocessingContract(shape=config.shape),
        Path(config.output) / "preprocessed",
        report,
        config.workers,
    )
    labels, unlabelled = _read_labels(cohort, config.method.options, report)
    scans = [one for one in cohort.scans if labels is None or one.key in labels]
    people = len({scan.participant for scan in scans})
    if people < MIN_TRAINING + smallest_batch:
        raise CohortError(
            f"Pre-training needs at least {MIN_TRAINING + smallest_batch} "
            f"participants; '{cohort.root}' has {people} that can be used."
        )
    volumes = load_volumes(scans, report)
    # Where little can be held back, the validation still compares some volumes.
    fraction = max(config.validation_fraction, smallest_batch / people)
    parts = split_participants(list(volumes.scans), labels, fraction, 0.0, config.seed)
    failures = (*cohort.problems, *unlabelled, *volumes.failures)
    return PretrainCohort(volumes, labels, parts, failures)


def _read_labels(
    cohort: Cohort, options: Config, report: Report
) -> tuple[Mapping[str, float] | None, tuple[Failure, ...]]:
    """Return labels by scan key, and the scans that should have had one."""
    column = getattr(options, "label", "")
    if not column:
        return None, ()
    labels: Mapping[str, float]
    if getattr(options, "kind", "regression") == "binary":
        positive, negative = options.positive, options.negative  # type: ignore
        labels = binary_labels(cohort, column, positive, negative)
    else:
        labels = numeric_labels(cohort, column)
    missing = missing_labels(cohort, column, labels)
    empty = tuple(one for one in missing if one.reason.startswith("no value"))
    if others := len(missing) - len(empty):
        message = f"{others} scans belong to neither group and are left out."
        report(Progress("warning", message))
    return labels, empty
