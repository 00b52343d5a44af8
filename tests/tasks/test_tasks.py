"""Losses against formulas, and labels there and back."""

from __future__ import annotations

import math

import pytest
import torch

from napari_neuropretrain.config.catalog import TASKS
from napari_neuropretrain.config.options.tasks import AdOptions, BrainAgeOptions
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.tasks.classification import BinaryClassification
from napari_neuropretrain.tasks.label_scale import LabelScale, fit_scale
from napari_neuropretrain.tasks.regression import Regression

LOGITS = torch.tensor([2.0, -1.0, 0.5])


def test_binary_loss_is_cross_entropy() -> None:
    task = BinaryClassification(AdOptions())
    targets = [1.0, 0.0, 0.0]
    chances = [1 / (1 + math.exp(-logit)) for logit in LOGITS.tolist()]
    slow = [
        -(target * math.log(chance) + (1 - target) * math.log(1 - chance))
        for chance, target in zip(chances, targets, strict=True)
    ]
    loss = task.loss(LOGITS, torch.tensor(targets))
    assert float(loss) == pytest.approx(sum(slow) / 3, rel=1e-6)
    prediction = task.to_prediction(LOGITS, LabelScale())
    assert prediction.tolist() == pytest.approx(chances, rel=1e-6)
    assert task.names == ("CN", "AD")


def test_the_first_answer_is_the_prevalence() -> None:
    task = BinaryClassification(AdOptions())
    bias = task.initial_bias(torch.tensor([1.0, 1.0, 1.0, 0.0]))
    assert 1 / (1 + math.exp(-bias)) == pytest.approx(0.75)
    assert math.isfinite(task.initial_bias(torch.ones(3)))


def test_regression_is_l1_on_standardised_labels() -> None:
    task = Regression(BrainAgeOptions())
    ages = torch.tensor([50.0, 60.0, 70.0, 80.0])
    scale = task.fit_scale(ages)
    assert scale.mean == 65.0
    assert scale.sd == pytest.approx(math.sqrt(125))
    targets = scale.standardise(ages)
    assert task.to_prediction(targets, scale).tolist() == pytest.approx(ages.tolist())
    loss = task.loss(targets + torch.tensor([1.0, -1.0, 3.0, 0.0]), targets)
    assert float(loss) == pytest.approx(5 / 4)
    assert task.unit == "years"


def test_labels_without_spread_are_refused() -> None:
    with pytest.raises(CohortError, match="All 3 training labels are 60"):
        fit_scale(torch.full((3,), 60.0))


def test_every_entry_builds_and_learns() -> None:
    for entry in TASKS:
        task = entry.load()(entry.options())
        logits = torch.zeros(4, requires_grad=True)
        task.loss(logits, torch.tensor([0.0, 1.0, 1.0, 1.0])).backward()
        assert logits.grad is not None
        assert logits.grad.abs().sum() > 0
