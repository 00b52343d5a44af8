"""What a map says about each region of a label image, in both hemispheres."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.region_atlas import open_atlas
from napari_neuropretrain.explanation.region_clusters import Regions

Side = Literal["left", "right"]
COLUMNS = (
    *("region", "name", "side", "voxels", "size_mm3", "mean", "peak"),
    *("x_mm", "y_mm", "z_mm"),
)


@dataclass(frozen=True)
class RegionRow:
    """What a map says about one side of one region.

    Parameters
    ----------
    region
        Number in the label image.
    name
        From the table beside it, else ``"region 7"``.
    side
        By the sign of x, RAS mm.
    voxels
        Of the region that lie in the brain, on the map's grid.
    size_mm3
        The same in cubic millimetres.
    mean, peak
        Mean, and value furthest from 0, in the map's units.
    x_mm, y_mm, z_mm
        Where the peak is.
    """

    region: int
    name: str
    side: Side
    voxels: int
    size_mm3: float
    mean: float
    peak: float
    x_mm: float
    y_mm: float
    z_mm: float


def open_regions(given: str | Path, affine: ArrayLike, shape: Sequence[int]) -> Regions:
    """Read a label image onto a map's grid, nearest label, with names.

    Parameters
    ----------
    given
        A label image in template space, or the name of an atlas; see `open_atlas`.
    affine, shape
        Of the map.

    Raises
    ------
    ConfigError
        If no label lies on the grid, or there is no such atlas.
    ImageError
        If the file cannot be read.
    """
    volume, names = open_atlas(given)
    labels = _nearest(volume, np.asarray(affine), shape)
    if not labels.any():
        raise ConfigError(
            f"regions: '{given}' has no label where the map is. Give a label image in "
            "template space (MNI152)."
        )
    return Regions(labels, names)


def region_rows(
    values: NDArray[Any],
    brain: NDArray[np.bool_],
    affine: ArrayLike,
    labels: NDArray[np.int64],
    names: Mapping[int, str],
) -> list[RegionRow]:
    """Return a row for each side of each region, strongest mean first.

    Parameters
    ----------
    values
        Map (X, Y, Z).
    brain
        Boolean (X, Y, Z); voxels outside do not count.
    affine
        Voxel to RAS mm (4, 4).
    labels
        Numbers of regions (X, Y, Z), 0 for none.
    names
        Of some of them.
    """
    matrix = np.asarray(affine)
    x_mm = _coordinates(matrix, values.shape)[0]
    rows = []
    for number in np.unique(labels[labels > 0]).tolist():
        name = names.get(number, f"region {number}")
        for side, mask in (("left", x_mm < 0), ("right", x_mm > 0)):
            place = mask & brain & (labels == number)
            if place.any():
                rows.append(_row(number, name, side, place, values, matrix))
    return sorted(rows, key=lambda row: -abs(row.mean))


def regions_table(rows: Sequence[RegionRow]) -> str:
    """Return rows as tab-separated text with a header."""
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(vars(row).values() for row in rows)
    return text.getvalue()


def _row(
    number: int,
    name: str,
    side: Any,
    place: NDArray[np.bool_],
    values: NDArray[Any],
    affine: NDArray[Any],
) -> RegionRow:
    inside = np.where(place, np.abs(values), -1.0)
    peak = np.unravel_index(int(inside.argmax()), values.shape)
    x, y, z = (float(one) for one in (affine @ [*peak, 1])[:3].round(1))
    count = int(place.sum())
    voxel_mm3 = abs(float(np.linalg.det(affine[:3, :3])))
    mean = float(f"{float(values[place].mean()):.6g}")
    strongest = float(f"{float(values[peak]):.6g}")
    size = round(count * voxel_mm3, 3)
    return RegionRow(number, name, side, count, size, mean, strongest, x, y, z)


def _coordinates(affine: NDArray[Any], shape: Sequence[int]) -> NDArray[np.float64]:
    """Return RAS mm of each voxel, (3, X, Y, Z)."""
    grid = np.indices(tuple(shape)).reshape(3, -1)
    places: NDArray[np.float64] = affine[:3, :3] @ grid + affine[:3, 3:]
    return places.reshape(3, *shape)


def _nearest(
    volume: Volume, affine: NDArray[Any], shape: Sequence[int]
) -> NDArray[np.int64]:
    """Look the label of each voxel of a grid up, 0 beyond the image."""
    places = _coordinates(affine, shape).reshape(3, -1)
    back = np.linalg.inv(volume.affine)
    index = np.rint(back[:3, :3] @ places + back[:3, 3:]).astype(int)
    edges = np.array(volume.data.shape)[:, np.newaxis]
    inside = ((index >= 0) & (index < edges)).all(axis=0)
    labels = np.zeros(index.shape[1], dtype=np.int64)
    x, y, z = index[:, inside]
    labels[inside] = np.rint(volume.data[x, y, z]).astype(np.int64)
    return labels.reshape(tuple(shape))
