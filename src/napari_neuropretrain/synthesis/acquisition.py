"""Scanning a head: the pose, the grid, contrast, coil, noise and storage order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.synthesis.anatomy import FloatArray
from napari_neuropretrain.synthesis.deformation import (
    Affine,
    apply_affine,
    lattice_points,
    random_displacement,
    random_head_pose,
    refine,
    rotation,
    sample,
)
from napari_neuropretrain.synthesis.effects import (
    EffectSizes,
    Severity,
    altered_intensities,
    effect_displacement,
)
from napari_neuropretrain.synthesis.head import build_head
from napari_neuropretrain.synthesis.resizing import resize

VIEW_MM = (196.0, 244.0, 224.0)
VIEW_CENTRE = (0.0, -9.0, -6.0)
"""Size of the field of view (left-right, back-front, down-up) and the template
point, MNI mm, at its middle: some neck is in view, the shoulders are not."""

AXIS_CODES = ("RAS", "LPS", "LAS", "PSR", "ASL", "SPL", "PIR", "RSA")
ANATOMY_RMS_MM = 3.0
_AXES = ("LR", "PA", "IS")


@dataclass(frozen=True)
class SyntheticScan:
    """A scan as a scanner would store it.

    Parameters
    ----------
    data
        int16 (I, J, K) in the order of `axis_codes`.
    affine
        (4, 4) voxel -> scanner RAS mm; slightly oblique.
    template_to_scan
        (4, 4) MNI RAS mm -> scanner RAS mm: the pose, without the local anatomy.
    axis_codes
        Direction in which each voxel axis runs, for example "LPS".
    """

    data: NDArray[np.int16]
    affine: Affine
    template_to_scan: Affine
    axis_codes: str


def scan_head(
    rng: np.random.Generator,
    severity: Severity,
    sizes: EffectSizes,
    spacing_mm: float,
    size: float = 1.0,
    noisy_site: bool = False,
) -> SyntheticScan:
    """Scan a head with an anatomy, a pose and a scanner drawn at random.

    Parameters
    ----------
    rng
        Source of all randomness; the same state gives the same bytes.
    severity, sizes
        What age and disease have changed, and by how much at most.
    spacing_mm
        Voxel edge of the scan.
    size
        Overall scale of the head, 1 for the template's.
    noisy_site
        Whether the scanner is the one with more noise and a flatter contrast.
    """
    pose = random_head_pose(rng, size)
    shape, affine = _scan_grid(rng, pose, spacing_mm)
    t1 = _imaged_head(rng, pose, shape, affine, severity, sizes)
    t1 = vary_contrast(rng, t1, noisy_site)
    t1 = t1 * coil_field(rng, shape, strength=0.28 if noisy_site else 0.20)
    t1 = magnitude_noise(rng, t1, deviation=0.028 if noisy_site else 0.018)
    gain = rng.uniform(300, 900)
    stored = np.clip(np.rint(t1 * gain), 0, 32000).astype(np.int16)
    codes = str(rng.choice(AXIS_CODES))
    data, affine = _store(stored, affine, codes)
    return SyntheticScan(data, affine, pose, codes)


def model_spacing(spacing_mm: float) -> float:
    """Return the voxel edge of the model head that serves a scan's spacing."""
    return 1.5 if spacing_mm >= 1.5 else 1.0


def _scan_grid(
    rng: np.random.Generator, pose: Affine, spacing_mm: float
) -> tuple[tuple[int, int, int], Affine]:
    """Return a grid around the head in RAS-like order, tilted by a few degrees."""
    i, j, k = (round(extent / spacing_mm) for extent in VIEW_MM)
    affine = np.eye(4)
    affine[:3, :3] = rotation(rng.uniform(-5, 5, 3)) * spacing_mm
    centre = (pose @ [*VIEW_CENTRE, 1.0])[:3] + rng.uniform(-3, 3, 3)
    middle = (np.array([i, j, k]) - 1) / 2
    affine[:3, 3] = centre - affine[:3, :3] @ middle
    return (i, j, k), affine


def _imaged_head(
    rng: np.random.Generator,
    pose: Affine,
    shape: tuple[int, int, int],
    affine: Affine,
    severity: Severity,
    sizes: EffectSizes,
) -> FloatArray:
    """Return the warped head (X, Y, Z), interpolated once."""
    spacing = model_spacing(float(np.linalg.norm(affine[:3, 0])))
    head = build_head(spacing)
    points = apply_affine(np.linalg.inv(pose), lattice_points(shape, affine))
    low, high = points.min((1, 2, 3)), points.max((1, 2, 3))
    anatomy = random_displacement(
        rng, low.astype(float), (high - low).astype(float), ANATOMY_RMS_MM
    )
    points = points + anatomy.at(points)
    points = points + effect_displacement(spacing, severity, sizes).at(points)
    t1 = altered_intensities(head, severity, sizes)
    return sample(t1, head.affine, refine(points, shape))


def vary_contrast(rng: np.random.Generator, t1: FloatArray, flat: bool) -> FloatArray:
    """Raise intensities to a power: above 1 grey and white matter move apart."""
    power = rng.uniform(1.0, 1.25) if flat else rng.uniform(1.25, 1.6)
    return np.asarray(t1 ** np.float32(power), dtype=np.float32)


def coil_field(
    rng: np.random.Generator, shape: tuple[int, int, int], strength: float
) -> FloatArray:
    """Return a smooth positive bias field (X, Y, Z) around 1."""
    knots = rng.uniform(-strength, strength, (4, 4, 4))
    middle = [min(size, 24) for size in shape]
    return resize(np.exp(resize(knots, middle, order=3)), shape, order=1)


def magnitude_noise(
    rng: np.random.Generator, t1: FloatArray, deviation: float
) -> FloatArray:
    """Return the magnitude of the signal plus complex noise (Rician)."""
    real = rng.standard_normal(t1.shape, dtype=np.float32) * np.float32(deviation)
    imaginary = rng.standard_normal(t1.shape, dtype=np.float32) * np.float32(deviation)
    return np.asarray(np.hypot(t1 + real, imaginary))


def _store(
    data: NDArray[np.int16], affine: Affine, codes: str
) -> tuple[NDArray[np.int16], Affine]:
    """Reorder axes to `codes`; voxels keep their place in the scanner."""
    sources = [_AXES.index(_pair(code)) for code in codes]
    flipped = [axis for axis, code in enumerate(codes) if code in "LPI"]
    stored = np.flip(data.transpose(sources), flipped)
    to_canonical = np.zeros((4, 4))
    to_canonical[3, 3] = 1
    for axis, source in enumerate(sources):
        to_canonical[source, axis] = -1 if axis in flipped else 1
        to_canonical[source, 3] = data.shape[source] - 1 if axis in flipped else 0
    return np.ascontiguousarray(stored), affine @ to_canonical


def _pair(code: str) -> str:
    """Return the two ends of the axis that a letter names."""
    return next(pair for pair in _AXES if code in pair)
