"""Judge all scans of a derivatives folder: its quality table and its page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.bids import PREPROCESSED_SUFFIX, find_bids_images
from napari_neuropretrain.data.quality import (
    VERDICTS,
    QualityRow,
    read_quality,
    write_quality,
)
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.preprocessing.derivatives import read_sidecar
from napari_neuropretrain.preprocessing.quality_page import write_page
from napari_neuropretrain.preprocessing.quality_rules import RULES
from napari_neuropretrain.preprocessing.quality_verdict import (
    MIN_COHORT,
    judge_cohort,
)
from napari_neuropretrain.preprocessing.scan_task import ScanRecord

Array = NDArray[np.float32]

LIKENESS = "cohort_correlation"
BLOCK = 2
"""Voxels along each edge that are averaged before images are compared."""
READERS = 4


def write_cohort_quality(
    output: Path, records: Sequence[ScanRecord] = ()
) -> dict[str, QualityRow]:
    """Judge what lies in a derivatives folder; write quality.tsv and quality.html.

    Parameters
    ----------
    output
        Derivatives folder.
    records
        What became of the scans just now: the failed ones are rejected. Those that
        failed in an earlier run, on other scans, keep their line.

    Returns
    -------
    dict
        Row by key of the scan, with the decisions of a person.

    Raises
    ------
    CohortError
        If there is a quality table that cannot be read.
    """
    images = _find_derivatives(output)
    numbers = {key: _numbers(image) for key, image in images.items()}
    for key, value in compare_images(images).items():
        numbers[key][LIKENESS] = value
    judged = {
        key: values | {"dice": math.nan} if _keeps_size(images[key]) else values
        for key, values in numbers.items()
    }
    rows = {
        key: _row(key, verdict.word, " ".join(verdict.reasons), numbers[key])
        for key, verdict in judge_cohort(judged).items()
    }
    rows |= {
        record.scan.key: _row(record.scan.key, "reject", _failed(record.reason), {})
        for record in records
        if record.status == "failed"
    }
    for key, row in read_quality(output).items():
        if key not in rows and _failed_before(row):
            rows[key] = row
    write_quality(output, rows)
    final = read_quality(output)
    write_page(output, final)
    return final


def count_verdicts(rows: Iterable[QualityRow]) -> str:
    """Return how many scans to keep, look at and reject.

    Examples
    --------
    >>> count_verdicts([QualityRow("sub-01", "sub-01", None, "look")])
    '0 keep, 1 look, 0 reject'
    """
    counts = Counter(row.final for row in rows)
    return ", ".join(f"{counts[word]} {word}" for word in VERDICTS)


def compare_images(images: Mapping[str, Path]) -> dict[str, float]:
    """Correlate each aligned image with the mean of the others.

    Images are averaged over 2 x 2 x 2 voxels first, and read one after the other, so
    that a large cohort fits into memory. Only those of the commonest shape are used.

    Parameters
    ----------
    images
        Preprocessed images by key.

    Returns
    -------
    dict
        Correlation by key, -1 to 1; empty for fewer than eight images.
    """
    with ThreadPoolExecutor(READERS) as readers:
        coarse = dict(zip(images, readers.map(_coarse, images.values()), strict=True))
    shapes = Counter(one.shape for one in coarse.values() if one is not None)
    shape = max(shapes, key=lambda one: shapes[one], default=())
    usable = {
        key: one
        for key, one in coarse.items()
        if one is not None and one.shape == shape
    }
    if len(usable) < MIN_COHORT:
        return {}
    total = np.sum(list(usable.values()), axis=0, dtype=np.float32)
    return {key: _likeness(one, total - one) for key, one in usable.items()}


def _likeness(image: NDArray[np.float16], others: Array) -> float:
    inside = others != 0
    pair = image[inside].astype(np.float32), others[inside]
    usable = inside.any() and pair[0].std() > 0 and pair[1].std() > 0
    return round(float(np.corrcoef(*pair)[0, 1]), 4) if usable else math.nan


def _coarse(image: Path) -> NDArray[np.float16] | None:
    """Return the means of blocks of voxels; half precision is enough for z-scores."""
    try:
        data = read_volume(image).data
    except ImageError:
        return None
    x, y, z = (edge // BLOCK for edge in data.shape)
    whole = data[: x * BLOCK, : y * BLOCK, : z * BLOCK]
    blocks = whole.reshape(x, BLOCK, y, BLOCK, z, BLOCK)
    return np.asarray(blocks.mean(axis=(1, 3, 5)), dtype=np.float16)


def _find_derivatives(output: Path) -> dict[str, Path]:
    """Return the finished images by key; an image without JSON is half written."""
    found, kind = find_bids_images(output)
    paths = [path for paths in found.values() for path in paths]
    return {
        path.name.removesuffix(PREPROCESSED_SUFFIX): path
        for path in paths
        if kind == "preprocessed" and _quality_of(path) is not None
    }


def _quality_of(image: Path) -> dict[str, Any] | None:
    try:
        quality = read_sidecar(image).get("Quality")
    except ImageError:
        return None
    return quality if isinstance(quality, dict) else None


def _numbers(image: Path) -> dict[str, float]:
    """Return the measures of a scan by name, in the order of the rules."""
    quality = _quality_of(image) or {}
    known = {rule.measure: quality.get(rule.measure) for rule in RULES}
    return {
        name: float(value) if isinstance(value, int | float) else math.nan
        for name, value in known.items()
    }


def _keeps_size(image: Path) -> bool:
    """Tell whether the alignment left the head its size: its Dice says nothing."""
    contract = read_sidecar(image).get("Contract", {})
    return bool(contract.get("registration", {}).get("dof", 9) < 9)


def _row(key: str, verdict: str, reason: str, numbers: dict[str, float]) -> QualityRow:
    participant, _, session = key.partition("_")
    return QualityRow(
        key, participant, session or None, verdict, reason, measures=numbers
    )


def _failed_before(row: QualityRow) -> bool:
    measured = any(math.isfinite(value) for value in row.measures.values())
    return row.verdict == "reject" and not measured


def _failed(reason: str) -> str:
    return f"Could not be preprocessed: {reason}"
