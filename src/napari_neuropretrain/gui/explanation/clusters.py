"""The clusters of a map beyond a threshold. No Qt."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_neuropretrain.data.orientation import from_napari
from napari_neuropretrain.gui.explanation.slices import placement_of
from napari_neuropretrain.gui.scans.overlay import OverlayLook

MOST = 200
"""Clusters that are listed; the strongest."""
COLUMNS = ("peak", "x_mm", "y_mm", "z_mm", "size_mm3", "sign", "region")


@dataclass(frozen=True)
class Cluster:
    """Connected voxels of one sign.

    Parameters
    ----------
    peak
        Value furthest from 0, in the map's unit.
    x_mm, y_mm, z_mm
        Where, as the viewer counts: RAS mm.
    size_mm3
        Volume.
    region
        Name of the region at the peak, or an empty string.
    """

    peak: float
    x_mm: float
    y_mm: float
    z_mm: float
    size_mm3: float
    region: str = ""

    @property
    def sign(self) -> str:
        """Which sign it has."""
        return "positive" if self.peak > 0 else "negative"

    @property
    def place(self) -> tuple[float, float, float]:
        """Where the peak is, (z, y, x) in mm."""
        return self.z_mm, self.y_mm, self.x_mm


def voxels_as_shown(layer: Image) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return voxels (X, Y, Z), and voxel to the viewer's RAS mm (4, 4)."""
    placed = placement_of(layer)
    affine = np.eye(4)
    affine[:3, :3] = placed.matrix[::-1, ::-1]
    affine[:3, 3] = placed.origin[::-1]
    return from_napari(np.asarray(layer.data)), affine


def find_clusters(
    values: NDArray[Any],
    affine: NDArray[np.float64],
    look: OverlayLook,
    least_mm3: float = 0.0,
) -> list[Cluster]:
    """Return the clusters that a look shows, strongest first, at most `MOST`.

    Parameters
    ----------
    values
        Map (X, Y, Z).
    affine
        Voxel to RAS mm (4, 4).
    look
        Its clipping range.
    least_mm3
        Smaller ones are left out.
    """
    from napari_neuropretrain.explanation.regions import find_peaks

    if look.clip_above is not None:
        values = np.where(np.abs(values) > look.clip_above, 0, values)
    # Every voxel is beyond 0; a map is 0 outside the brain.
    threshold = max(look.threshold, float(np.finfo(np.float32).tiny))
    peaks = find_peaks(values, affine, threshold, most=values.size)
    voxel_mm3 = abs(float(np.linalg.det(affine[:3, :3])))
    found = [
        Cluster(one.value, one.x_mm, one.y_mm, one.z_mm, one.voxels * voxel_mm3)
        for one in peaks
    ]
    return [one for one in found if one.size_mm3 >= least_mm3][:MOST]


def clusters_table(clusters: Sequence[Cluster]) -> str:
    """Return clusters as tab-separated text with a header.

    Examples
    --------
    >>> table = clusters_table([Cluster(-0.5, 1.0, 2.0, 3.0, 8.0)])
    >>> table.splitlines()[1].split()
    ['-0.5', '1.0', '2.0', '3.0', '8.0', 'negative', 'n/a']
    """
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(COLUMNS)
    for one in clusters:
        place = one.x_mm, one.y_mm, one.z_mm
        size = round(one.size_mm3, 3)
        table.writerow((one.peak, *place, size, one.sign, one.region or "n/a"))
    return text.getvalue()
