"""How a test is judged, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_neuropretrain.config.catalog import TASKS
from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.evaluation.assessment import Certainty
from napari_neuropretrain.progress import Progress
from napari_neuropretrain.training.results import (
    Scored,
    describe,
    judge,
    judge_self_test,
)

QUICK = Certainty(bootstraps=200, permutations=99)


def scored_ages(count: int = 60) -> list[Scored]:
    random = np.random.default_rng(0)
    parts: tuple[Part, ...] = ("train", "validation", "test")
    found = []
    for number in range(count):
        age = random.uniform(20, 90)
        guess = 27 + 0.5 * age + random.normal(0, 3)
        scan = Scan(f"sub-{number:02d}", None, Path("x"))
        found.append(Scored(scan, parts[number % 3], age, guess))
    return found


def test_the_age_bias_comes_from_validation() -> None:
    task = TASKS["brain_age"].load()(TASKS["brain_age"].options())
    scored = scored_ages()
    metrics, threshold = judge(scored, task, QUICK)
    assert threshold is None
    held = [one for one in scored if one.part == "validation"]
    gaps = [one.prediction - one.label for one in held]
    slope, intercept = np.polyfit([one.label for one in held], gaps, 1)
    assert metrics["bias_correction"] == pytest.approx(
        {"slope": slope, "intercept": intercept, "n": 20}
    )
    test = metrics["test"]
    assert test["bias_slope"] == pytest.approx(-0.5, abs=0.1)
    assert abs(test["bias_slope_corrected"]) < 0.1
    low, high = test["intervals"]["mae"]
    assert low < test["mae"] < high
    assert f"95 % interval {low:.2f} to {high:.2f}" in describe(metrics, task)


def test_better_than_chance_on_shuffled_labels_is_a_leak() -> None:
    said: list[Progress] = []
    assert "as it must" in judge_self_test({"p_chance": 0.4}, said.append)
    assert said == []
    message = judge_self_test({"p_chance": 0.0005}, said.append)
    assert "leaks into the training" in message
    assert [one.state for one in said] == ["warning"]
