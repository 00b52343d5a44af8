"""The clusters of a map as a table: where, how large, which sign, which region."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_neuropretrain.explanation.regions import Peak

COLUMNS = ("peak", "x_mm", "y_mm", "z_mm", "size_mm3", "sign", "region")
_REACH_MM = 5.0


class Regions(NamedTuple):
    """A label image on a map's grid.

    Parameters
    ----------
    labels
        Numbers (X, Y, Z), 0 for none.
    names
        Of some of them.
    """

    labels: NDArray[np.int64]
    names: Mapping[int, str]


def cluster_rows(
    peaks: Sequence[Peak], affine: ArrayLike, regions: Regions | None = None
) -> list[tuple[object, ...]]:
    """Return a row of `COLUMNS` for each cluster.

    Parameters
    ----------
    peaks
        As `find_peaks` returns them.
    affine
        Voxel to RAS mm (4, 4) of the map.
    regions
        Names places; without it, or more than 5 mm from any region, it is ``n/a``.
    """
    rows: list[tuple[object, ...]] = []
    for one in peaks:
        place = (one.x_mm, one.y_mm, one.z_mm)
        sign = "positive" if one.value > 0 else "negative"
        name = "n/a" if regions is None else region_at(place, affine, regions)
        rows.append((one.value, *place, one.size_mm3, sign, name))
    return rows


def clusters_table(rows: Sequence[Sequence[object]]) -> str:
    """Return rows as tab-separated text with a header."""
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows)
    return text.getvalue()


def region_at(
    place_mm: tuple[float, float, float], affine: ArrayLike, regions: Regions
) -> str:
    """Name the nearest region and its side.

    Examples
    --------
    >>> labels = np.zeros((3, 3, 3), int)
    >>> labels[0, 1, 1] = 7
    >>> affine = np.array([[2, 0, 0, -2], [0, 2, 0, -2], [0, 0, 2, -2], [0, 0, 0, 1]])
    >>> region_at((-1.0, 0.0, 0.0), affine, Regions(labels, {7: "Hippocampus"}))
    'left Hippocampus'
    """
    matrix: NDArray[Any] = np.asarray(affine, dtype=float)
    found = np.argwhere(regions.labels > 0)
    far = np.linalg.norm(
        found @ matrix[:3, :3].T + matrix[:3, 3] - np.asarray(place_mm), axis=1
    )
    if not far.size or far.min() > _REACH_MM:
        return "n/a"
    number = int(regions.labels[tuple(found[int(far.argmin())])])
    return _sided(regions.names.get(number, f"region {number}"), place_mm[0])


def _sided(name: str, x_mm: float) -> str:
    """Put the side before a name that does not have it."""
    words = set(name.lower().replace("-", " ").replace("_", " ").split())
    if x_mm == 0 or {"left", "right", "lh", "rh", "l", "r"} & words:
        return name
    return f"{'left' if x_mm < 0 else 'right'} {name}"
