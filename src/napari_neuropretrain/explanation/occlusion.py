"""Occlusion sensitivity: hide a small cube, and see how the output changes.

Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks",
in three dimensions and restricted to the brain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from napari_neuropretrain.errors import Cancelled, ConfigError
from napari_neuropretrain.explanation.adaptive import Refinement, refine
from napari_neuropretrain.explanation.baselines import Baseline, hide_all
from napari_neuropretrain.explanation.first_order import first_order_effects
from napari_neuropretrain.explanation.hiders import Hider, Predict, open_hider
from napari_neuropretrain.explanation.pace import Pace
from napari_neuropretrain.explanation.positions import (
    Combination,
    Places,
    combine,
)
from napari_neuropretrain.progress import Report, silent


@dataclass(frozen=True, eq=False)
class OcclusionResult:
    """What hiding each part of the brain does to the output.

    Parameters
    ----------
    map
        float32 (X, Y, Z) in the output's units. Positive: hiding the place lowers
        the output, so it speaks for it. 0 outside the brain.
    reference
        Output for the whole image.
    positions
        Positions of the cube that reach the brain.
    skipped
        Those among them that change no voxel, and so needed no network.
    computed
        Those that the network was asked about.
    error
        Estimated root mean square error of the effects, in the output's units; 0
        where all of them were computed.
    correlation
        Estimated correlation with the effects of all positions; 1 where computed.
    complete
        False if it was stopped before the end.
    slow_because
        Why the whole network was run for each position; empty if it was not.
    note
        More about how it was made.
    """

    map: NDArray[np.float32]
    reference: float
    positions: int
    skipped: int = 0
    computed: int = 0
    error: float = 0.0
    correlation: float = 1.0
    complete: bool = True
    slow_because: str = ""
    note: str = ""


@dataclass(frozen=True)
class Manner:
    """How the map is made of positions.

    Parameters
    ----------
    combination
        What a voxel gets of the cubes that cover it.
    refinement
        When to stop going from coarse to fine; None for all positions.
    affine
        Voxel to RAS mm (4, 4), which tells left from right for ``"mirror"``.
    fast
        Compute only what a cube changes, where the network allows it.
    """

    combination: Combination = "mean"
    refinement: Refinement | None = None
    affine: ArrayLike | None = field(default=None, compare=False)
    fast: bool = True


Preview = Callable[[OcclusionResult], None]


def occlusion_map(
    predict: Predict,
    image: Tensor,
    brain_mask: Tensor,
    patch: int = 8,
    stride: int = 4,
    baseline: Baseline = "mean",
    batch_size: int = 0,
    report: Report = silent,
    manner: Manner | None = None,
    preview: Preview | None = None,
) -> OcclusionResult:
    """Map how much each place of the brain contributes to the output.

    The effect of a position is the output for the whole image minus the output
    with the cube hidden. A voxel gets the mean effect of the positions that cover
    it. Only voxels of the brain are replaced, so that the outline stays.

    Parameters
    ----------
    predict
        From (B, 1, X, Y, Z) to (B,), in the units of the map. A `Predictor` is
        computed in parts where its network allows it.
    image
        Volume (X, Y, Z), z-scored in the brain, on the device of the network.
    brain_mask
        Boolean (X, Y, Z).
    patch, stride
        Edge of the cube and step between positions, in voxels.
    baseline
        What replaces a cube, see `hide_all`.
    batch_size
        Occluded copies given to `predict` at once; 0 for what suits the memory.
    report
        Hears of each batch, with the seconds that remain; may raise `Cancelled`.
    manner
        How positions are chosen and combined.
    preview
        Is given the map so far from time to time, and when it is stopped.

    Raises
    ------
    ConfigError
        If the shapes differ, the mask is empty, or the stride exceeds the patch.
    """
    manner = manner or Manner()
    brain = brain_mask.to(device=image.device, dtype=torch.bool)
    _check(image, brain, patch, stride)
    hidden = hide_all(image, brain, baseline, patch, manner.affine)
    places = Places.of(image, hidden, brain, patch, stride)
    hint: NDArray[np.float64] | None = None
    if manner.refinement is not None:
        linear = first_order_effects(predict, image, hidden)
        hint = None if linear is None else places.sums(linear)
    with torch.inference_mode():
        run = _Run(predict, image, hidden, places, manner, hint)
        ask = Pace(run.hider, batch_size, report)
        try:
            run.go(ask, preview)
        except Cancelled:
            if preview is not None:
                preview(run.result(complete=False))
            raise
    return run.result(complete=True)


class _Run:
    """The effects so far."""

    def __init__(
        self,
        predict: Predict,
        image: Tensor,
        hidden: Tensor,
        places: Places,
        manner: Manner,
        first_order: NDArray[np.float64] | None = None,
    ) -> None:
        self._places = places
        self._manner = manner
        self._first_order = first_order
        active = np.flatnonzero(places.changing)
        self.hider: Hider
        self.hider, self._slow = open_hider(
            predict,
            image,
            hidden,
            places.cubes[int(active[active.size // 2])] if active.size else None,
            manner.fast,
        )
        self._reference = float(self.hider.reference()[0])
        self._effects = np.where(places.changing, np.nan, 0.0)
        self._guessed: NDArray[np.float64] | None = None
        self._error, self._correlation = 0.0, 1.0

    def go(self, ask: Pace, preview: Preview | None) -> None:
        """Fill in the effects."""

        def effects(numbers: Sequence[int]) -> NDArray[np.float64]:
            cubes = [self._places.cubes[number] for number in numbers]
            for done, outputs in ask.outputs(cubes):
                chosen = [numbers[one] for one in done]
                self._effects[chosen] = self._reference - outputs
                if preview is not None and ask.is_time_to_show():
                    preview(self.result(complete=False))
            return self._effects[list(numbers)]

        active = np.flatnonzero(self._places.changing).tolist()
        ask.expect(len(active))
        if self._manner.refinement is None:
            effects(active)
            return
        grid = self._effects.reshape(self._places.positions.grid)
        hint = self._first_order
        for guess in refine(grid, effects, self._manner.refinement, hint):
            self._guessed = guess.effects.ravel()
            self._error, self._correlation = guess.error, guess.correlation
            if preview is not None and ask.is_time_to_show():
                preview(self.result(complete=False))
        ask.finish()

    def result(self, complete: bool) -> OcclusionResult:
        """Return the map of what is known."""
        places = self._places
        effects = self._effects
        if self._guessed is not None:
            effects = np.where(np.isnan(effects), self._guessed, effects)
        known = int((places.changing & ~np.isnan(self._effects)).sum())
        return OcclusionResult(
            map=combine(effects, places.cubes, places.inside, self._manner.combination),
            reference=self._reference,
            positions=int(places.reaching.sum()),
            skipped=int((places.reaching & ~places.changing).sum()),
            computed=known,
            error=self._error,
            correlation=self._correlation,
            complete=complete,
            slow_because=self._slow,
        )


def _check(image: Tensor, brain: Tensor, patch: int, stride: int) -> None:
    if image.ndim != 3 or image.shape != brain.shape:
        raise ConfigError(
            f"The image has shape {tuple(image.shape)} and the brain mask "
            f"{tuple(brain.shape)}; both must be the same (X, Y, Z)."
        )
    if not brain.any():
        raise ConfigError("The brain mask is empty; preprocess the scan again.")
    if not 1 <= stride <= patch:
        raise ConfigError(
            f"stride {stride} must be from 1 to the patch ({patch}), or voxels "
            "would be skipped."
        )
