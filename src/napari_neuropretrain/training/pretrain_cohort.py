"""Who takes part in a pre-training: volumes, labels where wanted, two parts."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.options.sources import CohortOptions
from napari_neuropretrain.config.trainings import PretrainConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.splits import Part, split_participants
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Failure, Progress, Report
from napari_neuropretrain.synthesis.source import VolumeSource, label_names
from napari_neuropretrain.training.cohort_source import CohortSource, source_of
from napari_neuropretrain.training.division import parts_of_people
from napari_neuropretrain.training.labelled_cohort import MIN_TRAINING
from napari_neuropretrain.training.preprocessed import preprocessed_cohort
from napari_neuropretrain.training.source_labels import source_labels
from napari_neuropretrain.training.source_volumes import KeptVolumes, SourceDataset
from napari_neuropretrain.training.volumes import MEMORY_LIMIT_BYTES


@dataclass(frozen=True, eq=False)
class PretrainCohort:
    """Everything a pre-training looks at.

    Parameters
    ----------
    volumes
        Of the whole source.
    scans
        Who is shown by each volume of the source.
    labels
        By scan key, in their unit; None where the method wants none.
    classes
        How many groups the labels number; 0 where they do not.
    parts
        ``train`` or ``validation`` by scan key; volumes without a label are in none.
    left_out
        Volumes that could not be used from the start.
    """

    volumes: KeptVolumes
    scans: tuple[Scan, ...]
    labels: Mapping[str, float] | None
    classes: int
    parts: Mapping[str, Part]
    left_out: tuple[Failure, ...]

    @property
    def source(self) -> VolumeSource:
        """Where the volumes are from."""
        return self.volumes.source

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Volumes that were left out, from the start or since."""
        return (*self.left_out, *self.volumes.failures.values())

    def indices(self, part: Part) -> list[int]:
        """Return which volumes of the source belong to a part."""
        return [
            index
            for index, scan in enumerate(self.scans)
            if self.parts.get(scan.key) == part
        ]

    def dataset(self, part: Part) -> SourceDataset:
        """Return the volumes of one part with their labels; not a number: none."""
        return SourceDataset(self.volumes, self.indices(part), self.labels_of(part))

    def labels_of(self, part: Part) -> Tensor:
        """Return the labels (N,) of one part, in the order of `dataset`."""
        known = self.labels or {}
        keys = (self.scans[index].key for index in self.indices(part))
        return torch.tensor([known.get(key, math.nan) for key in keys])

    def digest(self) -> str:
        """Return a hash of volumes, labels, parts and preprocessing; not of voxels."""
        known = self.labels or {}
        lines = [
            f"{scan.key} {known.get(scan.key)!r} {self.parts.get(scan.key)}"
            for scan in self.scans
        ]
        contract = self.source.contract
        lines.append(contract.model_dump_json() if contract else str(self.source.shape))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def gather_cohort(
    config: PretrainConfig, smallest_batch: int, report: Report
) -> PretrainCohort:
    """Open the source, preprocess where needed, read labels, and divide.

    Parameters
    ----------
    config
        Source, method and division.
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
    return divide_source(config, open_source(config, report), smallest_batch, report)


def divide_source(
    config: PretrainConfig, source: VolumeSource, smallest_batch: int, report: Report
) -> PretrainCohort:
    """Read the labels of an open source, and divide; no volume is read.

    Parameters
    ----------
    config
        Method and division.
    source
        Where the volumes come from.
    smallest_batch, report
        As for `gather_cohort`.

    Raises
    ------
    CohortError
        If a label is missing or there are too few participants.
    """
    scans, labels, classes = scans_of(source), None, 0
    left_out = source.failures
    options = config.method.options
    if getattr(options, "label", ""):
        known, classes, unlabelled = source_labels(source, options, report)
        left_out = (*left_out, *unlabelled)
        labels = {
            scan.key: one
            for scan, one in zip(scans, known, strict=True)
            if not math.isnan(one)
        }
    used = _without_test(config, scans, report)
    people = len({one.participant for one in used if not labels or one.key in labels})
    if people < MIN_TRAINING + smallest_batch:
        raise CohortError(
            f"Pre-training needs at least {MIN_TRAINING + smallest_batch} "
            f"participants; the source '{config.source.name}' has {people} that can "
            "be used. Add some, or choose another source."
        )
    # Where little can be held back, the validation still compares some volumes.
    fraction = max(config.validation_fraction, smallest_batch / people)
    parts = split_participants(used, labels, fraction, 0.0, config.seed)
    # Some sources keep volumes by themselves.
    keeps = hasattr(config.source.options, "memory_gib")
    volumes = KeptVolumes(source, report, 0 if keeps else MEMORY_LIMIT_BYTES)
    return PretrainCohort(volumes, scans, labels, classes, parts, left_out)


def _without_test(
    config: PretrainConfig, scans: Sequence[Scan], report: Report
) -> list[Scan]:
    """Leave out whoever is to be tested later, by the split file."""
    if config.splits == NOTHING:
        return list(scans)
    part_of = parts_of_people(config.splits, config.fold)
    used = [one for one in scans if part_of.get(one.participant) != "test"]
    message = (
        f"{len(scans) - len(used)} of {len(scans)} scans are left out: their "
        f"participants are the test of '{config.splits}'."
    )
    report(Progress("item_done", message))
    return used


def open_source(config: PretrainConfig, report: Report) -> VolumeSource:
    """Open the chosen source; a raw cohort is preprocessed first."""
    choice, cohort = config.source, Path(config.cohort)
    if cohort == NOTHING:
        source: VolumeSource = choice.entry.load()(choice.options, report)
        return source
    ready = preprocessed_cohort(
        cohort,
        PreprocessingContract(shape=config.shape),
        Path(config.output) / "preprocessed",
        report,
        config.workers,
    )
    return source_of(ready, cast(CohortOptions, choice.options), report)


def scans_of(source: VolumeSource) -> tuple[Scan, ...]:
    """Return who is shown by each volume; a second one of a person is a session."""
    if isinstance(source, CohortSource):
        return source.cohort.scans
    seen: Counter[str] = Counter()
    scans = []
    for index, name in enumerate(source.ids):
        seen[name] += 1
        session = f"ses-{seen[name]}" if seen[name] > 1 else None
        scans.append(Scan(name, session, Path(), _row(source, index)))
    return tuple(scans)


def _row(source: VolumeSource, index: int) -> dict[str, str]:
    """Return the labels of a volume as a table has them."""
    row = {}
    for name in label_names(source):
        number, words = source.label(index, name), source.classes(name)
        if number is not None:
            row[name] = words[int(number)] if words else f"{number:g}"
    return row
