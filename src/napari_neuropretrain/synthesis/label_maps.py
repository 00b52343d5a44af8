"""Synthetic heads drawn from whole-head label maps.

Every sample is a new head: a label map is deformed, each tissue class gets a
random intensity, and the result is degraded as scanners degrade heads. A network
that has seen enough of them works on real scans of any T1 contrast (Billot et
al., SynthSeg, Medical Image Analysis 2023, doi:10.1016/j.media.2023.102789).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Progress, Report, silent
from napari_neuropretrain.synthesis.scanner import degrade_head

CLOSING_MM = 8.0
"""Gaps of the brain narrower than twice this belong to the brain mask."""
OUTSIDE_BRAIN = 500
"""Labels from here on are skull, skin, muscle and other tissue of the head."""
CEREBROSPINAL_FLUID = 24
"""Fluid around the brain; part of the mask only where the closing takes it in."""
_BRAIN_BIT = 128
_CRANIUM_BIT = 64
_CLASS_BITS = 63
_PRIORS = (
    "generation_labels.npy",
    "generation_classes_contrast_specific.npy",
    "prior_means_t1.npy",
    "prior_stds_t1.npy",
)


@dataclass(frozen=True)
class HeadAtlas:
    """Label maps ready for sampling.

    Parameters
    ----------
    heads
        One uint8 tensor (X, Y, Z) in RAS order at 1 mm for each map: the
        intensity class, plus 128 in the brain and 64 inside the skull.
    means, deviations
        Mean and standard deviation, over scans, of each class's mean intensity
        (row 0) and of its standard deviation (row 1); float32 (2, classes).
    """

    heads: tuple[Tensor, ...]
    means: Tensor
    deviations: Tensor


@dataclass(frozen=True)
class Head:
    """One synthetic head.

    Parameters
    ----------
    volume
        Intensities, float32 (X, Y, Z) in RAS order, not normalised.
    masks
        Bool (2, X, Y, Z): the brain with ventricles, cerebellum, stem and sulci;
        and all that lies inside the skull, the fluid around the brain included.
    """

    volume: Tensor
    masks: Tensor


def close_brain(
    tissue: NDArray[np.bool_], spacing_mm: float, radius_mm: float = CLOSING_MM
) -> NDArray[np.bool_]:
    """Close the sulci of a brain tissue mask and fill its holes.

    Parameters
    ----------
    tissue
        Voxels of brain tissue and ventricles, bool (X, Y, Z).
    spacing_mm
        Voxel size; isotropic.
    radius_mm
        Dilation and then erosion by this much.

    Examples
    --------
    A cleft is closed but for its mouth.

    >>> tissue = np.ones((9, 9, 9), dtype=bool)
    >>> tissue[4, 2:] = False
    >>> closed = close_brain(tissue, spacing_mm=2.0)
    >>> int((~tissue).sum()), int((~closed).sum()), bool(closed[4, 2:6, 4].all())
    (63, 21, True)
    """
    margin = math.ceil(radius_mm / spacing_mm) + 1
    outside = np.pad(~tissue, margin, constant_values=True)
    # Distances make a ball of any size at the price of one.
    grown = ndimage.distance_transform_edt(outside) * spacing_mm <= radius_mm
    closed = ndimage.distance_transform_edt(grown) * spacing_mm > radius_mm
    filled = ndimage.binary_fill_holes(closed | ~outside)
    return np.asarray(filled[(slice(margin, -margin),) * 3], dtype=bool)


def encode_head(
    labels: NDArray[np.int_], classes: NDArray[np.int_], spacing_mm: float = 1.0
) -> Tensor:
    """Turn a label map into the tensor a `HeadAtlas` holds.

    Parameters
    ----------
    labels
        FreeSurfer labels (X, Y, Z) in RAS order; 500 and above lie outside the
        brain.
    classes
        Intensity class of each label, indexed by the label.
    spacing_mm
        Voxel size; isotropic.
    """
    box = ndimage.find_objects((labels > 0).astype(np.int8))[0]
    # One voxel of air on every side but the lowest: points below the map
    # continue its last slice, so the neck goes on instead of ending in a step.
    margin = ((1, 1), (1, 1), (0, 1))
    cropped = np.pad(labels[box], margin)
    coded = classes[cropped].astype(np.uint8)
    cranium = (cropped > 0) & (cropped < OUTSIDE_BRAIN)
    inside = ndimage.find_objects(cranium.astype(np.int8))[0]
    cranium = ndimage.binary_fill_holes(cranium[inside])
    tissue = cranium & (cropped[inside] != CEREBROSPINAL_FLUID)
    coded[inside] += _CRANIUM_BIT * cranium.astype(np.uint8)
    brain = close_brain(tissue, spacing_mm) & cranium
    coded[inside] += _BRAIN_BIT * brain.astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(coded))


def read_head_atlas(folder: Path, report: Report = silent) -> HeadAtlas:
    """Read the label maps (``*.nii.gz``, 1 mm) and intensity priors in `folder`.

    Raises
    ------
    CohortError
        If the folder holds no label map, or lacks one of the prior files.
    """
    paths = sorted(folder.glob("*.nii.gz"))
    missing = [name for name in _PRIORS if not (folder / name).is_file()]
    if not paths or missing:
        lacking = ", ".join(missing) or "label maps (*.nii.gz)"
        raise CohortError(
            f"The label map folder '{folder}' lacks: {lacking}. Give the folder "
            "that holds the training label maps and T1 priors of SynthSeg."
        )
    labels, numbers, means, deviations = (np.load(folder / n) for n in _PRIORS)
    classes = np.zeros(int(labels.max()) + 1, dtype=int)
    classes[labels.astype(int)] = numbers.astype(int)
    heads = []
    for index, path in enumerate(paths):
        report(Progress("step", f"Reading {path.name}", index, len(paths)))
        image = nib.as_closest_canonical(nib.load(path))
        heads.append(encode_head(np.asarray(image.dataobj).astype(int), classes))
    return HeadAtlas(
        tuple(heads),
        torch.from_numpy(means).float(),
        torch.from_numpy(deviations).float(),
    )


def draw_head(
    atlas: HeadAtlas,
    generator: torch.Generator,
    shape: tuple[int, int, int],
    spacing_mm: float = 2.0,
) -> Head:
    """Draw a synthetic head: shape, contrast and scanner, all at random.

    The head lies on the grid as `segment_brain` would place it, give or take
    a few centimetres.
    """
    chosen = int(torch.randint(len(atlas.heads), (1,), generator=generator))
    points = _draw_points(atlas.heads[chosen], generator, shape, spacing_mm)
    coded = _sample_nearest(atlas.heads[chosen], points)
    masks = torch.stack([coded & _BRAIN_BIT, coded & _CRANIUM_BIT]) > 0
    classes = (coded & _CLASS_BITS).long()
    means, deviations = _draw_contrast(atlas, generator)
    noise = torch.randn(shape, generator=generator)
    volume = means[classes].addcmul_(deviations[classes], noise).clamp_(min=0)
    volume, masks = degrade_head(volume, masks, generator, spacing_mm)
    return Head(volume, masks)


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand(1, generator=generator))


def _draw_points(
    head: Tensor, generator: torch.Generator, shape: Sequence[int], spacing_mm: float
) -> list[Tensor]:
    """Voxel coordinates in `head` of each grid point: three tensors (X, Y, Z)."""
    matrix = _draw_matrix(generator)
    size = head.shape
    # The grid reaches 10 mm above the top of the head, as in `segment_brain`.
    top = size[2] + 10.0 - spacing_mm * shape[2] / 2
    centre = [size[0] / 2, size[1] / 2, top]
    axes = [(torch.arange(n) - (n - 1) / 2) * spacing_mm for n in shape]
    knots = int(torch.randint(4, 11, (1,), generator=generator))
    strength = _uniform(0.0, 24.0 / knots, generator)
    field = torch.randn((1, 3, knots, knots, knots), generator=generator) * strength
    warp = functional.interpolate(field, size=tuple(shape), mode="trilinear")[0]
    points = []
    for row, origin, shift in zip(matrix, centre, warp, strict=True):
        move = _uniform(-20.0, 20.0, generator)
        plane = row[0] * axes[0][:, None] + row[1] * axes[1] + (origin + move)
        points.append(shift.add_(plane[:, :, None]).add_(row[2] * axes[2]))
    return points


def _draw_matrix(generator: torch.Generator) -> Tensor:
    """Rotation up to 40 degrees, scaling 0.82-1.2, shearing, flip; (3, 3)."""
    # The sum of two draws: small angles are the commonest.
    turns = [_uniform(-20, 20, generator) + _uniform(-20, 20, generator) for _ in "xyz"]
    angles = [math.radians(turn) for turn in turns]
    matrix = torch.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = torch.eye(3)
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[first, second] = -math.sin(angle)
        turn[second, first] = math.sin(angle)
        matrix = matrix @ turn
    shear = torch.eye(3) + 0.05 * torch.randn((3, 3), generator=generator)
    size = _uniform(0.85, 1.15, generator)
    scale = torch.tensor([size * _uniform(0.95, 1.05, generator) for _ in range(3)])
    if _uniform(0, 1, generator) < 0.5:
        scale[0] = -scale[0]
    return matrix @ shear @ torch.diag(scale)


def _sample_nearest(head: Tensor, points: Sequence[Tensor]) -> Tensor:
    index = torch.zeros(points[0].shape, dtype=torch.int32)
    for point, size in zip(points, head.shape, strict=True):
        index.mul_(size).add_(point.round_().clamp_(0, size - 1).to(torch.int32))
    return head.flatten()[index.long()]


def _draw_contrast(
    atlas: HeadAtlas, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each class in this head."""
    count = atlas.means.shape[1]
    spread = _uniform(0.5, 2.0, generator)
    normal = torch.randn((2, count), generator=generator)
    drawn = (atlas.means + spread * atlas.deviations * normal).abs()
    if _uniform(0, 1, generator) < 0.2:
        drawn[0] = 10 + 230 * torch.rand(count, generator=generator)
        drawn[1] = 2 + 20 * torch.rand(count, generator=generator)
    air = _uniform(0, 1, generator)
    drawn[0, 0] = 0.0 if air < 0.4 else _uniform(0.0, 15.0, generator)
    drawn[1, 0] = 0.0 if air < 0.4 else _uniform(0.0, 6.0, generator)
    return drawn[0], drawn[1]
