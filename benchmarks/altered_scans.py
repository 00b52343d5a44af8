"""Real scans, turned, cut, spoilt and stored in every way that happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations, product

import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_neuropretrain.data.volumes import Volume

AXES = {"left-right": 0, "front-back": 1, "vertical": 2}
Mask = NDArray[np.bool_]
Change = Callable[[Volume, Mask], Volume]
"""Makes a scan from a scan and its brain mask."""


def cases(orientations: int) -> Iterator[tuple[str, Change]]:
    """Name each case and say how to make it; so many of the 48 storage orders."""
    yield "unaltered", lambda volume, _: volume
    for degrees, (axis, index) in product((10, 20, 30), AXES.items()):
        yield f"rotation {degrees} degrees, {axis} axis", turned(index, degrees)
    yield "cropped: no neck", cut("bottom", -5)
    for side, mm in (("bottom", 20), ("top", 10), ("top", 20)):
        yield f"cropped: {mm} mm of the brain's {side}", cut(side, mm)
    for side in ("bottom", "top", "right", "front"):
        yield f"cropped: half of the brain, {side}", cut(side, None)
    for index, axis in enumerate("xyz"):
        yield f"thick slices, 3 mm or more along {axis}", thick(index)
    yield "noise, 10 % of the brightest", noisy(0.10)
    yield "noise, 20 % of the brightest", noisy(0.20)
    yield "strong bias field, 4 times", biased
    yield "skull-stripped", lambda volume, mask: with_data(volume, volume.data * mask)
    yield "wrong header origin, 100 mm", moved_origin
    for label, orientation in _orientations(orientations):
        yield f"storage order {label}", stored(orientation)
    yield "header upside down", wrong_header((1, 1, -1))
    yield "header back to front", wrong_header((1, -1, 1))
    yield "header with left and right swapped", wrong_header((-1, 1, 1))
    yield "header with a third of the slice thickness", wrong_header((1, 1, 1 / 3))
    yield "inverted grey values", inverted
    yield "pure noise", pure_noise


def with_data(volume: Volume, data: NDArray[np.floating]) -> Volume:
    return Volume.from_native(data.astype(np.float32), volume.affine, volume.path)


def turned(axis: int, degrees: float) -> Change:
    """Turn the head in the scanner: the grid stays straight and holds all of it."""

    def change(volume: Volume, _: Mask) -> Volume:
        turn = Rotation.from_rotvec(np.radians(degrees) * np.eye(3)[axis]).as_matrix()
        shape = np.array(volume.data.shape)
        spacing = np.array(volume.spacing_mm)
        reach = np.ceil(np.abs(turn) @ (shape * spacing) / spacing).astype(int)
        # Output voxel to input voxel, about the middle of both.
        matrix = turn.T / spacing[:, np.newaxis] * spacing
        start = (shape - 1) / 2 - matrix @ ((reach - 1) / 2)
        data = ndimage.affine_transform(
            volume.data, matrix, start, tuple(reach), order=1
        )
        middle = volume.affine[:3, :3] @ ((shape - 1) / 2) + volume.affine[:3, 3]
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = middle - spacing * (reach - 1) / 2
        return Volume.from_native(data, affine, volume.path)

    return change


def cut(side: str, mm: float | None) -> Change:
    """Lose so many mm of the brain at one side, or half of it."""
    axis, last = {"bottom": (2, 0), "top": (2, 1), "right": (0, 1), "front": (1, 1)}[
        side
    ]

    def change(volume: Volume, mask: Mask) -> Volume:
        others = tuple({0, 1, 2} - {axis})
        places = np.flatnonzero(mask.any(axis=others))
        low, high = int(places[0]), int(places[-1]) + 1
        lost = mm / volume.spacing_mm[axis] if mm is not None else (high - low) / 2
        keep = [slice(None)] * 3
        affine = volume.affine.copy()
        if last:
            keep[axis] = slice(0, high - round(lost))
        else:
            first = max(low + round(lost), 0)
            keep[axis] = slice(first, None)
            affine[:3, 3] += affine[:3, axis] * first
        return Volume.from_native(volume.data[tuple(keep)], affine, volume.path)

    return change


def thick(axis: int) -> Change:
    """Average neighbouring slices into slices of at least 3 mm."""

    def change(volume: Volume, _: Mask) -> Volume:
        count = max(2, round(3 / volume.spacing_mm[axis]))
        slices = np.moveaxis(volume.data, axis, 0)
        whole = len(slices) // count * count
        slices = slices[:whole].reshape(-1, count, *slices.shape[1:]).mean(axis=1)
        affine = volume.affine.copy()
        affine[:3, 3] += affine[:3, axis] * (count - 1) / 2
        affine[:3, axis] *= count
        data = np.moveaxis(slices, 0, axis)
        return Volume.from_native(data, affine, volume.path)

    return change


def noisy(share: float) -> Change:
    """Add Rician noise of a share of the brain's brightest values."""

    def change(volume: Volume, mask: Mask) -> Volume:
        draw = np.random.default_rng(0)
        sigma = share * np.percentile(volume.data[mask], 98)
        real, imaginary = draw.normal(0, sigma, (2, *volume.data.shape))
        return with_data(volume, np.hypot(volume.data + real, imaginary))

    return change


def biased(volume: Volume, _: Mask) -> Volume:
    """Shade the scan four times darker from one corner to the other."""
    x, y, z = (np.linspace(0, 1, edge) for edge in volume.data.shape)
    ramp = 0.4 * x[:, None, None] + 0.3 * y[:, None] + 0.3 * z**2
    return with_data(volume, volume.data * np.exp(np.log(4) * ramp))


def moved_origin(volume: Volume, _: Mask) -> Volume:
    affine = volume.affine.copy()
    affine[:3, 3] += 100, -100, 100
    return Volume.from_native(volume.data, affine, volume.path)


def _orientations(count: int) -> Iterator[tuple[str, NDArray[np.int_]]]:
    every = list(product(permutations(range(3)), product((1, -1), repeat=3)))
    for place in np.linspace(0, len(every) - 1, min(count, len(every))).astype(int):
        order, flips = every[place]
        names = [
            ("-" if flip < 0 else "+") + "xyz"[axis]
            for axis, flip in zip(order, flips, strict=True)
        ]
        yield " ".join(names), np.column_stack([order, flips])


def stored(orientation: NDArray[np.int_]) -> Change:
    """Store the same head in another order, with the header that says so."""

    def change(volume: Volume, _: Mask) -> Volume:
        voxels = apply_orientation(volume.data, orientation)
        affine = volume.affine @ inv_ornt_aff(orientation, volume.data.shape)
        return Volume.from_native(voxels, affine, volume.path)

    return change


def wrong_header(factors: tuple[float, float, float]) -> Change:
    """Say in the header what is not true: flip or shrink an axis."""

    def change(volume: Volume, _: Mask) -> Volume:
        affine = volume.affine.copy()
        affine[:3, :3] *= factors
        return Volume.from_native(volume.data, affine, volume.path)

    return change


def inverted(volume: Volume, mask: Mask) -> Volume:
    highest = np.percentile(volume.data[mask], 99.9)
    return with_data(volume, np.where(mask, (highest - volume.data).clip(1), 0))


def pure_noise(volume: Volume, _: Mask) -> Volume:
    draw = np.random.default_rng(0)
    return with_data(volume, draw.rayleigh(100.0, volume.data.shape))
