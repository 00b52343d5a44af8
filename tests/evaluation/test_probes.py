from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_neuropretrain.evaluation.probes import NEIGHBOURS, probe_features


def features_and_ages(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 12))
    return features, 60 + 8 * features[:, 3] + random.normal(size=count)


def test_a_linear_probe_reads_a_linear_label() -> None:
    train, test = features_and_ages(200, 0), features_and_ages(100, 1)
    found = probe_features("linear", train, test)
    assert 0.7 < found["mae"] < 0.95  # the mean size of noise of deviation 1 is 0.8
    assert found["r"] > 0.98
    shuffled = np.random.default_rng(2).permutation(train[1])
    blind = probe_features("linear", (train[0], shuffled), test)
    assert 5 < blind["mae"] < 8  # 8 years times 0.8: no better than the mean


def test_a_knn_probe_is_the_mean_of_the_nearest_by_cosine() -> None:
    (train, ages), (test, truth) = features_and_ages(60, 0), features_and_ages(9, 1)
    search = NearestNeighbors(n_neighbors=NEIGHBOURS, metric="cosine").fit(train)
    nearest = search.kneighbors(test, return_distance=False)
    expected = np.abs(ages[nearest].mean(1) - truth).mean()
    found = probe_features("knn", (train, ages), (test, truth))
    assert found["mae"] == pytest.approx(expected)


def test_two_classes_are_judged_by_the_auc_and_more_by_hits() -> None:
    (train, ages), (test, truth) = features_and_ages(200, 0), features_and_ages(100, 1)
    old, oldest = (ages > 60).astype(float), (truth > 60).astype(float)
    old[:20] = np.nan  # no label: left out
    found = probe_features("linear", (train, old), (test, oldest), classes=2)
    assert list(found) == ["auc"]
    assert 0.95 < found["auc"] <= 1
    # The same order of people as the feature itself gives, nearly.
    assert found["auc"] == pytest.approx(roc_auc_score(oldest, test[:, 3]), abs=0.05)
    bins = [np.digitize(one, [54, 66]).astype(float) for one in (ages, truth)]
    found = probe_features("linear", (train, bins[0]), (test, bins[1]), classes=3)
    strengths = np.logspace(-2, 6, 17)
    known = make_pipeline(StandardScaler(), RidgeClassifierCV(strengths))
    hits = known.fit(train, bins[0]).score(test, bins[1])
    assert found["accuracy"] == pytest.approx(hits)
    assert hits > 0.6  # a guess: 0.47


def test_too_few_volumes_give_no_number() -> None:
    train, test = features_and_ages(20, 0), features_and_ages(5, 1)
    none = np.full(20, np.nan)
    assert probe_features("linear", (train[0], none), test) == {}
    assert probe_features("linear", (train[0], np.full(20, 60.0)), test) == {}
    assert probe_features("linear", train, (test[0][:1], test[1][:1])) == {}
    one_group = (test[0], np.ones(5))
    halves = (train[0], np.arange(20) % 2.0)
    assert probe_features("linear", halves, one_group, classes=2) == {}
