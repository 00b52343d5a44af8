"""What to try next, and what to end early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from napari_neuropretrain.config.searching import SearchConfig


class NumberedSampler(BaseSampler):
    """Seed a sampler anew for each trial, by the number of the trial.

    What a trial tries then follows from the seed, its number and the trials before,
    not from the process that asks: a search that was killed and goes on, or that runs
    on several machines, repeats nothing.

    Parameters
    ----------
    make
        From a seed to a sampler.
    seed
        Of the search.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed
        self._current: tuple[int, BaseSampler] | None = None

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        if self._current is None or self._current[0] != trial.number:
            mixed = np.random.SeedSequence([self._seed, trial.number])
            seed = int(mixed.generate_state(1)[0]) % 2**31
            self._current = (trial.number, self._make(seed))
        return self._current[1]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return what is drawn together."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """Draw what is drawn together."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one setting."""
        return self._of(trial).sample_independent(
            study, trial, param_name, param_distribution
        )

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Do nothing: what was drawn is kept by the study."""


def make_sampler(config: SearchConfig) -> BaseSampler:
    """Return the chosen sampler.

    ``tpe`` is the tree-structured Parzen estimator of Bergstra et al. (2011); trials
    that still run count as bad ones, so that workers try different things.
    """
    if config.sampler == "random":
        return NumberedSampler(lambda seed: RandomSampler(seed), config.seed)
    first = config.first_trials
    return NumberedSampler(
        lambda seed: TPESampler(n_startup_trials=first, seed=seed, constant_liar=True),
        config.seed,
    )


def make_pruner(config: SearchConfig, epochs: int) -> BasePruner:
    """Return the chosen pruner, for trainings of at most `epochs`.

    ``hyperband`` is that of Li et al. (2018), with a reduction factor of 3.
    """
    if config.pruner == "median":
        return MedianPruner(config.first_trials, n_warmup_steps=config.first_epochs)
    if config.pruner == "hyperband":
        least = min(max(1, config.first_epochs), epochs)
        return HyperbandPruner(min_resource=least, max_resource=epochs)
    return NopPruner()
