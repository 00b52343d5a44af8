"""Find the brain in a T1-weighted head, or see that the skull is gone already."""

from __future__ import annotations

import functools
import json

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy import ndimage

from napari_neuropretrain.errors import BrainMaskError
from napari_neuropretrain.preprocessing.mask_network import (
    MaskNetwork,
    scale_intensities,
)
from napari_neuropretrain.resources import resource_path

GRID_SHAPE = (64, 80, 80)
"""Voxels of the grid the network sees: 192 mm wide, 240 mm long and high."""
GRID_SPACING_MM = 3.0
TOP_MARGIN_MM = 10.0
"""Air between the top of the head and the top of the grid."""
BRAIN_PROBABILITY = 0.15
"""Voxels above this are brain. The network is cautious at the rim (at 0.5 its masks
are 15 % too small on real scans); the value was chosen on eight IXI scans."""
PLAUSIBLE_ML = (500.0, 2500.0)
"""Brain volumes outside this range are errors, not brains."""
STRIPPED_EMPTY_SHARE = 0.4
"""A stripped scan has at least this share of voxels at exactly the background."""


def segment_brain(
    data: NDArray[np.float32], affine: NDArray[np.float64], threads: int = 1
) -> NDArray[np.bool_]:
    """Mark the brain: ventricles, cerebellum, brain stem and narrow sulci included.

    Parameters
    ----------
    data
        Intensities (X, Y, Z) in closest canonical (RAS) order, any scale.
    affine
        Voxel to RAS mm (4, 4).
    threads
        CPU threads for the network.

    Returns
    -------
    bool array (X, Y, Z)
        The brain mask on the grid of `data`.

    Raises
    ------
    BrainMaskError
        If what was found cannot be a brain.
    """
    spacing_mm = np.sqrt((np.asarray(affine)[:3, :3] ** 2).sum(axis=0))
    if is_stripped(data):
        mask = _keep_largest(ndimage.binary_fill_holes(data != _background(data)))
    else:
        mask = _segment_head(data, spacing_mm, threads)
    volume_ml = float(mask.sum() * spacing_mm.prod() / 1000)
    low, high = PLAUSIBLE_ML
    if not low <= volume_ml <= high:
        raise BrainMaskError(
            f"The brain mask holds {volume_ml:.0f} mL; a brain has {low:.0f} to "
            f"{high:.0f} mL. Check that the scan is a T1-weighted head, that it "
            "covers the whole brain, and that its voxel size "
            f"({', '.join(f'{s:.2f}' for s in spacing_mm)} mm) is right."
        )
    return mask


def is_stripped(data: NDArray[np.float32]) -> bool:
    """Tell whether the skull of a scan was removed before.

    A whole head has air with noise, or air at exactly zero with tissue of skull
    and scalp around the brain; a stripped scan is one compact object in a constant
    background that fills the brain's ellipsoid and nothing else.

    Parameters
    ----------
    data
        Intensities (X, Y, Z).
    """
    background = _background(data)
    empty = data == background
    if empty.mean() < STRIPPED_EMPTY_SHARE:
        return False
    solid = ndimage.binary_fill_holes(_keep_largest(~empty))
    return bool(solid.any() and not _has_scalp(data, solid))


def _has_scalp(data: NDArray[np.float32], solid: NDArray[np.bool_]) -> bool:
    """Tell whether the outermost rim is brighter than what lies right under it.

    Going inwards, a head shows bright scalp and then dark skull; a stripped brain
    shows grey matter and then brighter white matter.
    """
    depth = ndimage.distance_transform_edt(solid)
    reach = depth.max()
    if reach <= 0:
        return False
    rim = float(np.median(data[(depth > 0.02 * reach) & (depth <= 0.10 * reach)]))
    under = data[(depth > 0.10 * reach) & (depth <= 0.25 * reach)]
    inner = float(np.median(data[depth > 0.35 * reach]))
    # A skull leaves a layer that is much darker than the inside.
    return bool(np.percentile(under, 20) < 0.45 * inner or rim > 1.1 * inner)


def _background(data: NDArray[np.float32]) -> float:
    """Return the commonest value on the faces of the volume."""
    faces = np.concatenate(
        [data[[0, -1]].ravel(), data[:, [0, -1]].ravel(), data[:, :, [0, -1]].ravel()]
    )
    values, counts = np.unique(faces, return_counts=True)
    return float(values[counts.argmax()])


def _segment_head(
    data: NDArray[np.float32], spacing_mm: NDArray[np.float64], threads: int
) -> NDArray[np.bool_]:
    start = _grid_start(data, spacing_mm)
    step = GRID_SPACING_MM / spacing_mm
    # Averaging before sampling keeps the noise of fine scans out of the grid.
    blur = np.maximum(0.0, 0.4 * (step - 1))
    smooth = ndimage.gaussian_filter(data, blur) if blur.any() else data
    background = float(np.percentile(data[::4, ::4, ::4], 1))
    grid = ndimage.affine_transform(
        smooth, np.diag(step), start, GRID_SHAPE, order=1, cval=background
    )
    probability = _apply_network(grid, threads)
    probability = ndimage.gaussian_filter(probability, 0.5)
    found = _keep_largest(probability > BRAIN_PROBABILITY)
    probability = np.where(ndimage.binary_dilation(found), probability, 0)
    back = ndimage.affine_transform(
        probability, np.diag(1 / step), -start / step, data.shape, order=1
    )
    mask = _keep_largest(back > BRAIN_PROBABILITY)
    return np.asarray(ndimage.binary_fill_holes(mask), dtype=bool)


def _grid_start(
    data: NDArray[np.float32], spacing_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Voxel coordinates in `data` of the grid's first voxel.

    The grid is centred on the head from left to right and back to front, and hangs
    from just above its top.
    """
    head = _head(data)
    columns = [np.flatnonzero(head.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if any(len(column) == 0 for column in columns):
        raise BrainMaskError(
            "No head was found: the scan has no contrast between head and air."
        )
    size = np.array(GRID_SHAPE) * GRID_SPACING_MM / spacing_mm
    top = columns[2][-1] + TOP_MARGIN_MM / spacing_mm[2]
    # The neck and shoulders must not pull the centre: only the upper part counts.
    upper = head[:, :, max(0, int(top - 150 / spacing_mm[2])) :]
    middle = [
        np.flatnonzero(upper.any(axis=axes))[[0, -1]].mean()
        for axes in ((1, 2), (0, 2))
    ]
    return np.array([middle[0] - size[0] / 2, middle[1] - size[1] / 2, top - size[2]])


def _head(data: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Head without noise and small bright spots."""
    sample = data[::2, ::2, ::2]
    low, high = np.percentile(sample, [1, 98])
    head = ndimage.gaussian_filter(data, 1.0) > low + 0.15 * (high - low)
    return _keep_largest(ndimage.binary_opening(head))


def _apply_network(grid: NDArray[np.float32], threads: int) -> NDArray[np.float32]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            volume = scale_intensities(torch.from_numpy(np.ascontiguousarray(grid)))
            # The mirrored head is a second opinion; and a batch of two is faster
            # on a CPU than one volume, which torch sends down a slow path.
            pair = torch.stack([volume, volume.flip(0)])[:, None]  # (2, 1, X, Y, Z)
            logits = _load_network()(pair)[:, 0]
            probability = 0.5 * (logits[0].sigmoid() + logits[1].flip(0).sigmoid())
            found: NDArray[np.float32] = probability.numpy()
            return found
    finally:
        torch.set_num_threads(before)


@functools.cache
def _load_network() -> MaskNetwork:
    recipe = json.loads(resource_path("brain_mask.json").read_text(encoding="utf-8"))
    network = MaskNetwork(recipe["widths"])
    network.load_state_dict(load_file(resource_path("brain_mask.safetensors")))
    return network.eval()


def _keep_largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected component."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return np.asarray(mask, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax(), dtype=bool)
