"""Checks that a map needs before it is believed.

A map that a randomised network gives as well explains nothing (Adebayo et al. 2018,
"Sanity checks for saliency maps"); the voxels it calls strongest must move the output
more than others (Samek et al. 2017, "Evaluating the visualization of what a deep neural
network has learned"); and it should not hang on the size of the cube.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_neuropretrain.explanation.hiders import Predict

Map = NDArray[np.float32]
_OTHERS = ((1, 2), (0, 2), (0, 1))
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the brain that are hidden, strongest voxels first."""
MOST_ALIKE = 0.5
"""Correlation with the map of a randomised network from which a map is doubted."""


@dataclass(frozen=True)
class Deletion:
    """What hiding the strongest voxels first does to the output, beside chance.

    Parameters
    ----------
    shares
        Of the brain, hidden.
    outputs
        With the strongest voxels hidden, in the output's units.
    random_outputs
        The same for maps in which other places are the strongest; mean.
    change, random_change
        Mean absolute change of the output over all shares.
    beaten
        Share of the random maps that move the output less than the map does.
    """

    shares: tuple[float, ...]
    outputs: tuple[float, ...]
    random_outputs: tuple[float, ...]
    change: float
    random_change: float
    beaten: float

    def to_json(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Return a copy of a network with the numbers of each tensor in random order.

    Weights keep their sizes and scales, and lose what was learned. Statistics of
    normalisation layers stay.
    """
    random = copy.deepcopy(network)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in random.parameters():
            order = torch.randperm(parameter.numel(), generator=draw)
            values = parameter.detach().reshape(-1)[order.to(parameter.device)]
            parameter.copy_(values.reshape(parameter.shape))
    return random


def likeness(first: Map, second: Map, brain: NDArray[np.bool_]) -> float:
    """Return the correlation of two maps in the brain; 0 if one of them is flat.

    Examples
    --------
    >>> ramp = np.arange(4.0, dtype=np.float32)
    >>> likeness(ramp, -ramp, np.ones(4, bool)), likeness(ramp, 0 * ramp, ramp >= 0)
    (-1.0, 0.0)
    """
    one, two = first[brain].astype(float), second[brain].astype(float)
    if one.std() == 0 or two.std() == 0:
        return 0.0
    return round(float(np.corrcoef(one, two)[0, 1]), 4)


@torch.inference_mode()
def delete_strongest(
    predict: Predict,
    image: Tensor,
    hidden: Tensor,
    brain: NDArray[np.bool_],
    effects: Map,
    seed: int = 0,
    rounds: int = 5,
) -> Deletion:
    """Hide more and more of the brain, the strongest voxels of a map first.

    Chance is the same map moved by a random amount along each axis: just as smooth,
    but about other places.

    Parameters
    ----------
    predict
        Volumes (B, 1, X, Y, Z) to outputs (B,).
    image, hidden
        The scan, and the scan with everything hidden, (X, Y, Z).
    brain
        Boolean (X, Y, Z).
    effects
        The map; strength is the absolute value.
    seed, rounds
        Of the random maps.
    """
    draw = np.random.default_rng(seed)

    def curve(strength: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        steps = [_hide(image, hidden, one) for one in _strongest(strength, brain)]
        return np.array([float(predict(one[None, None])[0]) for one in steps])

    whole = float(predict(image[None, None])[0])
    outputs = curve(np.abs(effects))
    others = [curve(_moved(np.abs(effects), brain, draw)) for _ in range(rounds)]
    change = float(np.abs(outputs - whole).mean())
    changes = [float(np.abs(other - whole).mean()) for other in others]
    return Deletion(
        SHARES,
        tuple(outputs.tolist()),
        tuple(np.mean(others, axis=0).tolist()),
        change,
        float(np.mean(changes)),
        float(np.mean([one < change for one in changes])),
    )


def outside_share(
    map_of: Callable[[Tensor, Tensor], Map], image: Tensor, brain: Tensor, effects: Map
) -> float:
    """Return which share of all effects lies outside the brain.

    Parameters
    ----------
    map_of
        From a scan and a mask to the map inside the mask.
    image, brain
        The scan and its brain, (X, Y, Z).
    effects
        The map inside the brain.
    """
    outside = ~brain
    if not bool((image[outside] != 0).any()):
        return 0.0  # hiding nothing changes nothing
    beyond = float(np.abs(map_of(image, outside)).sum())
    inside = float(np.abs(effects).sum())
    return round(beyond / (beyond + inside), 4) if beyond + inside else 0.0


def doubts(checks: dict[str, Any]) -> list[str]:
    """Say in words which checks a map did not pass.

    Parameters
    ----------
    checks
        As in ``_explanation.json``.
    """
    found = []
    alike = checks["randomised_network"]["correlation"]
    if abs(alike) > MOST_ALIKE:
        found.append(
            f"A network with shuffled weights gives nearly the same map (r = "
            f"{alike:.2f}), so the map shows the scan, not what was learned."
        )
    if checks["deletion"]["beaten"] < 1:
        found.append(
            "Hiding the strongest voxels moves the output no more than hiding others."
        )
    if checks["outside_share"] > 0.1:
        found.append(
            f"{checks['outside_share']:.0%} of the effect lies outside the brain."
        )
    return found


def _strongest(
    strength: NDArray[np.floating[Any]], brain: NDArray[np.bool_]
) -> list[NDArray[np.bool_]]:
    """Return masks of the strongest share of the brain, for each of `SHARES`."""
    places = np.flatnonzero(brain)
    order = places[np.argsort(-strength.ravel()[places], kind="stable")]
    masks = []
    for share in SHARES:
        mask = np.zeros(brain.size, dtype=bool)
        mask[order[: max(1, round(share * order.size))]] = True
        masks.append(mask.reshape(brain.shape))
    return masks


def _hide(image: Tensor, hidden: Tensor, mask: NDArray[np.bool_]) -> Tensor:
    return torch.where(torch.from_numpy(mask).to(image.device), hidden, image)


def _moved(strength: Map, brain: NDArray[np.bool_], draw: np.random.Generator) -> Map:
    """Move a map by a random amount; what leaves the brain's box comes back in."""
    ranges = [np.flatnonzero(brain.any(axis=others)) for others in _OTHERS]
    box = tuple(slice(int(one[0]), int(one[-1]) + 1) for one in ranges)
    edges = strength[box].shape
    steps = tuple(int(draw.integers(edge // 4, edge - edge // 4 + 1)) for edge in edges)
    moved = np.zeros_like(strength)
    moved[box] = np.roll(strength[box], steps, axis=(0, 1, 2))
    return moved


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [float(f"{one:.6g}") for one in value]
    return float(f"{value:.6g}")
