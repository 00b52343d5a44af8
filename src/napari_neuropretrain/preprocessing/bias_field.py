"""Remove the slow shading of the receive coil (N4)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_neuropretrain.config.contract import BiasFieldParameters
from napari_neuropretrain.data.orientation import spacing_of
from napari_neuropretrain.errors import ImageError

DEFAULTS = BiasFieldParameters()


def correct_bias_field(
    data: NDArray[np.float32],
    brain_mask: NDArray[np.bool_],
    affine: ArrayLike,
    parameters: BiasFieldParameters = DEFAULTS,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Divide a scan by the bias field that N4 finds in its brain.

    N4 (Tustison et al., IEEE TMI 2010, doi:10.1109/TMI.2010.2046908) with the four
    levels that ANTs uses, from SimpleITK: the same ITK filter that ANTs wraps, which
    imports in a tenth of the time and takes its number of threads per call.

    Parameters
    ----------
    data
        Scan (X, Y, Z).
    brain_mask
        Brain of the scan, on the same grid.
    affine
        Voxel to RAS mm (4, 4).
    parameters
        Iterations, convergence and voxel size of the fit.
    threads
        CPU threads.

    Returns
    -------
    NDArray
        Corrected scan (X, Y, Z), with the mean brain intensity it had before.

    Raises
    ------
    ImageError
        If the mask is empty.
    """
    if not brain_mask.any():
        raise ImageError("The bias field needs a brain mask, and this one is empty.")
    # N4 takes logarithms; interpolated scans may dip below zero.
    positive = data - min(float(data.min()), 0.0)
    usable = brain_mask & (positive > 0)
    field = _field(positive, usable, spacing_of(affine), parameters, threads)
    corrected = positive / field
    corrected *= positive[brain_mask].mean() / corrected[brain_mask].mean()
    return np.asarray(corrected, dtype=np.float32)


def _field(
    data: NDArray[np.float32],
    mask: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    parameters: BiasFieldParameters,
    threads: int,
) -> NDArray[np.float32]:
    """Return the multiplicative field (X, Y, Z) around 1."""
    import SimpleITK

    sitk: Any = SimpleITK  # its functions carry no types
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    inside = sitk.GetImageFromArray(np.ascontiguousarray(mask.T).astype(np.uint8))
    image.SetSpacing(spacing_mm)
    inside.SetSpacing(spacing_mm)
    edge_mm = parameters.working_voxel_mm
    steps = [max(1, round(edge_mm / size)) for size in spacing_mm]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(threads)
    n4.SetMaximumNumberOfIterations(parameters.iterations)
    n4.SetConvergenceThreshold(parameters.convergence)
    n4.Execute(sitk.Shrink(image, steps), sitk.Shrink(inside, steps))
    log_field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).T
    return np.exp(np.asarray(log_field, dtype=np.float32))
