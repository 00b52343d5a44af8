"""Class activation maps from any stage of a convolutional network.

Selvaraju et al. (2017), "Grad-CAM: visual explanations from deep networks via
gradient-based localization". Theirs is the last feature map; that of a DenseNet121 has
two cells along each edge of 80 voxels, and says no place. So the deepest map with
enough cells is taken where none is asked for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.hiders import Predictor

LEAST_CELLS = 4
"""Along each axis of the map that is taken where none is asked for."""
_ABOVE = 1e-7


_FEWEST = 3
"""Cells along an axis below which no place can be read."""


def grad_cam(predictor: Predictor, image: Tensor, stage: int = 0) -> Tensor:
    """Weight the channels of a feature map by the mean gradients of the output.

    Parameters
    ----------
    predictor
        A convolutional network, with outputs in their units.
    image
        (X, Y, Z), on the device of the network.
    stage
        Which feature map, from 1; 0 for the deepest with `LEAST_CELLS` cells along
        each axis, or the finest where none has.

    Returns
    -------
    Tensor
        Cells (1, 1, x, y, z), both signs.

    Raises
    ------
    ConfigError
        If it is no convolutional network, or has no such stage.
    """
    network: Any = predictor.network
    every = _maps(network, image)
    chosen = _choose(network, every, stage)
    # Above 0, where a head that starts with a ReLU has a gradient.
    maps = (every[chosen - 1] + _ABOVE).requires_grad_()
    # A copy, because what follows may change it in place.
    last = maps.clone()
    for name in (name for after in network.stages[chosen:] for name in after):
        last = network.get_submodule(name)(last)
    output = predictor.read_outputs(network.finish(last))
    (gradient,) = torch.autograd.grad(output.sum(), maps)
    weights = gradient.mean(dim=(2, 3, 4), keepdim=True)
    return (weights * maps.detach()).sum(1, keepdim=True)


def say_stage(predictor: Predictor, image: Tensor, stage: int = 0) -> tuple[str, str]:
    """Say which feature map `grad_cam` takes, and what is wrong with it.

    Parameters
    ----------
    predictor, image, stage
        As of `grad_cam`.

    Returns
    -------
    tuple
        A sentence, and a warning where the map is too coarse to name a place; else
        an empty string.
    """
    every = _maps(predictor.network, image)
    chosen = _choose(predictor.network, every, stage)
    edges = every[chosen - 1].shape[2:]
    cells = "x".join(str(edge) for edge in edges)
    said = f"Feature map {chosen} of {len(every)}, {cells} cells."
    if min(edges) >= _FEWEST:
        return said, ""
    return said, (
        f"The feature map has only {cells} cells: no place can be read from it. Give "
        "an earlier stage, or use occlusion."
    )


def _maps(network: Any, image: Tensor) -> list[Tensor]:
    """Return the map (1, C, x, y, z) of each stage."""
    if not hasattr(network, "finish") or hasattr(network, "token_layout"):
        raise ConfigError(
            f"method: grad_cam needs a CNN, but this model is a "
            f"{type(network).__name__}. Use occlusion or integrated_gradients."
        )
    with torch.no_grad():
        found: list[Tensor] = network.stage_maps(image[None, None])
    return found


def _choose(network: Any, every: list[Tensor], stage: int) -> int:
    """Return the number of a stage, from 1."""
    if stage > len(every):
        raise ConfigError(
            f"stage: {stage} was given, but this {type(network).__name__} has "
            f"{len(every)} feature maps. Give 1 to {len(every)}, or 0."
        )
    return stage or _deepest([min(one.shape[2:]) for one in every])


def _deepest(edges: list[int]) -> int:
    """Return the number of the deepest map with enough cells, from 1.

    Examples
    --------
    >>> _deepest([20, 20, 10, 5, 2])
    4
    >>> _deepest([3, 2])
    1
    """
    enough = [number for number, edge in enumerate(edges, 1) if edge >= LEAST_CELLS]
    return enough[-1] if enough else 1
