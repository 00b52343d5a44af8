"""Reasons for doubt, each against a cohort whose limits are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.inference.context import (
    doubts_about,
    percentile_among_all,
    percentiles,
)
from napari_neuropretrain.inference.models import Ensemble, Model
from napari_neuropretrain.preprocessing.derivatives import sidecar
from napari_neuropretrain.weights.model_card import ModelCard, Part, summarise_cohort
from napari_neuropretrain.weights.reference import Reference

PROFILE = np.zeros(25)
ROWS = [
    ("sub-1", "train", {"age": "40", "sex": "F", "site": "here"}),
    ("sub-2", "train", {"age": "70", "sex": "F", "site": "here"}),
    ("sub-3", "test", {"age": "99", "sex": "M", "site": "there"}),
]
REFERENCE = Reference(
    outputs={"all": tuple(np.arange(40.0, 71.0))},
    labels=(40.0, 55.0, 70.0),
    profile=tuple(PROFILE),
    profile_distances=(0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.1),
    quality={"dice": (0.95, 0.97), "rotation_degrees": (0.0, 10.0)},
)
USUAL = {"age": "50", "sex": "F", "site": "here"}


@pytest.fixture
def ensemble() -> Ensemble:
    card = ModelCard(
        backbone=Part(catalog="backbones", name="tiny_densenet"),
        task=Part(catalog="tasks", name="brain_age"),
        kind="regression",
        label="age",
        unit="years",
        contract={},
        cohort=summarise_cohort(ROWS),
    )
    return Ensemble("age", (Model("age", Path("age"), card, REFERENCE),))


@pytest.fixture
def ask(ensemble: Ensemble, tmp_path: Path) -> Any:
    """Return a function that gives the doubts about a scan, by kind."""

    def kinds(
        row: dict[str, str] | None = None,
        shift: float = 0.0,
        value: float = 55.0,
        name: str = "sub-9",
        **quality: float,
    ) -> dict[str, str]:
        image = tmp_path / "a_space-MNI152_desc-preproc_T1w.nii.gz"
        sidecar(image).write_text(json.dumps({"Quality": quality}))
        scan = Scan(name, None, image, USUAL if row is None else row)
        found = doubts_about(scan, PROFILE + shift, value, ensemble)
        return {one.kind: one.sentence for one in found}

    return kinds


def test_a_usual_scan_raises_no_doubt(ask: Any) -> None:
    assert ask(dice=0.96, rotation_degrees=5.0) == {}


@pytest.mark.parametrize(("age", "kinds"), [("40", set()), ("70", set())])
def test_the_ends_of_the_age_range_belong_to_it(
    ask: Any, age: str, kinds: set[str]
) -> None:
    assert set(ask(USUAL | {"age": age})) == kinds


def test_age_sex_and_site_beyond_the_training(ask: Any) -> None:
    found = ask({"age": "70.5", "sex": "M", "site": "there"})
    assert found["age"] == "70.5 years is outside the training ages, 40 to 70 years."
    assert found["sex"] == "The sex is M; the model learned from F."
    assert "site 'there'" in found["site"]


def test_what_is_not_known_is_said(ask: Any, ensemble: Ensemble) -> None:
    scan = Scan("sub-9", None, Path("none.nii.gz"))
    found = [one.sentence for one in doubts_about(scan, PROFILE, 55.0, ensemble)]
    assert [text[:16] for text in found] == ["The age is not k", "The sex is not k"]


def test_intensity_beyond_every_training_scan(ask: Any) -> None:
    assert "intensity" not in ask(shift=0.0999)
    assert "differs from the training scans by 0.20 SD" in ask(shift=0.2)["intensity"]


def test_registration_below_the_training_or_unusual(ask: Any) -> None:
    # 0.94 is within the tolerance of 0.02 of the rule, 0.925 is not.
    assert "registration" not in ask(dice=0.94)
    assert "below every training scan (0.95)" in ask(dice=0.925)["registration"]
    assert "which is unusual" in ask(dice=0.85)["registration"]
    assert "registration" not in ask(rotation_degrees=-20.0)
    assert "which is unusual" in ask(rotation_degrees=50.0)["registration"]


def test_value_and_person_of_the_training(ask: Any) -> None:
    assert (
        "outside the labels of the training, 40 to 70 years" in ask(value=71)["value"]
    )
    assert "in the train set" in ask(name="sub-1")["seen"]
    assert "seen" not in ask(name="sub-3")


def test_percentiles_by_group() -> None:
    reference = Reference(outputs={"CN": (0.1, 0.2, 0.3, 0.4), "AD": (0.7, 0.9)})
    assert percentiles(0.35, reference) == {"CN": 75.0, "AD": 0.0}
    assert percentile_among_all(0.35, reference) == 50.0
    assert percentile_among_all(0.35, Reference()) is None
