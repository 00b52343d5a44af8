"""A network as a list of steps, simplified for inference."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_neuropretrain.explanation.incremental.layers import (
    Step,
    convolution,
    is_plain,
    module_step,
    rectify,
)

_JOINS = {torch.cat, torch.add, operator.add, operator.iadd}
_RECTIFIERS = {functional.relu, torch.relu}
_VOXEL_FUNCTIONS = {*_RECTIFIERS, functional.leaky_relu}


def read_program(network: nn.Module) -> list[Step]:
    """Return the steps of a network from one map to one map.

    Batch normalisation after a convolution becomes part of it, averages are taken
    before a 1x1x1 convolution instead of after it, and rectification is done where it
    finds the values: all that changes nothing but rounding.

    Raises
    ------
    Exception
        Whatever `torch.fx` raises where a network's course depends on its input.
    """
    # In a container: a single layer would be taken apart into what it calls.
    traced = fx.symbolic_trace(nn.Sequential(network))
    modules = dict(traced.named_modules())
    _fold_norms(traced.graph, modules)
    _average_first(traced.graph, modules)
    rectified = _fold_rectifiers(traced.graph, modules)
    numbers: dict[fx.Node, int] = {}
    steps: list[Step] = []
    for node in traced.graph.nodes:
        if node.op == "output":
            break
        inputs = tuple(numbers[one] for one in node.all_input_nodes)
        numbers[node] = len(steps)
        step = _step(node, modules, inputs)
        steps.append(rectify(step) if node in rectified else step)
    _note_last_readers(steps)
    return steps


def _step(node: fx.Node, modules: dict[str, Any], inputs: tuple[int, ...]) -> Step:
    if node.op == "placeholder":
        return Step("input", (), _nothing)
    if node.op == "call_module":
        return module_step(modules[str(node.target)], inputs)
    run = _call(node)
    if node.target in _JOINS and _joins_maps(node):
        return Step("join", inputs, run)
    if node.target in _VOXEL_FUNCTIONS:
        return Step("voxel", inputs, run)
    return Step("whole", inputs, run)


def _nothing() -> Tensor:
    raise LookupError("the input of a program is given, not computed")


def _joins_maps(node: fx.Node) -> bool:
    """Say whether maps are joined along channels, or added."""
    if node.target is not torch.cat:
        return len(node.all_input_nodes) == len(node.args) == 2
    dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    maps = node.args[0] if node.args else None
    if dim != 1 or not isinstance(maps, list | tuple):
        return False
    return len(set(maps)) == len(maps)


def _call(node: fx.Node) -> Callable[..., Tensor]:
    """Return a function of the node's input maps."""
    sources = node.all_input_nodes

    def run(*maps: Tensor) -> Tensor:
        given = dict(zip(sources, maps, strict=True))
        arguments, named = fx.node.map_arg((node.args, node.kwargs), given.__getitem__)
        if isinstance(node.target, str):
            outputs: Tensor = getattr(arguments[0], node.target)(
                *arguments[1:], **named
            )
        else:
            # No input may change: others read it, and it may be the reference.
            named = {**named, "inplace": False} if "inplace" in named else named
            outputs = node.target(*arguments, **named)
        return outputs

    return run


def _fold_norms(graph: fx.Graph, modules: dict[str, Any]) -> None:
    """Make batch normalisation part of the convolution before it."""
    for node in list(graph.nodes):
        before = _only_input(node)
        if before is None or not (
            _is(node, modules, nn.BatchNorm3d) and _is(before, modules, nn.Conv3d)
        ):
            continue
        name, norm = str(before.target), modules[str(node.target)]
        if norm.training or norm.running_mean is None:
            continue
        # Under a name of its own: the network keeps its layers.
        modules[f"{name} folded"] = fuse_conv_bn_eval(modules[name], norm)
        before.target = f"{name} folded"
        node.replace_all_uses_with(before)
        graph.erase_node(node)


def _average_first(graph: fx.Graph, modules: dict[str, Any]) -> None:
    """Let averages come before a 1x1x1 convolution, which then has less to do."""
    for node in list(graph.nodes):
        before = _only_input(node)
        if before is None or not (
            _is(node, modules, nn.AvgPool3d) and _is(before, modules, nn.Conv3d)
        ):
            continue
        layer, pool = modules[str(before.target)], modules[str(node.target)]
        if is_plain(pool) and convolution(layer, ()).kind == "voxel":
            before.target, node.target = node.target, before.target


def _fold_rectifiers(graph: fx.Graph, modules: dict[str, Any]) -> set[fx.Node]:
    """Take out rectifiers after layers whose output nobody else reads; name these."""
    rectified: set[fx.Node] = set()
    for node in list(graph.nodes):
        before = _only_input(node)
        if before is None or not (
            _is(node, modules, nn.ReLU) or node.target in _RECTIFIERS
        ):
            continue
        # Their outputs are their own, and never their input.
        if _is(before, modules, nn.BatchNorm3d) or _is(before, modules, nn.Conv3d):
            rectified.add(before)
            node.replace_all_uses_with(before)
            graph.erase_node(node)
    return rectified


def _only_input(node: fx.Node) -> fx.Node | None:
    """Return the input of a node that is its only one and is read by nobody else."""
    inputs = node.all_input_nodes
    return inputs[0] if len(inputs) == 1 and len(inputs[0].users) == 1 else None


def _is(node: fx.Node, modules: dict[str, Any], kind: type[nn.Module]) -> bool:
    return node.op == "call_module" and isinstance(modules[str(node.target)], kind)


def _note_last_readers(steps: list[Step]) -> None:
    seen: set[int] = {len(steps) - 1}
    for step in reversed(steps):
        step.last_readers = [number for number in step.inputs if number not in seen]
        seen.update(step.inputs)
