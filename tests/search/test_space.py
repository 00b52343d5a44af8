"""What is drawn follows the space, and what cannot be varied is refused."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from scipy import stats

from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.searching import SearchConfig, SearchSpace
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.search.sampling import make_pruner, make_sampler
from napari_neuropretrain.search.space import check_space, draw_settings, read_space

BASE = FinetuneConfig(cohort=Path("here"), output=Path("out"))


def space_of(**settings: Any) -> SearchSpace:
    named = {name.replace("__", "."): one for name, one in settings.items()}
    return SearchSpace.parse({"settings": named})


def drawn(
    space: SearchSpace, base: FinetuneConfig, count: int, **others: Any
) -> list[dict[str, Any]]:
    config = SearchConfig(base=Path("b"), output=Path("o"), **others)
    study = optuna.create_study(sampler=make_sampler(config))
    found = []
    for _ in range(count):
        trial = study.ask()
        found.append(draw_settings(trial, space, base))
        study.tell(trial, found[-1]["learning_rate"])
    return found


def test_the_default_space_is_the_one_of_the_paper() -> None:
    space = read_space(NOTHING)
    nit = BASE.replace(backbone="nit")
    check_space(space, nit)
    found = drawn(space, nit, 400)
    rates = np.log10([one["learning_rate"] for one in found])
    # Learning rates are drawn evenly in the logarithm, from 1e-5 to 2e-3.
    low, width = -5, math.log10(2e-3) + 5
    assert rates.min() >= low
    assert rates.max() <= low + width
    assert stats.kstest(rates, stats.uniform(low, width).cdf).pvalue > 0.01
    decays = [one["weight_decay"] for one in found]
    assert stats.kstest(decays, stats.uniform(0, 0.2).cdf).pvalue > 0.01
    for name, values in {
        "optimiser": ("sgd", "adam", "adamw"),
        "batch_size": (2, 4, 8, 16),
        "heads": (4, 8, 12),
        "layers": (3, 6, 8),
    }.items():
        options = [{**one, **one["backbone"]} for one in found]
        counts = Counter(one[name] for one in options)
        assert set(counts) == set(values)
        assert stats.chisquare(list(counts.values())).pvalue > 0.01
    assert all(FinetuneConfig.parse(one) for one in found[:20])


def test_only_transformers_vary_their_heads() -> None:
    space = read_space(NOTHING)
    check_space(space, BASE)
    found = drawn(space, BASE, 3)
    assert all(one["backbone"] == "tiny_densenet" for one in found)


def test_options_follow_the_entry_that_was_drawn() -> None:
    space = space_of(
        backbone__dropout={"low": 0, "high": 0.5},
        backbone__heads=[4, 8],
        backbone=["nit", {"name": "tiny_densenet", "growth_rate": 8}],
        tuning=["full", "top"],
    )
    check_space(space, BASE)
    names = Counter()
    for one in drawn(space, BASE, 40):
        config = FinetuneConfig.parse(one)
        names[config.backbone.name] += 1
        options: Any = config.backbone.options
        assert 0 <= options.dropout <= 0.5
        assert hasattr(options, "heads") == (config.backbone.name == "nit")
        assert getattr(options, "growth_rate", 8) == 8
    assert min(names["nit"], names["tiny_densenet"]) > 5


def test_whole_numbers_stay_whole() -> None:
    space = space_of(
        epochs={"low": 10, "high": 30, "step": 10},
        clip={"low": 0, "high": 4},
        batch_size={"low": 2, "high": 64, "log": True},
    )
    found = drawn(space, BASE, 60)
    assert {one["epochs"] for one in found} == {10, 20, 30}
    assert {type(one["clip"]) for one in found} == {float}
    assert {type(one["batch_size"]) for one in found} == {int}


def test_what_is_drawn_follows_from_seed_and_number() -> None:
    space = space_of(learning_rate={"low": 0.01, "high": 1.0})

    def rates(count: int, **others: Any) -> list[float]:
        return [one["learning_rate"] for one in drawn(space, BASE, count, **others)]

    assert rates(6) == rates(6)
    assert len({*rates(6), *rates(6, seed=1)}) == 12
    # A search that goes on in another process does not begin from the start.
    config = SearchConfig(base=Path("b"), output=Path("o"))
    study = optuna.create_study()
    again = []
    for _ in range(6):
        study.sampler = make_sampler(config)
        trial = study.ask()
        again.append(draw_settings(trial, space, BASE)["learning_rate"])
        study.tell(trial, 0.0)
    assert again == rates(6)


def test_tpe_looks_where_it_was_good() -> None:
    """Less is better here: later trials should have smaller learning rates."""
    space = space_of(learning_rate={"low": 1e-3, "high": 1.0})
    found = [
        one["learning_rate"] for one in drawn(space, BASE, 40, sampler="tpe", seed=3)
    ]
    assert np.median(found[20:]) < 0.5 * np.median(found[:10])
    random = [one["learning_rate"] for one in drawn(space, BASE, 40, seed=3)]
    assert np.median(found[20:]) < 0.5 * np.median(random[20:])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"seed": [0, 1]}, "must be the same in all trials"),
        ({"test_fraction": [0.1, 0.2]}, "must be the same in all trials"),
        ({"learning_rat": [0.1]}, "unknown setting"),
        ({"learning_rate": [0.1, 7]}, "learning_rate: .* less than or equal to 1"),
        ({"backbone.heads": [4, 8]}, "nothing to choose from has the option"),
        ({"epochs.x": [4, 8]}, "no entry of a catalog"),
        ({"backbone.dropout": {"low": 0, "high": 1}}, "option 'dropout'"),
    ],
)
def test_a_wrong_space_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        check_space(SearchSpace.parse({"settings": settings}), BASE)


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ({"low": 2, "high": 1}, "low < high"),
        ({"low": 0, "high": 1, "log": True}, "low must be above 0"),
        ({"low": 0, "high": 1, "choices": [1]}, "not both"),
        ({"lowest": 0}, "lowest"),
    ],
)
def test_a_wrong_range_is_refused(parameter: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        SearchSpace.parse({"settings": {"learning_rate": parameter}})


def test_each_pruner_ends_a_bad_trial() -> None:
    for name in ("median", "hyperband"):
        config = SearchConfig(
            base=Path("b"),
            output=Path("o"),
            pruner=name,  # type: ignore[arg-type]
            first_trials=2,
            first_epochs=2,
        )
        study = optuna.create_study(
            pruner=make_pruner(config, 27), direction="maximize", study_name="fixed"
        )
        lengths = []
        for number in range(12):
            trial, value = study.ask(), 0.9 - 0.05 * number
            for epoch in range(1, 28):
                trial.report(value, epoch)
                if trial.should_prune():
                    break
            lengths.append(epoch)
            state = optuna.trial.TrialState.PRUNED if epoch < 27 else None
            study.tell(trial, None if state else value, state=state)
        assert max(lengths[:1]) == 27
        assert min(lengths) >= 2
        assert np.mean(lengths[3:]) < 14
