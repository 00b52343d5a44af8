"""Write the maps of groups, and tables of their clusters and regions."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.data.volumes import write_image
from napari_neuropretrain.explanation.group_maps import (
    Gathered,
    GroupMap,
    compare_groups,
)
from napari_neuropretrain.explanation.region_clusters import COLUMNS as CLUSTER
from napari_neuropretrain.explanation.region_clusters import Regions, cluster_rows
from napari_neuropretrain.explanation.regions import find_peaks, strongest_threshold

CLUSTER_COLUMNS = ("map", *CLUSTER, "p")
REGION_COLUMNS = (
    *("map", "region", "name", "side", "voxels", "size_mm3"),
    *("participants", "mean", "se", "t", "p"),
)
LEVEL = 0.05
_TINY = float(np.finfo(np.float32).tiny)


def slug(name: str) -> str:
    """Return a name for files.

    Examples
    --------
    >>> slug("AD - CN"), slug("60-69")
    ('ADlessCN', '6069')
    """
    return re.sub(r"[^\w]", "", name.replace(" - ", "less"))


def write_group_maps(
    folder: Path, method: str, given: Gathered, maps: Sequence[GroupMap]
) -> dict[str, Path]:
    """Write each map with its spread and test as NIfTI, and the mean scan.

    Parameters
    ----------
    folder
        Where to.
    method
        By which the maps were made, for the names of files.
    given, maps
        What `compare_groups` made of what.

    Returns
    -------
    dict
        The maps of effects by name, and ``anatomy`` and ``brain``.
    """
    short, found = method.replace("_", ""), {}
    for one in maps:
        start = f"group-{slug(one.name)}_space-MNI152_desc-{short}"
        kind = "mean" if one.se is not None else "difference"
        parts = {kind: one.effect, "sd": one.sd, "se": one.se, "t": one.t}
        for name, voxels in parts.items():
            if voxels is not None and np.isfinite(voxels).any():
                path = folder / f"{start}{name}_map.nii.gz"
                write_image(path, given.volume(voxels), given.affine)
                if name == kind:
                    found[one.name] = path
        if np.isfinite(one.p).any():
            # 1 outside the brain: nothing is significant there.
            p = given.volume(one.p) + ~given.brain
            path = folder / f"{start}p_map.nii.gz"
            write_image(path, p.astype(np.float32), given.affine)
    start = "group-all_space-MNI152_desc-"
    found["anatomy"] = folder / f"{start}mean_T1w.nii.gz"
    write_image(found["anatomy"], given.anatomy, given.affine)
    found["brain"] = folder / f"{start}brain_mask.nii.gz"
    write_image(found["brain"], given.brain.astype(np.uint8), given.affine)
    return found


def significant(given: Gathered, one: GroupMap) -> NDArray[np.bool_]:
    """Return where p, corrected for all voxels, is at most 0.05 (X, Y, Z)."""
    return given.brain & (given.volume(np.nan_to_num(1 - one.p)) >= 1 - LEVEL - 1e-6)


def group_clusters(
    given: Gathered, one: GroupMap, regions: Regions | None
) -> list[tuple[object, ...]]:
    """Return rows of `CLUSTER_COLUMNS`, strongest first.

    Where p is at most 0.05, corrected; where that is nowhere, the strongest 5 %.
    """
    effect, sure = given.volume(one.effect), significant(given, one)
    if sure.any():
        peaks = find_peaks(np.where(sure, effect, 0), given.affine, _TINY)
    else:
        peaks = find_peaks(
            effect, given.affine, strongest_threshold(effect, given.brain)
        )
    p_map, back = given.volume(one.p), np.linalg.inv(given.affine)
    rows = []
    for peak, row in zip(
        peaks, cluster_rows(peaks, given.affine, regions), strict=True
    ):
        place = back @ [peak.x_mm, peak.y_mm, peak.z_mm, 1.0]
        p = float(p_map[tuple(np.rint(place[:3]).astype(int))])
        shown = f"{p:.4g}" if np.isfinite(one.p).any() else "n/a"
        rows.append((one.name, *row, shown))
    return rows


def group_regions(
    given: Gathered, regions: Regions, permutations: int, first: Sequence[str] = ()
) -> list[tuple[object, ...]]:
    """Return rows of `REGION_COLUMNS`: each person's mean of each side of each region.

    They are compared like the voxels; p is corrected for the number of regions.
    """
    places = list(_places(given, regions))
    if not places:
        return []
    means = np.stack([given.values[:, place].mean(axis=1) for *_, place in places], 1)
    voxel_mm3 = abs(float(np.linalg.det(given.affine[:3, :3])))
    rows = []
    for one in compare_groups(replace(given, values=means), permutations, first):
        for index, (number, side, place) in enumerate(places):
            size = int(place.sum())
            name = regions.names.get(number, f"region {number}")
            start = (one.name, number, name, side, size, round(size * voxel_mm3, 3))
            se = None if one.se is None else one.se[index]
            numbers = (one.effect[index], se, one.t[index], one.p[index])
            people = "/".join(map(str, one.n))
            rows.append((*start, people, *(_number(value) for value in numbers)))
    return rows


def _places(
    given: Gathered, regions: Regions
) -> Iterable[tuple[int, str, NDArray[np.bool_]]]:
    """Yield each side of each region as a mask over the voxels (V,)."""
    labels = regions.labels[given.brain]
    x_mm = given.affine[0, :3] @ np.argwhere(given.brain).T + given.affine[0, 3]
    for number in np.unique(labels[labels > 0]).tolist():
        for side, half in (("left", x_mm < 0), ("right", x_mm > 0)):
            place = (labels == number) & half
            if place.any():
                yield number, side, place


def _number(value: float | None) -> str:
    return "n/a" if value is None or not np.isfinite(value) else f"{value:.6g}"


def write_rows(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> Path:
    """Write a table as tab-separated text."""
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write_text(path, text.getvalue())
    return path
