"""Views on processors: one volume at a time, by kernels, on several threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from napari_neuropretrain.training.view_changes import ViewChanges
from napari_neuropretrain.training.view_kernels_blur import blur, gaussian
from napari_neuropretrain.training.view_kernels_intensity import (
    change_brain,
    extremes,
)
from napari_neuropretrain.training.view_kernels_motion import (
    Box,
    Map,
    Volume,
    brain_box,
    mirror,
    stretch,
    turn,
)


def change_each(
    volumes: NDArray[np.float32], changes: ViewChanges, threads: int
) -> NDArray[np.float32]:
    """Return changed volumes (B, X, Y, Z); the same for any number of threads.

    Parameters
    ----------
    volumes
        float32, contiguous.
    changes
        What happens to each.
    threads
        At most so many volumes at the same time.
    """
    views = np.empty_like(volumes)
    waiting = deque(range(len(volumes)))
    plans = _Plans(changes)

    def work() -> None:
        worker = _Worker(volumes.shape[1:])
        while waiting:
            try:
                number = waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            worker.change(volumes[number], plans, number, views[number])

    count = min(threads, len(volumes))
    if count < 2:
        work()
        return views
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work) for _ in range(count)]:
            done.result()
    return views


class _Plans:
    """The changes as arrays; mirroring is part of the map."""

    def __init__(self, changes: ViewChanges) -> None:
        signs = 1.0 - 2.0 * changes.flips.double()
        self.maps: NDArray[np.float64] = (
            signs[:, :, None] * changes.maps.double()
        ).numpy()
        self.blur_sigma: list[float] = changes.blur_sigma.tolist()
        self.varies: list[bool] = changes.varies.tolist()
        contrast = torch.stack([changes.gamma, changes.gain, changes.shift], 1)
        self.contrast: list[tuple[float, float, float]] = contrast.tolist()
        self.noise_sigma: list[float] = changes.noise_sigma.tolist()
        self.noise_seed: NDArray[np.uint64] = changes.noise_seed.numpy().astype(
            np.uint64
        )
        self.boxes: list[list[tuple[int, int]]] = changes.boxes.tolist()


class _Worker:
    """Changes volumes of one shape, in memory of its own."""

    def __init__(self, shape: Sequence[int]) -> None:
        x, y, z = shape
        self._scratch = np.empty((x + 4) * (y + 2) * (z + 2), np.float32)

    def change(self, volume: Volume, plans: _Plans, number: int, view: Volume) -> None:
        """Fill a view (X, Y, Z)."""
        self._move(volume, plans.maps[number], view)
        self._change_brain(plans, number, view)
        x, y, z = (slice(*ends) for ends in plans.boxes[number])
        view[x, y, z] = 0

    def _change_brain(self, plans: _Plans, number: int, view: Volume) -> None:
        sigma, noise = plans.blur_sigma[number], plans.noise_sigma[number]
        varies = plans.varies[number]
        if not (sigma or varies or noise):
            return
        box = brain_box(view)
        if box[0, 0] >= box[0, 1]:  # all of it is background
            return
        source = self._blurred(view, box, sigma) if sigma else view
        low, high = extremes(source, view, box) if varies else (0.0, 0.0)
        contrast = (low, high, *plans.contrast[number])
        seed = plans.noise_seed[number]
        change_brain(source, view, box, varies, contrast, noise, seed)

    def _move(self, volume: Volume, map_: Map, view: Volume) -> None:
        linear, shift = map_[:, :3], map_[:, 3]
        if np.array_equal(np.abs(linear), np.eye(3)) and not shift.any():
            mirror(volume, map_, view)
            return
        box = brain_box(volume)
        if box[0, 0] >= box[0, 1]:
            view[:] = 0
        elif np.count_nonzero(linear) == np.count_nonzero(linear.diagonal()):
            stretch(volume, box, map_, view)
        else:
            turn(volume, box, map_, self._scratch, view)

    def _blurred(self, view: Volume, box: Box, sigma: float) -> Volume:
        smooth = self._scratch[: view.size].reshape(view.shape)
        halves = {size: gaussian(sigma, size) for size in set(view.shape)}
        x, y, z = (halves[size] for size in view.shape)
        blur(view, box, (x, y, z), smooth)
        return smooth
