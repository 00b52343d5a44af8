"""Whether other models of the same training say the same.

Networks that differ in nothing but their seed or fold predict about equally well and
can look at different places; what only one of them shows is no finding.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.regions import STRONGEST_SHARE
from napari_neuropretrain.explanation.trust import Map, likeness
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import load_model

UNLIKE = 0.5
"""Mean correlation with other models under which a map is doubted."""


@dataclass(frozen=True)
class Agreement:
    """How alike maps of several models are.

    Parameters
    ----------
    correlation
        Mean over all pairs of the correlation in the brain.
    overlap
        Mean over all pairs of the Dice overlap of the strongest voxels; two unrelated
        maps have `STRONGEST_SHARE`.
    """

    correlation: float
    overlap: float


def agree(maps: Sequence[Map], brain: NDArray[np.bool_]) -> Agreement:
    """Compare maps (X, Y, Z) of one scan in pairs; at least two."""
    pairs = list(itertools.combinations(maps, 2))
    correlations = [likeness(one, two, brain) for one, two in pairs]
    overlaps = [_overlap(one, two, brain) for one, two in pairs]
    return Agreement(
        round(float(np.mean(correlations)), 4), round(float(np.mean(overlaps)), 4)
    )


def _overlap(first: Map, second: Map, brain: NDArray[np.bool_]) -> float:
    """Return the Dice overlap of the strongest voxels of two maps, equally many."""
    count = max(1, round(STRONGEST_SHARE * int(brain.sum())))
    one, two = (
        set(np.argsort(-np.abs(values[brain]), kind="stable")[:count].tolist())
        for values in (first, second)
    )
    return len(one & two) / count


def compare_models(
    own: Map, others: Mapping[Path, Map], brain: NDArray[np.bool_]
) -> dict[str, Any]:
    """Return how alike the maps of other models are, ready for JSON.

    Parameters
    ----------
    own
        The map.
    others
        Maps of the same scan, made in the same way, by the model's path.
    brain
        Boolean (X, Y, Z).
    """
    found = agree([own, *others.values()], brain)
    return {
        "models": [
            {"model": str(path), "correlation": likeness(own, other, brain)}
            for path, other in others.items()
        ],
        "mean_correlation": found.correlation,
        "overlap": found.overlap,
        "overlap_by_chance": STRONGEST_SHARE,
    }


def doubts_of_models(found: dict[str, Any]) -> list[str]:
    """Say in words whether other models look at other places."""
    if found["mean_correlation"] >= UNLIKE:
        return []
    return [
        f"Maps of {len(found['models'])} other models are different (mean r = "
        f"{found['mean_correlation']:.2f}, {found['overlap']:.0%} of the strongest "
        f"voxels in common): the map shows this network, not the task."
    ]


def load_alike(path: Path, card: ModelCard) -> tuple[nn.Module, ModelCard]:
    """Load a model whose map can be compared with that of another.

    Parameters
    ----------
    path
        A model file or run folder.
    card
        Of the model that is explained.

    Raises
    ------
    CheckpointError
        If it cannot be read.
    ConfigError
        If it predicts something else, or from other volumes.
    """
    network, other = load_model(path)
    if (other.task.name, other.label) != (card.task.name, card.label):
        raise ConfigError(
            f"others: '{path}' predicts {other.label} ({other.task.name}), but the "
            f"model to explain predicts {card.label} ({card.task.name}). Give models "
            "of the same task."
        )
    if other.contract != card.contract:
        raise ConfigError(
            f"others: '{path}' was trained on volumes that were preprocessed in "
            "another way than those of the model to explain. Give models of the same "
            "cohort."
        )
    return network, other
