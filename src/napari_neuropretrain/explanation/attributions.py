"""Maps that are not made by hiding: gradients, class activations, attention.

Sundararajan et al. (2017), integrated gradients; Smilkov et al. (2017), SmoothGrad;
Selvaraju et al. (2017), Grad-CAM; Abnar and Zuidema (2020), attention rollout. The
first two are Captum's.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_neuropretrain.explanation.grad_cam import grad_cam
from napari_neuropretrain.explanation.hiders import Predictor
from napari_neuropretrain.explanation.rollout import attention_rollout

Map: TypeAlias = NDArray[np.float32]
Attribution: TypeAlias = Literal[
    "integrated_gradients", "smooth_grad", "grad_cam", "attention_rollout"
]
RULES: dict[str, str] = {
    "integrated_gradients": (
        "Voxel: its share in the output minus the output with the whole brain hidden "
        "(integrated gradients, 32 steps); all voxels add up to that difference."
    ),
    "smooth_grad": (
        "Voxel: mean gradient over 16 copies with noise (SD 0.3), times the voxel "
        "minus what would hide it; the change of the output to first order."
    ),
    "grad_cam": (
        "Cell of a feature map: its channels, weighted by their mean gradient; "
        "interpolated to voxels. Both signs are kept."
    ),
    "attention_rollout": (
        "Share of the attention that a patch gets from what the head reads, over all "
        "layers; interpolated to voxels. Blocks of MiNiT count by their part in the "
        "output. It has no sign, and is no effect."
    ),
}
_STEPS, _COPIES, _NOISE = 32, 16, 0.3


def attribution_map(
    method: Attribution,
    predictor: Predictor,
    image: Tensor,
    hidden: Tensor,
    brain: Tensor,
    stage: int = 0,
) -> Map:
    """Return a map (X, Y, Z), 0 outside the brain.

    Parameters
    ----------
    method
        See `RULES` for what a voxel means.
    predictor
        A network with outputs in their units.
    image, hidden
        The scan, and the scan with everything hidden, (X, Y, Z), on the device of the
        network.
    brain
        Boolean (X, Y, Z).
    stage
        Of `grad_cam`.

    Raises
    ------
    ConfigError
        If the method does not fit the network.
    """
    inside = brain.to(image.device)
    if method == "integrated_gradients":
        values = _integrated_gradients(predictor, image, hidden)
    elif method == "smooth_grad":
        values = _smooth_grad(predictor, image, hidden, inside)
    elif method == "grad_cam":
        values = _to_voxels(grad_cam(predictor, image, stage), image)
    else:
        shares = attention_rollout(predictor.network, image)
        values = _to_voxels(shares[None, None], image)
    made: Map = (values * inside).detach().cpu().numpy().astype(np.float32)
    return made


def _integrated_gradients(
    predictor: Predictor, image: Tensor, hidden: Tensor
) -> Tensor:
    from captum.attr import IntegratedGradients  # loads slowly

    method = IntegratedGradients(predictor)
    values: Tensor = method.attribute(
        image[None, None],
        hidden[None, None],
        n_steps=_STEPS,
        internal_batch_size=2,
    )
    return values[0, 0]


def _smooth_grad(
    predictor: Predictor, image: Tensor, hidden: Tensor, inside: Tensor
) -> Tensor:
    from captum.attr import NoiseTunnel, Saliency

    def predict(volumes: Tensor) -> Tensor:
        # Noise in the air would be news to the network.
        return predictor(torch.where(inside, volumes, image))

    smooth = NoiseTunnel(Saliency(predict))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        gradient: Tensor = smooth.attribute(
            image[None, None],
            nt_type="smoothgrad",
            nt_samples=_COPIES,
            nt_samples_batch_size=2,
            stdevs=_NOISE,
            abs=False,
        )
    return gradient[0, 0] * (image - hidden)


def _to_voxels(cells: Tensor, image: Tensor) -> Tensor:
    """Interpolate (1, 1, x, y, z) to the image's voxels."""
    fine: Tensor = functional.interpolate(
        cells, tuple(image.shape), mode="trilinear", align_corners=False
    )
    return fine[0, 0]
