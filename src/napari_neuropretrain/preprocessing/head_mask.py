"""Find the brain in a whole head with the network this project trained."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass

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
from napari_neuropretrain.preprocessing.morphology import (
    block_means,
    block_steps,
    fill_holes,
    keep_largest,
)
from napari_neuropretrain.resources import resource_path

TOP_MARGIN_MM = 10.0
"""Air between the top of the head and the top of the grid."""


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """The network with the grid it was trained on.

    Parameters
    ----------
    network
        Ready for inference.
    shape, spacing_mm
        Voxels of the grid, and their edge.
    threshold
        Probability above which a voxel is brain.
    rim_voxels
        How far the mask follows the fluid around the brain, in voxels of the grid.
    """

    network: MaskNetwork
    shape: tuple[int, int, int]
    spacing_mm: float
    threshold: float
    rim_voxels: int


def segment_head(
    data: NDArray[np.float32], spacing_mm: NDArray[np.float64], threads: int
) -> NDArray[np.bool_]:
    """Mark the brain in a whole head.

    Parameters
    ----------
    data
        Intensities (X, Y, Z) in RAS order.
    spacing_mm
        Voxel size (3,).
    threads
        CPU threads for the network.

    Raises
    ------
    BrainMaskError
        If there is no head.
    """
    trained = load_network()
    # Averaged first: it keeps the noise of fine scans out of the grid, and is fast.
    blocks = np.array(block_steps(list(spacing_mm), trained.spacing_mm))
    small, small_mm = block_means(data, list(blocks)), spacing_mm * blocks
    step = trained.spacing_mm / small_mm
    start = _grid_start(small, small_mm, trained)
    probability = _look(small, start, step, trained, threads)
    if (shift := _off_centre(probability > trained.threshold, start, step)).any():
        start = start + shift
        probability = _look(small, start, step, trained, threads)
    found = keep_largest(probability > trained.threshold)
    probability = np.where(ndimage.binary_dilation(found), probability, 0)
    # From the network's voxels to the scan's own.
    return _place(
        probability,
        trained.threshold,
        scale=step * blocks,
        origin=start * blocks + (blocks - 1) / 2,
        shape=data.shape,
    )


def _place(
    probability: NDArray[np.float32],
    threshold: float,
    scale: NDArray[np.float64],
    origin: NDArray[np.float64],
    shape: tuple[int, ...],
) -> NDArray[np.bool_]:
    """Return the mask on the scan's grid; only the box around the brain is worked on.

    Grid voxel i lies at scan voxel ``origin + scale * i``.
    """
    mask = np.zeros(shape, dtype=bool)
    places = np.argwhere(probability > threshold)
    if len(places) == 0:
        return mask
    low = np.floor(origin + scale * (places.min(axis=0) - 1)).astype(int).clip(0)
    high = np.ceil(origin + scale * (places.max(axis=0) + 1)).astype(int) + 1
    box = tuple(
        slice(a, max(a, b)) for a, b in zip(low, high.clip(max=shape), strict=True)
    )
    size = tuple(one.stop - one.start for one in box)
    fine = ndimage.affine_transform(
        probability, np.diag(1 / scale), (low - origin) / scale, size, order=1
    )
    mask[box] = fill_holes(keep_largest(fine > threshold))
    return mask


def _look(
    small: NDArray[np.float32],
    start: NDArray[np.float64],
    step: NDArray[np.float64],
    trained: TrainedNetwork,
    threads: int,
) -> NDArray[np.float32]:
    """Return the probability of brain on the network's grid."""
    background = float(np.percentile(small[::2, ::2, ::2], 1))
    grid = ndimage.affine_transform(
        small, np.diag(step), start, trained.shape, order=1, cval=background
    )
    brain, *others = _apply_network(trained.network, grid, threads)
    if others and trained.rim_voxels:
        # A band of the fluid around the brain, as far as it lies inside the skull.
        ball = ndimage.iterate_structure(
            ndimage.generate_binary_structure(3, 1), trained.rim_voxels
        )
        grown = ndimage.grey_dilation(brain, footprint=ball)
        brain = np.maximum(brain, np.minimum(others[0], grown))
    return np.asarray(ndimage.gaussian_filter(brain, 0.5))


def _off_centre(
    brain: NDArray[np.bool_], start: NDArray[np.float64], step: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the shift, in scan voxels, that centres a brain cut by the grid; else 0.

    Bright spots, a table or wide shoulders can mislead the first placement.
    """
    still = np.zeros(3)
    found = keep_largest(brain)
    if not found.any():
        return still
    places = np.argwhere(found)
    first, last = places.min(axis=0), places.max(axis=0)
    room = np.array(brain.shape)
    cut = (first == 0) | (last == room - 1)
    shift = np.round((first + last - room + 1) / 2) * step
    return np.where(cut, shift, still)


def _grid_start(
    data: NDArray[np.float32], spacing_mm: NDArray[np.float64], trained: TrainedNetwork
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
    size = np.array(trained.shape) * trained.spacing_mm / spacing_mm
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
    low, high = np.percentile(data[::2, ::2, ::2], [1, 98])
    head = ndimage.gaussian_filter(data, 1.0) > low + 0.15 * (high - low)
    return keep_largest(ndimage.binary_opening(head))


def _apply_network(
    network: MaskNetwork, grid: NDArray[np.float32], threads: int
) -> NDArray[np.float32]:
    """Return the probability (M, X, Y, Z) of each mask."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            volume = scale_intensities(torch.from_numpy(np.ascontiguousarray(grid)))
            # The mirrored head is a second opinion; and a batch of two is faster
            # on a CPU than one volume, which torch sends down a slow path.
            pair = torch.stack([volume, volume.flip(0)])[:, None]  # (2, 1, X, Y, Z)
            given, mirrored = network(pair).sigmoid()  # (M, X, Y, Z) each
            found: NDArray[np.float32] = (0.5 * (given + mirrored.flip(1))).numpy()
            return found
    finally:
        torch.set_num_threads(before)


@functools.cache
def load_network() -> TrainedNetwork:
    """Load the weights that come with this package, once."""
    recipe = json.loads(resource_path("brain_mask.json").read_text(encoding="utf-8"))
    network = MaskNetwork(recipe["widths"], len(recipe["masks"]))
    network.load_state_dict(load_file(resource_path("brain_mask.safetensors")))
    x, y, z = recipe["grid_shape"]
    return TrainedNetwork(
        network.eval(),
        (x, y, z),
        recipe["grid_spacing_mm"],
        recipe["threshold"],
        recipe["rim_voxels"],
    )
