"""Fit the tensors of a file into a network, and account for every one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from napari_neuropretrain.weights.coverage import Coverage
from napari_neuropretrain.weights.layouts import Layout
from napari_neuropretrain.weights.reshaping import (
    Triple,
    guess_cube,
    guess_window,
    resize_bias_table,
    resize_positions,
    sum_input_channels,
    unfold_patches,
)
from napari_neuropretrain.weights.target import (
    BIAS_TABLE,
    POSITIONS,
    Geometry,
    Target,
)

Tensors = Mapping[str, Tensor]
_RGB = 3
_AS_IT_IS, _NO_RULE = "", None


@dataclass(frozen=True)
class Fitted:
    """Tensors under the names and in the shapes of a network.

    Parameters
    ----------
    tensors
        What can be loaded.
    coverage
        What became of every tensor.
    """

    tensors: dict[str, Tensor]
    coverage: Coverage


def fit(
    state: Tensors,
    target: Target,
    layout: Layout,
    prefix: str = "",
    geometry: Geometry | None = None,
) -> Fitted:
    """Rename and reshape the tensors of a file for a network.

    Parameters
    ----------
    state
        Tensor by its name in the file.
    target
        What the network needs.
    layout
        How the file names things.
    prefix
        What stands before every name that counts; the rest is reported.
    geometry
        Of the file's tables, by our names; guessed from shapes where not known.

    Returns
    -------
    Fitted
        New tensors; those of `state` are not changed.
    """
    fitting = _Fitting(target, geometry or Geometry())
    for name, tensor in state.items():
        inner = name.removeprefix(prefix)
        if reason := layout.reason_to_drop(inner):
            fitting.dropped[name] = reason
        elif name.startswith(prefix):
            fitting.place(name, layout.rename(inner), tensor)
        else:
            fitting.unexpected.append(name)
    notes = (f"  names in the file start with '{prefix}'",) if prefix else ()
    return Fitted(fitting.tensors, fitting.coverage(layout, notes))


@dataclass
class _Fitting:
    """Takes one tensor after the other and keeps the books."""

    target: Target
    geometry: Geometry
    tensors: dict[str, Tensor] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    reshaped: dict[str, str] = field(default_factory=dict)
    misshapen: dict[str, str] = field(default_factory=dict)

    def place(self, name: str, own: str, tensor: Tensor) -> None:
        """Put a tensor where it belongs, or note why not."""
        if own in self.target.counters and tensor.ndim == 0:
            self.tensors[own] = tensor.clone()
            return
        if own not in self.target.shapes or own in self.tensors:
            self.unexpected.append(name)
            return
        shape = self.target.shapes[own]
        fitted, how = reshape(tensor, own, self.target, self.geometry)
        if how is _NO_RULE or tuple(fitted.shape) != shape:
            given = f"{tuple(tensor.shape)} in the file, {shape} in the network"
            self.misshapen[own] = given
            return
        self.tensors[own] = fitted.detach().clone().contiguous()
        if how:
            self.reshaped[own] = how

    def coverage(self, layout: Layout, notes: tuple[str, ...]) -> Coverage:
        """Close the books."""
        shapes = self.target.shapes
        filled = tuple(name for name in shapes if name in self.tensors)
        wrong = {n: t for n, t in self.misshapen.items() if n not in self.tensors}
        lacking = [name for name in shapes if name not in {*filled, *wrong}]
        fresh = {n: why for n in lacking if (why := layout.reason_to_lack(n))}
        return Coverage(
            matched=filled,
            missing=tuple(name for name in lacking if name not in fresh),
            unexpected=tuple(self.unexpected),
            reshaped=self.reshaped,
            misshapen=wrong,
            dropped=self.dropped,
            fresh=fresh,
            notes=notes,
            values_filled=self.target.count(filled),
            values_total=self.target.count(
                name for name in shapes if name not in fresh
            ),
        )


def reshape(
    tensor: Tensor, name: str, target: Target, geometry: Geometry
) -> tuple[Tensor, str | None]:
    """Bring a tensor into the shape the network needs.

    Parameters
    ----------
    tensor
        As it is in the file.
    name
        Its name in the network.
    target
        What the network needs.
    geometry
        Of the file's tables.

    Returns
    -------
    Tensor
        The tensor in its new shape.
    str or None
        What was done: empty if nothing had to be, None where no rule applies.
    """
    shape = target.shapes[name]
    if not tensor.is_floating_point():
        return tensor, _NO_RULE
    if name.endswith(BIAS_TABLE) and tensor.ndim == 2:
        return _fit_table(tensor, geometry.windows.get(name), target.window(name))
    if name.endswith(POSITIONS) and tensor.ndim == 3:
        return _fit_positions(tensor, geometry.grids.get(name), target.grid(name))
    if tuple(tensor.shape) == shape:
        return tensor, _AS_IT_IS
    is_stem = len(shape) == 5 and shape[1] == 1
    if is_stem and tuple(tensor.shape) == (shape[0], _RGB, *shape[2:]):
        return sum_input_channels(tensor), "3 input channels summed to 1"
    if is_stem and tensor.ndim == 2:
        return _fit_patches(tensor, (shape[2], shape[3], shape[4]))
    return tensor, _NO_RULE


def _fit_table(
    table: Tensor, given: Triple | None, window: Triple | None
) -> tuple[Tensor, str | None]:
    """Fit a bias table from the file's window (guessed if not given) to ours."""
    if window is None:
        return table, _NO_RULE
    same = table.shape[0] == _offsets(window)
    old = given or (window if same else guess_window(table.shape[0]))
    if old is None or _offsets(old) != table.shape[0]:
        return table, _NO_RULE
    if old == window:
        return table, _AS_IT_IS
    how = f"bias table interpolated from window {old} to {window}"
    return resize_bias_table(table, old, window), how


def _fit_positions(
    positions: Tensor, given: Triple | None, grid: Triple | None
) -> tuple[Tensor, str | None]:
    """Fit position embeddings from the file's grid (guessed if not given) to ours."""
    if grid is None:
        return positions, _NO_RULE
    same = positions.shape[1] == _tokens(grid)
    old = given or (grid if same else guess_cube(positions.shape[1]))
    if old is None or _tokens(old) != positions.shape[1]:
        return positions, _NO_RULE
    if old == grid:
        return positions, _AS_IT_IS
    how = f"position embeddings interpolated from {old} to {grid} tokens"
    return resize_positions(positions, old, grid), how


def _fit_patches(weight: Tensor, patch: Triple) -> tuple[Tensor, str | None]:
    """Fit a linear patch embedding into a convolution."""
    if weight.shape[1] % _tokens(patch):
        return weight, _NO_RULE
    kernel = unfold_patches(weight, patch)
    how = "linear patch embedding written as a convolution"
    if kernel.shape[1] == _RGB:
        return sum_input_channels(kernel), how + ", 3 input channels summed to 1"
    return kernel, how


def _offsets(window: Triple) -> int:
    return (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)


def _tokens(grid: Triple) -> int:
    return grid[0] * grid[1] * grid[2]
