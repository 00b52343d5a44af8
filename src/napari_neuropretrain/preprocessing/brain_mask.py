"""Find the brain in a T1-weighted head, or see that the skull is gone already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.config.contract import MaskMethod
from napari_neuropretrain.data.orientation import spacing_of
from napari_neuropretrain.errors import BrainMaskError
from napari_neuropretrain.preprocessing.head_mask import segment_head
from napari_neuropretrain.preprocessing.mask_programs import run_program
from napari_neuropretrain.preprocessing.stripped import is_stripped, stripped_mask

PLAUSIBLE_ML = (500.0, 2500.0)
"""Brain volumes outside this range are errors, not brains."""


def segment_brain(
    data: NDArray[np.float32],
    affine: NDArray[np.float64],
    threads: int = 1,
    method: MaskMethod = "neuropretrain",
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
    method
        Our network, or a program that is installed. A scan that is stripped already
        is left alone by all of them.

    Returns
    -------
    bool array (X, Y, Z)
        The brain mask on the grid of `data`; not yet checked, see `measure_brain`.

    Raises
    ------
    BrainMaskError
        If there is no head, or the program fails.
    """
    spacing_mm = np.array(spacing_of(affine))
    if is_stripped(data, spacing_mm):
        mask = stripped_mask(data)
    elif method == "neuropretrain":
        mask = segment_head(data, spacing_mm, threads)
    else:
        mask = run_program(method, data, np.asarray(affine), threads)
    return mask


def measure_brain(
    mask: NDArray[np.bool_], affine: NDArray[np.float64], name: str
) -> float:
    """Return the volume of a brain mask in mL, if a brain can have it.

    Parameters
    ----------
    mask, affine
        As in `segment_brain`.
    name
        The scan, as the message shall name it.

    Raises
    ------
    BrainMaskError
        If what was found cannot be a brain.
    """
    spacing_mm = spacing_of(affine)
    mask_ml = float(mask.sum() * np.prod(spacing_mm) / 1000)
    low, high = PLAUSIBLE_ML
    if low <= mask_ml <= high:
        return mask_ml
    raise BrainMaskError(
        f"The brain found in {name} has {mask_ml:.0f} mL; a human brain has "
        f"{low:.0f} to {high:.0f}. Check that the scan is a T1-weighted head, that it "
        "covers the whole brain, and that its voxel size "
        f"({', '.join(f'{size:.2f}' for size in spacing_mm)} mm) is right."
    )
