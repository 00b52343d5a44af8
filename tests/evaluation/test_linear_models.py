"""Linear baselines against scikit-learn on all features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.evaluation import linear_models
from napari_neuropretrain.evaluation.linear_models import LinearModel, fit_linearly
from napari_neuropretrain.evaluation.predictions import Kind


def predict_linearly(
    x: NDArray[np.float64],
    labels: NDArray[np.float64],
    who: ArrayLike,
    train: NDArray[np.bool_],
    kind: Kind,
) -> NDArray[np.float64]:
    """Learn from some scans, and predict all."""
    people = np.asarray(who)[train]
    return fit_linearly(x[train], labels[train], people, kind).predict(x)


def test_a_model_survives_its_file(tmp_path: Path) -> None:
    x, hidden, train = sample(2)
    model = fit_linearly(x[train], hidden[train], np.arange(80), "regression")
    model.save(tmp_path / "model.npz")
    again = LinearModel.load(tmp_path / "model.npz")
    assert (again.regions, again.cells) == ((), 400)
    assert again.predict(x).tolist() == model.predict(x).tolist()
    assert again.kind == "regression"
    (tmp_path / "model.npz").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="Cannot read the linear model"):
        LinearModel.load(tmp_path / "model.npz")


def sample(seed: int, count: int = 120, features: int = 400):  # type: ignore[no-untyped-def]
    random = np.random.default_rng(seed)
    hidden = random.normal(0, 1, count)
    weights = random.normal(0, 1, features) * (random.random(features) < 0.2)
    x = np.outer(hidden, weights) + random.normal(0, 2, (count, features)) + 5
    train = np.arange(count) < 80
    return x, hidden, train


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_the_rotation_changes_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one penalty to choose from, it is the model of all features."""
    x, hidden, train = sample(0)
    monkeypatch.setattr(linear_models, "_PENALTIES", np.array([0.1]))
    labels = 50 + 10 * hidden if kind == "regression" else (hidden > 0).astype(float)
    found = predict_linearly(x, labels, np.arange(120), train, kind)  # type: ignore[arg-type]
    sd = x[train].std(0)
    scaled = (x - x[train].mean(0)) / np.maximum(sd, np.median(sd))
    scaled /= np.sqrt(x.shape[1])
    if kind == "regression":
        model = Ridge(alpha=0.1).fit(scaled[train], labels[train])
        expected = model.predict(scaled)
        assert found == pytest.approx(expected, abs=1e-2)
        return
    model = LogisticRegression(C=10, max_iter=10_000, tol=1e-8)
    expected = model.fit(scaled[train], labels[train]).predict_proba(scaled)[:, 1]
    assert found == pytest.approx(expected, abs=1e-3)


def test_cells_and_regions_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind is divided by the root of its own number of features."""
    x, hidden, train = sample(3)
    few = np.stack([hidden + np.random.default_rng(4).normal(0, 1, 120)] * 2, axis=1)
    both = np.hstack([x, 1000 * few])
    monkeypatch.setattr(linear_models, "_PENALTIES", np.array([0.1]))
    people = np.arange(80)
    names = ("one", "other")
    model = fit_linearly(both[train], hidden[train], people, "regression", names)
    assert (model.regions, model.cells) == (names, 400)
    blocks = []
    for block in (x, few):
        sd = block[train].std(0)
        scaled = (block - block[train].mean(0)) / np.maximum(sd, np.median(sd))
        blocks.append(scaled / np.sqrt(block.shape[1]))
    scaled = np.hstack(blocks)
    expected = Ridge(alpha=0.1).fit(scaled[train], hidden[train]).predict(scaled)
    assert model.predict(both) == pytest.approx(expected, abs=1e-3)


def test_the_test_scans_are_predicted_from_the_training_scans_only() -> None:
    x, hidden, train = sample(1)
    found = predict_linearly(x, hidden, np.arange(120), train, "regression")
    assert np.corrcoef(found[~train], hidden[~train])[0, 1] > 0.85
    ill = (hidden > 0).astype(float)
    found = predict_linearly(x, ill, np.arange(120), train, "binary")
    assert roc_auc_score(ill[~train], found[~train]) > 0.9
    changed = np.where(train, ill, 1 - ill)
    again = predict_linearly(x, changed, np.arange(120), train, "binary")
    assert again == pytest.approx(found)


def test_scans_of_one_person_share_a_fold() -> None:
    """Noise that is the same in all scans of a person must not look learnable."""
    random = np.random.default_rng(0)
    x = np.repeat(random.normal(0, 1, (30, 300)), 4, axis=0)
    labels = np.repeat(random.normal(0, 1, 30), 4)
    who = np.repeat(np.arange(30), 4)
    train = who < 20
    found = predict_linearly(x, labels, who, train, "regression")
    # The strongest penalty wins: everyone gets about the mean.
    assert found[~train].std() < 0.1 * labels.std()
