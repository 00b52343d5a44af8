"""Attention rollout: which patches the attention of all layers together leads to.

Abnar and Zuidema (2020), "Quantifying attention flow in transformers". Each patch gets
some ink, and each layer mixes the ink of its tokens as it mixes the tokens: half of it
by attention, mean of all heads, and half past it by the shortcut. A patch's share is
how much of its ink arrives at what the head reads: the gradient of the arriving ink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_neuropretrain.errors import ConfigError


def attention_rollout(network: Any, image: Tensor) -> Tensor:
    """Return the share of each patch, (x, y, z); all together are 1.

    Of a MiNiT, which looks at each block alone, the head reads one token of each block,
    in proportion to the block's part in the output. Swin's head reads the mean of all
    tokens of its last map, and a merging joins four tokens in equal parts.

    Parameters
    ----------
    network
        A transformer in evaluation mode.
    image
        The scan, (X, Y, Z).

    Raises
    ------
    ConfigError
        If the network has no attention.
    """
    if hasattr(network, "see_blocks"):
        arrive = _through_blocks
    elif getattr(network, "token_layout", "") == "map":
        arrive = _through_windows
    elif getattr(network, "token_layout", "") == "sequence":
        arrive = _through_sequence
    else:
        raise ConfigError(
            f"method: attention_rollout needs a transformer, but this model is a "
            f"{type(network).__name__}. Use occlusion or integrated_gradients."
        )
    with torch.enable_grad():
        ink, arrived = arrive(network, image[None, None])
        (shares,) = torch.autograd.grad(arrived, ink)
    return shares / shares.sum()


def _through_sequence(network: Any, volume: Tensor) -> tuple[Tensor, Tensor]:
    """Every token attends to every other: ViT, NiT."""
    ink = _new_ink(network.grid, volume)
    patches = ink.reshape(1, -1, 1)
    pooled = getattr(network, "pool", "class")
    start = _after_class_token(patches) if pooled == "class" else patches
    last = _run(network, volume, start, network.blocks)
    return ink, last.mean() if pooled == "mean" else last[0, 0, 0]


def _through_blocks(network: Any, volume: Tensor) -> tuple[Tensor, Tensor]:
    """Each block of the volume is a sequence of its own: MiNiT."""
    ink = _new_ink(network.grid, volume)
    pairs = (network.edge, network.inner) * 3
    # (blocks, patches of each, 1), in the order of the network.
    blocks = ink.reshape(pairs).permute(0, 2, 4, 1, 3, 5)
    patches = blocks.reshape(network.edge**3, -1, 1)
    last = _run(network, volume, _after_class_token(patches), network.layers)
    with torch.no_grad():
        tokens = network.encode(volume).features.reshape(len(patches), -1)
        each = network.head.each(tokens)  # (blocks, out_features)
        parts = each.flatten() * network.head.join.weight[0]
        parts = parts.reshape(each.shape).sum(1).abs()
        if not bool(parts.sum() > 0):
            parts = torch.ones_like(parts)
    return ink, (last[:, 0, 0] * parts / parts.sum()).sum()


def _through_windows(network: Any, volume: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens attend within shifted windows and are merged between stages: Swin."""
    with torch.no_grad():
        _, x, y, z, _ = network.embed(volume).shape
    ink = _new_ink((x, y, z), volume)
    steps = [one for one in network.features.modules() if _is_step(one)]
    return ink, _run(network, volume, ink.reshape(1, x, y, z, 1), steps).mean()


def _run(network: nn.Module, volume: Tensor, ink: Tensor, steps: Any) -> Tensor:
    """Run the network, mix the ink beside it, and return what is left of it."""
    state = [ink]

    def attend(module: Any, inputs: tuple[Tensor, ...]) -> None:
        mixed = module.mix(inputs[0].detach(), state[0])
        state[0] = 0.5 * mixed + 0.5 * state[0]

    def merge(_module: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        state[0] = _merge(state[0])

    hooks = []
    for step in steps:
        hook: Callable[..., None] = attend if hasattr(step, "attn") else merge
        place = step.attn if hasattr(step, "attn") else step
        hooks.append(place.register_forward_pre_hook(hook))
    try:
        network(volume)
    finally:
        for one in hooks:
            one.remove()
    return state[0]


def _is_step(module: nn.Module) -> bool:
    return hasattr(module, "attn") or hasattr(module, "reduction")


def _merge(ink: Tensor) -> Tensor:
    """Average 2x2 in y and z, as a merging joins tokens; (1, x, y, z, 1)."""
    y, z = (edge % 2 for edge in ink.shape[2:4])
    even = functional.pad(ink[..., 0], (0, z, 0, y))
    return functional.avg_pool3d(even, (1, 2, 2))[..., None]


def _new_ink(grid: tuple[int, int, int], like: Tensor) -> Tensor:
    return torch.ones(grid, device=like.device, requires_grad=True)


def _after_class_token(patches: Tensor) -> Tensor:
    """Put a token without ink before each sequence (B, N, 1)."""
    return torch.cat((torch.zeros_like(patches[:, :1]), patches), dim=1)
