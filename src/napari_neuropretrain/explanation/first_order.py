"""What hiding a place would change if the network were linear: one gradient."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_neuropretrain.explanation.hiders import Predict, Predictor


def first_order_effects(
    predict: Predict, image: Tensor, hidden: Tensor
) -> NDArray[np.float64] | None:
    """Return the effect of hiding each voxel to first order, (X, Y, Z).

    For a cube, the sum over it is the gradient times what hiding changes. It costs as
    much as three positions, and often looks much like the map.

    Parameters
    ----------
    predict
        The network.
    image, hidden
        The scan, and the scan with everything hidden, (X, Y, Z).

    Returns
    -------
    ndarray or None
        None where `predict` is no `Predictor`, has no gradient, or the memory does
        not suffice.
    """
    if not isinstance(predict, Predictor):
        return None
    with torch.inference_mode(False), torch.enable_grad():
        volume = image.detach().clone()[None, None].requires_grad_()
        try:
            (gradient,) = torch.autograd.grad(predict(volume).sum(), volume)
        except (RuntimeError, MemoryError):  # no gradient, or not for these weights
            return None
    effects = gradient[0, 0].double() * (image - hidden).double()
    values: NDArray[np.float64] = effects.cpu().numpy()
    return values if np.isfinite(values).all() else None
