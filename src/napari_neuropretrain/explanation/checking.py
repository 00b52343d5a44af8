"""Run the checks of `trust` beside an occlusion map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_neuropretrain.explanation.baselines import Baseline, hide_all
from napari_neuropretrain.explanation.hiders import Predictor
from napari_neuropretrain.explanation.occlusion import Manner, occlusion_map
from napari_neuropretrain.explanation.stability import (
    compare_models,
    doubts_of_models,
)
from napari_neuropretrain.explanation.trust import (
    Map,
    delete_strongest,
    doubts,
    likeness,
    outside_share,
    randomised,
)
from napari_neuropretrain.progress import Progress, Report


@dataclass(frozen=True, eq=False)
class Checked:
    """A map and how it was made.

    Parameters
    ----------
    predictor
        The network.
    image, brain
        The scan and its brain, (X, Y, Z).
    patch
        Edge of the cube.
    baseline
        What replaced it.
    manner
        How positions were combined.
    effects
        The map.
    stride
        Step between positions.
    others
        Models to compare with, by path.
    """

    predictor: Predictor
    image: Tensor
    brain: Tensor
    patch: int
    baseline: Baseline
    manner: Manner
    effects: Map
    stride: int = 1
    others: Mapping[Path, Predictor] = field(default_factory=dict)

    @property
    def inside(self) -> NDArray[np.bool_]:
        """The brain as an array."""
        inside: NDArray[np.bool_] = self.brain.cpu().numpy()
        return inside


def run_checks(made: Checked, report: Report) -> tuple[dict[str, Any], Map]:
    """Return what the checks found, ready for JSON, and the random network's map.

    Maps for comparison are made without overlap, which costs an eighth or less of a
    map with half of it.

    Parameters
    ----------
    made
        The map.
    report
        Hears how far it is; may raise `Cancelled`.
    """
    report(Progress("step", "Checking the map: a randomised network"))
    network = randomised(made.predictor.network)
    # Its outputs as they are: a probability of a random network may be 1 everywhere.
    random = _again(made, Predictor(network, _as_it_is), made.patch, report)
    found: dict[str, Any] = {
        "randomised_network": {
            "correlation": likeness(made.effects, random, made.inside)
        }
    }
    report(Progress("step", "Checking the map: cubes of other sizes"))
    found["patch_sizes"] = [
        {
            "patch": size,
            "correlation": likeness(
                made.effects, _again(made, made.predictor, size, report), made.inside
            ),
        }
        for size in _other_sizes(made.patch, min(made.image.shape))
    ]
    report(Progress("step", "Checking the map: hiding the strongest voxels"))
    brain = made.brain.to(made.image.device)
    hidden = hide_all(made.image, brain, made.baseline, made.patch, made.manner.affine)
    curve = delete_strongest(
        made.predictor, made.image, hidden, made.inside, made.effects
    )
    found["deletion"] = curve.to_json()
    found["outside_share"] = outside_share(
        lambda image, outside: _outside(made, image, outside, report),
        made.image,
        brain,
        made.effects,
    )
    found["doubts"] = doubts(found)
    if made.others:
        found["other_models"] = _ask_others(made, report)
        found["doubts"] += doubts_of_models(found["other_models"])
    return found, random


def _ask_others(made: Checked, report: Report) -> dict[str, Any]:
    """Return how alike the maps of other models are, made in the same way."""
    settings = (made.image, made.brain, made.patch, made.stride, made.baseline)
    maps = {}
    for path, predictor in made.others.items():
        report(Progress("step", f"Checking the map: the model '{path}'"))
        maps[path] = occlusion_map(
            predictor, *settings, report=report, manner=made.manner
        ).map
    return compare_models(made.effects, maps, made.inside)


def _again(made: Checked, predictor: Predictor, patch: int, report: Report) -> Map:
    """Return the map of another network or cube, without overlap."""
    manner = Manner(made.manner.combination, None, made.manner.affine)
    return occlusion_map(
        predictor,
        made.image,
        made.brain,
        patch,
        patch,
        made.baseline,
        report=report,
        manner=manner,
    ).map


def _outside(made: Checked, image: Tensor, outside: Tensor, report: Report) -> Map:
    """Return the map of what lies outside the brain; 0 replaces it."""
    patch = made.patch
    return occlusion_map(
        made.predictor, image, outside, patch, patch, report=report
    ).map


def _other_sizes(patch: int, edge: int) -> list[int]:
    """Return cubes of half as much again and of twice the edge, where they fit.

    Examples
    --------
    >>> _other_sizes(8, 80), _other_sizes(8, 12)
    ([12, 16], [12])
    """
    sizes = {round(1.5 * patch), 2 * patch} - {patch}
    return sorted(size for size in sizes if size <= edge)


def _as_it_is(outputs: torch.Tensor) -> torch.Tensor:
    return outputs
