"""How each kind of layer looks at a map."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_neuropretrain.explanation.incremental.boxes import (
    Reach,
    Triple,
    layout_of,
)

Kind: TypeAlias = Literal["input", "window", "voxel", "join", "whole"]
"""How a step looks at a map: neighbours, each voxel alone, several maps voxel by
voxel, or in a way that needs all of it."""
_VOXEL_MODULES = (
    nn.BatchNorm3d,
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Dropout,
    nn.Dropout3d,
    nn.Identity,
)


@dataclass(eq=False)
class Step:
    """One operation on maps.

    Parameters
    ----------
    kind
        How it looks at its inputs.
    inputs
        Numbers of the steps that it reads.
    run
        From the whole maps of `inputs` to its own.
    reach
        Of a ``"window"`` step.
    unpadded
        The same as `run` for a map that carries its padding, for a ``"window"`` step.
    filler
        What the padding holds.
    """

    kind: Kind
    inputs: tuple[int, ...]
    run: Callable[..., Tensor]
    reach: Reach | None = None
    unpadded: Callable[[Tensor], Tensor] | None = None
    filler: float = 0.0
    mixing: nn.Conv3d | None = None
    """The convolution of a ``"voxel"`` step that is one of 1x1x1."""
    last_readers: list[int] = field(default_factory=list)
    """Steps whose maps nobody reads after this one."""


def module_step(module: nn.Module, inputs: tuple[int, ...]) -> Step:
    """Return what a layer does to the map of another step."""
    if isinstance(module, nn.Conv3d) and module.padding_mode == "zeros":
        return convolution(module, inputs)
    if isinstance(module, nn.MaxPool3d) and not module.ceil_mode:
        return _maximum(module, inputs)
    if isinstance(module, nn.AvgPool3d) and is_plain(module):
        reach = _reach(module.kernel_size, module.stride, 0)
        run = _averaging(module)
        return Step("window", inputs, run, reach, run)
    if isinstance(module, nn.ReLU):
        return Step("voxel", inputs, functional.relu)
    if isinstance(module, _VOXEL_MODULES):
        return Step("voxel", inputs, module)
    return Step("whole", inputs, module)


def convolution(module: nn.Conv3d, inputs: tuple[int, ...]) -> Step:
    """Return the step of a convolution; of one voxel, it needs no neighbours."""
    dilation = _triple(module.dilation)
    kernel = _triple(module.kernel_size)
    wide = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    if isinstance(module.padding, str):
        return Step("whole", inputs, module)
    reach = _reach(wide, module.stride, module.padding)

    def unpadded(windows: Tensor) -> Tensor:
        outputs: Tensor = functional.conv3d(
            windows,
            module.weight,
            module.bias,
            module.stride,
            0,
            module.dilation,
            module.groups,
        )
        return outputs

    if reach == _reach(1, 1, 0) and module.groups == 1:
        return Step("voxel", inputs, _mixing(module), mixing=module)
    return Step("window", inputs, module, reach, unpadded)


def rectify(step: Step) -> Step:
    """Return the step of a layer with the rectifier that follows it."""
    if step.mixing is not None:
        run = _mixing(step.mixing, "relu")
    else:
        run = _rectified(step.run)
    unpadded = _rectified(step.unpadded) if step.unpadded else None
    return replace(step, run=run, unpadded=unpadded)


def _rectified(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *maps: run(*maps).relu_()


def _mixing(
    module: nn.Conv3d, then: Literal["none", "relu"] = "none"
) -> Callable[[Tensor], Tensor]:
    """Return a 1x1x1 convolution as the matrix product that it is."""
    matrix = module.weight.flatten(1)

    def run(maps: Tensor) -> Tensor:
        if layout_of(maps) is torch.contiguous_format:
            outputs: Tensor = module(maps)
            return outputs.relu_() if then == "relu" else outputs
        mixed = _multiply(maps.permute(0, 2, 3, 4, 1), matrix, module.bias, then)
        return mixed.permute(0, 4, 1, 2, 3)

    return run


def _multiply(
    rows: Tensor, matrix: Tensor, bias: Tensor | None, then: Literal["none", "relu"]
) -> Tensor:
    """Return ``rows @ matrix.T + bias``, on the CPU by oneDNN where it is there.

    On processors for which torch's own product is not made, oneDNN's takes half the
    time, and a third of that of a convolution.
    """
    if not rows.is_cuda and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        try:
            fused: Tensor = torch.ops.mkldnn._linear_pointwise(
                rows, matrix, bias, then, [], ""
            )
        except (AttributeError, RuntimeError):  # not in every build
            pass
        else:
            return fused
    outputs = functional.linear(rows, matrix, bias)
    return outputs.relu_() if then == "relu" else outputs


def _maximum(module: nn.MaxPool3d, inputs: tuple[int, ...]) -> Step:
    if _triple(module.dilation) != (1, 1, 1):
        return Step("whole", inputs, module)

    def unpadded(windows: Tensor) -> Tensor:
        return functional.max_pool3d(windows, module.kernel_size, module.stride)

    reach = _reach(module.kernel_size, module.stride, module.padding)
    return Step("window", inputs, module, reach, unpadded, -torch.inf)


def _averaging(module: nn.AvgPool3d) -> Callable[[Tensor], Tensor]:
    """Return an average over blocks that keeps the layout, and is faster so."""
    kernel = _triple(module.kernel_size)
    if _triple(module.stride) != kernel or module.divisor_override is not None:
        return module

    def run(maps: Tensor) -> Tensor:
        ends = [e // k * k for e, k in zip(maps.shape[2:], kernel, strict=True)]
        parts = [
            maps[
                :,
                :,
                i : ends[0] : kernel[0],
                j : ends[1] : kernel[1],
                k : ends[2] : kernel[2],
            ]
            for i, j, k in itertools.product(*map(range, kernel))
        ]
        total = parts[0] + parts[1] if len(parts) > 1 else parts[0]
        for part in parts[2:]:
            total += part
        return total / len(parts)

    return run


def is_plain(module: nn.AvgPool3d) -> bool:
    """Say whether an average is over whole blocks only."""
    return _triple(module.padding) == (0, 0, 0) and not module.ceil_mode


def _reach(kernel: Any, stride: Any, padding: Any) -> Reach:
    return Reach(_triple(kernel), _triple(stride), _triple(padding))


def _triple(value: Any) -> Triple:
    if isinstance(value, int):
        return value, value, value
    x, y, z = value
    return x, y, z
