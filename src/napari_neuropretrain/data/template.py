"""The brain template that every scan is aligned with, at any grid.

The template is the MNI ICBM152 2009a symmetric average that nilearn carries, so
nothing is downloaded. It shows the brain only: there is no skull in it.

References
----------
Fonov et al. 2011, Unbiased average age-appropriate atlases for pediatric studies,
NeuroImage 54(1), doi:10.1016/j.neuroimage.2010.07.033.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.orientation import to_canonical
from napari_neuropretrain.errors import ConfigError

TEMPLATE_NAME = "MNI152NLin2009aSym"
"""Name in a preprocessing contract."""

BRAIN_CENTRE_MM = (0.0, -17.0, 5.0)
"""Middle of the bounding box of the template's brain mask, RAS mm."""


@dataclass(frozen=True, eq=False)
class Template:
    """A template on one grid.

    Parameters
    ----------
    data
        float32 intensities (X, Y, Z) in RAS order, from 0 to 1; 0 outside the brain.
    brain_mask
        bool (X, Y, Z), without holes.
    affine
        Voxel to RAS mm (4, 4).
    name
        Name in a preprocessing contract.
    """

    data: NDArray[np.float32]
    brain_mask: NDArray[np.bool_]
    affine: NDArray[np.float64]
    name: str = TEMPLATE_NAME


def load_template_1mm() -> Template:
    """Return the template on its own 1 mm grid, (197, 233, 189)."""
    shared = _read()
    return Template(shared.data.copy(), shared.brain_mask.copy(), shared.affine.copy())


def load_template(
    shape: tuple[int, int, int] = (80, 80, 80), spacing_mm: float = 2.0
) -> Template:
    """Return the template on a model's grid.

    Parameters
    ----------
    shape
        Voxels along x, y, z.
    spacing_mm
        Isotropic voxel size in mm.

    Raises
    ------
    ConfigError
        If the shape or the spacing is not positive.

    Examples
    --------
    >>> template = load_template((40, 40, 40), 4.0)
    >>> template.data.shape, template.brain_mask.dtype, template.affine[0].tolist()
    ((40, 40, 40), dtype('bool'), [4.0, 0.0, 0.0, -78.0])
    """
    affine = template_grid(shape, spacing_mm)
    data, mask = _resample(tuple(shape), float(spacing_mm))
    return Template(data.copy(), mask.copy(), affine)


def template_grid(
    shape: tuple[int, int, int], spacing_mm: float
) -> NDArray[np.float64]:
    """Return voxel to RAS mm (4, 4) of a grid centred on the template's brain.

    Parameters
    ----------
    shape
        Voxels along x, y, z.
    spacing_mm
        Isotropic voxel size in mm.

    Raises
    ------
    ConfigError
        If the shape or the spacing is not positive.

    Examples
    --------
    >>> grid = template_grid((80, 80, 80), 2.0)
    >>> grid.diagonal().tolist(), grid[:3, 3].tolist()
    ([2.0, 2.0, 2.0, 1.0], [-79.0, -96.0, -74.0])
    """
    if len(shape) != 3 or min(shape) < 1 or not 0 < spacing_mm < np.inf:
        raise ConfigError(
            f"A grid of shape {shape} at {spacing_mm} mm cannot be made. Give three "
            "positive edges and a positive spacing."
        )
    half = (np.array(shape) - 1) / 2 * spacing_mm
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = np.array(BRAIN_CENTRE_MM) - half
    return affine


@lru_cache(maxsize=1)
def _read() -> Template:
    """Read nilearn's files once; callers must not write into the result."""
    # nilearn imports scikit-learn, which takes seconds.
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_template
    from scipy.ndimage import binary_fill_holes

    image = load_mni152_template(resolution=1)
    mask = load_mni152_brain_mask(resolution=1)
    data, affine = to_canonical(image.get_fdata(dtype=np.float32), image.affine)
    inside, _ = to_canonical(np.asarray(mask.dataobj) > 0, mask.affine)
    return Template(data, binary_fill_holes(inside), affine)


@lru_cache(maxsize=4)
def _resample(
    shape: tuple[int, int, int], spacing_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Average the 1 mm template over the voxels of a coarser grid."""
    from scipy.ndimage import affine_transform, gaussian_filter

    template = _read()
    to_fine = np.linalg.inv(template.affine) @ template_grid(shape, spacing_mm)
    # A voxel of s mm averages about as a Gaussian of this width; without it,
    # a coarse grid would pick single fine voxels.
    sigma = 0.4 * np.sqrt(max(spacing_mm**2 - 1, 0))

    def sample(fine: NDArray[np.float32]) -> NDArray[np.float32]:
        smooth = gaussian_filter(fine, sigma) if sigma else fine
        out: NDArray[np.float32] = affine_transform(
            smooth, to_fine[:3, :3], to_fine[:3, 3], output_shape=shape, order=1
        )
        return out

    mask = sample(template.brain_mask.astype(np.float32)) >= 0.5
    return np.where(mask, sample(template.data), 0).astype(np.float32), mask
