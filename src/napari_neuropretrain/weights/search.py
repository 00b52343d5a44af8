"""Find the tensors in a checkpoint: under which key, and behind which prefix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from napari_neuropretrain.weights.fitting import Fitted, Tensors, fit
from napari_neuropretrain.weights.layouts import Layout
from napari_neuropretrain.weights.target import Geometry, Target

_DEEPEST, _LONGEST_PREFIX, _SHARE = 3, 4, 0.05


@dataclass(frozen=True)
class StateDict:
    """Tensors of a file.

    Parameters
    ----------
    where
        Keys that lead to them, such as ``"state_dict"``; empty at the top.
    tensors
        Tensor by name.
    """

    where: str
    tensors: dict[str, Tensor]


def find_state_dicts(content: Any, where: str = "") -> Iterator[StateDict]:
    """Yield every mapping of names to tensors inside what a file holds.

    Optimiser states are passed over: their names are numbers.
    """
    if not isinstance(content, Mapping):
        return
    named = {
        name: value for name, value in content.items() if isinstance(value, Tensor)
    }
    tensors = {name: value for name, value in named.items() if isinstance(name, str)}
    if tensors:
        yield StateDict(where, tensors)
    if where.count("/") >= _DEEPEST:
        return
    for name, value in content.items():
        if isinstance(name, str) and name != "optimizer":
            yield from find_state_dicts(value, f"{where}/{name}" if where else name)


def prefixes(names: Iterable[str]) -> list[str]:
    """List what may stand before the names of the network itself.

    Examples
    --------
    >>> prefixes(["module.encoder.a.weight", "module.encoder.a.bias"])
    ['', 'module.', 'module.encoder.', 'module.encoder.a.']
    """
    given = list(names)
    counted: Counter[str] = Counter()
    for name in given:
        parts = name.split(".")
        for length in range(1, min(len(parts), _LONGEST_PREFIX + 1)):
            counted[".".join(parts[:length]) + "."] += 1
    enough = max(2, _SHARE * len(given))
    return ["", *(prefix for prefix, number in counted.items() if number >= enough)]


def best_fit(
    content: Any,
    target: Target,
    layout: Layout,
    geometry: Geometry | None = None,
) -> Fitted:
    """Fit what a file holds into a network, from where most of it is filled.

    Parameters
    ----------
    content
        What `read_checkpoint` returned.
    target, layout, geometry
        As for `fit`.
    """
    places = [
        (found, prefix)
        for found in find_state_dicts(content)
        for prefix in prefixes(found.tensors)
    ]
    if not places:
        return fit({}, target, layout)
    found, prefix = max(
        places,
        key=lambda place: _names_filled(place[0].tensors, place[1], target, layout),
    )
    fitted = fit(found.tensors, target, layout, prefix, geometry)
    if not found.where:
        return fitted
    notes = (f"  found under '{found.where}'", *fitted.coverage.notes)
    return Fitted(fitted.tensors, replace(fitted.coverage, notes=notes))


def _names_filled(
    state: Tensors, prefix: str, target: Target, layout: Layout
) -> tuple[int, int]:
    """Count names that would be found; of equals the shorter prefix is taken."""
    inner = [name.removeprefix(prefix) for name in state if name.startswith(prefix)]
    own = {layout.rename(name) for name in inner if not layout.reason_to_drop(name)}
    return len(own & target.shapes.keys()), -len(prefix)
