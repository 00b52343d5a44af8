"""The source ``cohort``: preprocessed scans with a table."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.options.sources import CohortOptions
from napari_neuropretrain.data.labels import numeric_labels
from napari_neuropretrain.data.participants import Cohort, Scan, read_cohort
from napari_neuropretrain.data.tables import (
    MISSING_VALUES,
    PARTICIPANT_COLUMNS,
    PATH_COLUMNS,
    SESSION_COLUMNS,
    find_column,
)
from napari_neuropretrain.data.unpacked import FloatArray, UnpackedVolumes
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import CohortError, ImageError
from napari_neuropretrain.preprocessing.derivatives import contract_of, read_sidecar
from napari_neuropretrain.progress import Failure, Progress, Report
from napari_neuropretrain.training.preprocessed import refuse_mixture

Labels: TypeAlias = "tuple[dict[str, float], tuple[str, ...]]"


class CohortSource:
    """Preprocessed scans, read when they are asked for; see `VolumeSource`.

    Parameters
    ----------
    cohort
        Of kind ``"preprocessed"``, without what a person rejected.
    contract
        How all of its scans were preprocessed.
    unpacked
        Keeps what was read.
    """

    def __init__(
        self,
        cohort: Cohort,
        contract: PreprocessingContract,
        unpacked: UnpackedVolumes,
    ) -> None:
        self.cohort = cohort
        self.contract: PreprocessingContract | None = contract
        self.shape = contract.shape
        self.ids = tuple(scan.participant for scan in cohort.scans)
        self.failures = cohort.problems
        self._unpacked = unpacked
        self._labels: dict[str, Labels] = {}

    def __len__(self) -> int:
        return len(self.cohort.scans)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Columns of the table that are no names or paths."""
        others = {*PARTICIPANT_COLUMNS, *SESSION_COLUMNS, *PATH_COLUMNS}
        return tuple(one for one in self.cohort.columns if one.lower() not in others)

    def volume(self, index: int) -> Tensor:
        """Return a preprocessed T1, float32 (1, X, Y, Z).

        Raises
        ------
        ImageError
            If the file is gone or damaged.
        """
        path = self.cohort.scans[index].path
        try:
            image = self._unpacked.get(path, "", lambda: self._read(index))
        except FileNotFoundError:
            raise ImageError(
                f"'{path}' is gone. Preprocess the scan again, and start anew."
            ) from None
        return torch.from_numpy(image)[None]

    def label(self, index: int, name: str) -> float | None:
        """Return the label of a scan from a column of the table.

        Raises
        ------
        CohortError
            If there is no such column, or it is empty.
        """
        return self._column(name)[0].get(self.cohort.scans[index].key)

    def classes(self, name: str) -> tuple[str, ...]:
        """Return the words of a column in alphabetical order, or () for numbers."""
        return self._column(name)[1]

    def _column(self, name: str) -> Labels:
        if name not in self._labels:
            self._labels[name] = read_column(self.cohort, name)
        return self._labels[name]

    def _read(self, index: int) -> FloatArray:
        path = self.cohort.scans[index].path
        image = read_volume(path).data
        if image.shape != self.shape:
            raise ImageError(
                f"'{path}' has {image.shape} voxels, and its JSON says {self.shape}. "
                "Preprocess the scan again."
            )
        return image


def read_column(cohort: Cohort, name: str) -> Labels:
    """Return labels by scan key, and their words.

    A column of numbers gives them as they are, and no words. In a column of words,
    each scan gets the number of its word in alphabetical order, whatever the case of
    its letters.

    Raises
    ------
    CohortError
        If there is no such column, it is empty, or an age is out of bounds.
    """
    column = find_column(cohort.columns, (name.lower(),))
    texts = {scan.key: scan.row.get(column or "", "").lower() for scan in cohort.scans}
    known = {key: text for key, text in texts.items() if text not in MISSING_VALUES}
    if any(_is_number(text) for text in known.values()) or not known:
        return numeric_labels(cohort, name), ()
    words = tuple(sorted(set(known.values())))
    return {key: float(words.index(text)) for key, text in known.items()}, words


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def open_cohort(options: CohortOptions, report: Report) -> CohortSource:
    """Open a folder of preprocessed scans without reading a voxel.

    Raises
    ------
    CohortError
        If there are no preprocessed scans.
    ContractError
        If they were preprocessed in different ways.
    """
    cohort = read_cohort(options.path)
    if cohort.kind != "preprocessed":
        raise CohortError(
            f"'{options.path}' holds raw scans; this source wants preprocessed ones. "
            f"Run: neuropretrain preprocess --input '{options.path}' --output FOLDER, "
            "and give that folder."
        )
    for note in cohort.notes:
        report(Progress("warning", note))
    refuse_mixture(cohort)
    return source_of(cohort, options, report)


def source_of(cohort: Cohort, options: CohortOptions, report: Report) -> CohortSource:
    """Turn a cohort of preprocessed scans into a source.

    Raises
    ------
    CohortError
        If none of them can be used.
    """
    usable, contract, failures = _readable(cohort)
    for failure in failures:
        report(Progress("item_failed", f"{failure.item}: {failure.reason}"))
    problems = (*cohort.problems, *failures)
    kept = Cohort(usable, cohort.root, cohort.kind, problems, cohort.notes)
    return CohortSource(
        kept, contract, UnpackedVolumes(options.cache, options.memory_gib)
    )


def _readable(
    cohort: Cohort,
) -> tuple[tuple[Scan, ...], PreprocessingContract, list[Failure]]:
    """Divide into scans with a sidecar that tells the contract, and the others."""
    usable, failures, contract = [], [], None
    for scan in cohort.scans:
        try:
            contract = contract_of(scan.path, read_sidecar(scan.path))
        except ImageError as error:
            failures.append(Failure(scan.key, str(error)))
            continue
        usable.append(scan)
    if contract is None:
        raise CohortError(
            f"None of the {len(cohort.scans)} scans in '{cohort.root}' can be used: "
            f"{failures[0].item}: {failures[0].reason}"
        )
    return tuple(usable), contract, failures
