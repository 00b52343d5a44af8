"""What a network takes from a file: everything but its head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from napari_neuropretrain.weights.reshaping import Triple, guess_cube, guess_window

BIAS_TABLE = "relative_position_bias_table"
POSITIONS = "position_embeddings"
# MONAI's ViT has these, and some of its files do; MINIT's released code too.
_NEVER_RUN = (".norm_cross_attn.", "unused")


@dataclass(frozen=True)
class Geometry:
    """How tables of positions are laid out, by our name of the table.

    Parameters
    ----------
    windows
        Window of a relative position bias table, in tokens.
    grids
        Grid of position embeddings, in tokens.
    """

    windows: Mapping[str, Triple] = field(default_factory=dict)
    grids: Mapping[str, Triple] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """Names and shapes of a network without its head.

    Parameters
    ----------
    shapes
        Shape by name, for parameters and running statistics.
    counters
        Further names, of integers, that are taken where the file has them.
    geometry
        Of its own tables; guessed from the shapes where it is not known.
    """

    shapes: Mapping[str, tuple[int, ...]]
    counters: frozenset[str] = frozenset()
    geometry: Geometry = Geometry()

    def window(self, name: str) -> Triple | None:
        """Return the window of a bias table."""
        return self.geometry.windows.get(name) or guess_window(self.shapes[name][0])

    def grid(self, name: str) -> Triple | None:
        """Return the grid of position embeddings."""
        return self.geometry.grids.get(name) or guess_cube(self.shapes[name][1])

    def count(self, names: Iterable[str]) -> int:
        """Count the numbers in the tensors called `names`."""
        return sum(int(torch.Size(self.shapes[name]).numel()) for name in names)


def target_of(network: nn.Module) -> Target:
    """Describe what `network` needs.

    Buffers that a network builds from its options, such as indices into a bias
    table, are left out: they are never read from a file. So are layers that exist
    only because MONAI's checkpoints have them.
    """
    state = network.state_dict()
    head = head_of(network)
    names = [name for name in state if not belongs_to(name, head)]
    names = [n for n in names if not any(part in n for part in _NEVER_RUN)]
    floating = {
        name: tuple(state[name].shape)
        for name in names
        if state[name].is_floating_point()
    }
    return Target(
        shapes=floating,
        counters=frozenset(n for n in names if n.endswith("num_batches_tracked")),
        geometry=Geometry(
            windows=_triples(network, floating, BIAS_TABLE, "window"),
            grids=_triples(network, floating, POSITIONS, "grid"),
        ),
    )


def head_of(network: nn.Module) -> str:
    """Return the name of the submodule that makes the outputs."""
    return str(getattr(network, "head_name", ""))


def belongs_to(name: str, part: str) -> bool:
    """Say whether a tensor is in the submodule `part`.

    Examples
    --------
    >>> belongs_to("head.weight", "head"), belongs_to("header.weight", "head")
    (True, False)
    """
    return bool(part) and (name == part or name.startswith(part + "."))


def _triples(
    network: nn.Module, names: Iterable[str], ending: str, attribute: str
) -> dict[str, Triple]:
    """Read a geometry from the modules that own the tables."""
    found = {}
    for name in names:
        if name.endswith(ending):
            owner = network.get_submodule(name.rpartition(".")[0])
            value = _attribute(owner, attribute) or _attribute(network, attribute)
            if value:
                found[name] = value
    return found


def _attribute(module: nn.Module, name: str) -> Triple | None:
    for spelling in (name, f"{name}_size"):
        value = getattr(module, spelling, None)
        if isinstance(value, tuple | list) and len(value) == 3:
            return (int(value[0]), int(value[1]), int(value[2]))
    return None
