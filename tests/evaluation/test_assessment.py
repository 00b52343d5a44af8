"""Whole assessments: intervals, corrected ages, comparisons, groups, sentences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.evaluation.age_bias import AgeBias, fit_age_bias
from napari_neuropretrain.evaluation.assessment import Certainty, assess
from napari_neuropretrain.evaluation.comparison import (
    compare,
    compare_all,
    sentence,
)
from napari_neuropretrain.evaluation.delong import delong_test
from napari_neuropretrain.evaluation.groups import assess_groups
from napari_neuropretrain.evaluation.metrics import regression_metrics
from napari_neuropretrain.evaluation.predictions import Predictions

QUICK = Certainty(bootstraps=400, permutations=199)


def names(count: int) -> NDArray[np.str_]:
    return np.array([f"sub-{number:03d}" for number in range(count)])


def binary(model: str, strength: float, count: int = 200, seed: int = 0) -> Predictions:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, count).astype(float)
    shared = random.normal(0, 1, count)
    own = np.random.default_rng((1, seed)).normal(0, 0.5, count)
    values = 1 / (1 + np.exp(-(strength * (2 * labels - 1) + shared + own)))
    return Predictions(
        model, "test", "binary", names(count), names(count), labels, values
    )


def ages(model: str, noise: float, count: int = 200, seed: int = 0) -> Predictions:
    random = np.random.default_rng(seed)
    labels = random.uniform(20, 90, count)
    values = 27 + 0.5 * labels + random.normal(0, noise, count)
    who = names(count)
    return Predictions(
        model, "test", "regression", who, who, labels, values, unit="years"
    )


def test_an_assessment_has_interval_and_p() -> None:
    found = assess(binary("a", 0.8), QUICK)
    area = found.values["roc_auc"]
    assert area is not None
    low, high = found.intervals["roc_auc"] or (1, 0)
    assert low < area < high
    assert found.delong == pytest.approx((low, high), abs=0.02)
    assert found.p_chance == 1 / 200
    assert found.as_json()["intervals"]["roc_auc"] == pytest.approx(
        [low, high], abs=1e-6
    )
    nothing = assess(binary("b", 0.0), QUICK)
    assert (nothing.p_chance or 0) > 0.05
    low, high = nothing.intervals["roc_auc"] or (1, 0)
    assert low < 0.5 < high


def test_perfect_predictions_have_no_bootstrap_interval() -> None:
    given = binary("a", 0.8)
    found = assess(replace(given, values=given.labels), QUICK)
    assert found.values["roc_auc"] == 1
    assert found.intervals["roc_auc"] is None
    assert found.delong is None


def test_the_age_bias_is_fitted_on_validation_and_taken_off() -> None:
    validation, test = ages("a", 3, seed=1), ages("a", 3, seed=2)
    bias = fit_age_bias(validation.values, validation.labels)
    assert bias is not None
    slope, intercept = np.polyfit(
        validation.labels, validation.values - validation.labels, 1
    )
    assert (bias.slope, bias.intercept) == pytest.approx((slope, intercept))
    # de Lange and Cole: predicted + (age - (alpha * age + beta)).
    alpha, beta = np.polyfit(validation.labels, validation.values, 1)
    expected = test.values + test.labels - (alpha * test.labels + beta)
    assert bias.correct(test.values, test.labels) == pytest.approx(expected)
    found = assess(replace(test, bias=bias), QUICK)
    assert found.values["bias_slope"] == pytest.approx(-0.5, abs=0.05)
    assert found.values["bias_slope_corrected"] == pytest.approx(0, abs=0.05)
    assert found.values["mae_corrected"] == pytest.approx(
        regression_metrics(expected, test.labels)["mae"]
    )
    assert "mae_corrected" not in assess(test, QUICK).values
    assert fit_age_bias([50.0] * 9, range(9)) is None
    assert AgeBias(0, 2, 10).correct([5], [1]).tolist() == [3]


def test_the_better_model_is_named_with_its_certainty() -> None:
    weak, strong = binary("weak", 0.3, seed=1), binary("strong", 1.2, seed=2)
    rows = {row.metric: row for row in compare(weak, strong, QUICK)}
    row = rows["roc_auc"]
    low, high = row.interval or (1, 1)
    assert low < row.difference < high < 0
    assert row.p < 0.05
    labels = weak.labels
    assert row.p_delong == delong_test(weak.values, strong.values, labels).p
    said = sentence(row)
    assert said.startswith("On test, strong is better than weak: its ROC-AUC is")
    assert f"{-high:.3g} to {-low:.3g}" in said
    # Brier: the lower the better.
    assert rows["brier"].difference > 0
    assert "strong is better than weak" in sentence(rows["brier"])


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    one, other = binary("one", 0.8, seed=1), binary("other", 0.8, seed=2)
    (row, *_) = compare(one, other, QUICK)
    low, high = row.interval or (0, 9)
    alone = assess(one, QUICK).intervals["roc_auc"] or (0, 0)
    assert high - low < 0.8 * (alone[1] - alone[0])
    assert "cannot be told apart" in sentence(row)


def test_models_are_compared_on_the_scans_they_share() -> None:
    one, other = ages("one", 3), ages("other", 3)
    some = other.take(np.arange(199, 49, -1))
    (row, *_) = compare(one, some, QUICK)
    assert (row.n_participants, row.difference) == (150, 0)
    shuffled = replace(other, labels=other.labels[::-1])
    with pytest.raises(CohortError, match="different labels for 200 scans"):
        compare(one, shuffled, QUICK)
    elsewhere = replace(other, scans=np.char.add("x", other.scans))
    with pytest.raises(CohortError, match="different scans of 'test'"):
        compare(one, elsewhere, QUICK)
    with pytest.raises(CohortError, match="one predicts groups"):
        compare(one, binary("two", 1), QUICK)


def test_many_pairs_are_corrected() -> None:
    models = [ages(name, noise) for name, noise in (("a", 2), ("b", 3), ("c", 9))]
    rows = [row for row in compare_all(models, QUICK) if row.metric == "mae"]
    assert [(row.one, row.other) for row in rows] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    for row in rows:
        assert row.p_holm >= row.p


def test_small_groups_have_no_number() -> None:
    given = ages("a", 3, count=100)
    sexes = np.array(["F"] * 92 + ["M"] * 8)
    columns = {
        "sex": sexes,
        "age": given.labels.astype(str),
        "site": np.array(["A"] * 100),
    }
    found = assess_groups(
        replace(given, columns=columns), ("site", "sex", "age"), 10, QUICK
    )
    by_name = {(one.column, one.name): one for one in found}
    assert ("site", "A") not in by_name  # nothing to compare
    assert by_name["sex", "M"].assessment is None
    assert by_name["sex", "M"].n == 8
    women = by_name["sex", "F"].assessment
    assert women is not None
    alone = given.take(sexes == "F")
    expected = regression_metrics(alone.values, alone.labels)["mae"]
    assert women.values["mae"] == pytest.approx(expected)
    assert [one.name for one in found if one.column == "age"] == sorted(
        {f"{int(age // 10) * 10}-{int(age // 10) * 10 + 9}" for age in given.labels}
    )


def test_a_group_needs_both_labels() -> None:
    given = binary("a", 1, count=60)
    site = np.where(given.labels > 0.5, "clinic", "town")
    site[:6] = "clinic"
    found = assess_groups(replace(given, columns={"site": site}), ("site",), 10, QUICK)
    assert all(one.assessment is None for one in found)
