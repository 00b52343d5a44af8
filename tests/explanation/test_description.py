"""What is said about a map in words."""

from __future__ import annotations

from typing import Any

import pytest

from napari_neuropretrain.explanation.description import sentence


def peak(value: float) -> dict[str, float]:
    return {"value": value, "x_mm": 1.0, "y_mm": -16.0, "z_mm": -40.4}


def describe(**changes: Any) -> dict[str, Any]:
    described = {
        "prediction": 59.77,
        "prediction_unit": "years",
        "unit": "years",
        "target": "age",
        "method": "occlusion",
        "peak_positive": peak(2.314),
        "peak_negative": peak(-5.65),
    }
    return described | changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {},
            "Hiding the place around MNI (1, -16, -40) mm raises it most, by 5.65 "
            "years; around MNI (1, -16, -40) mm lowers it most, by 2.31 years.",
        ),
        (
            {"peak_negative": None},
            "Hiding the place around MNI (1, -16, -40) mm lowers it most, by 2.31 "
            "years.",
        ),
        ({"peak_negative": None, "peak_positive": None}, "No place changes it"),
        ({"method": "gradcam"}, "The strongest place is around MNI (1, -16, -40) mm."),
    ],
)
def test_the_stronger_direction_comes_first(changes: dict[str, Any], said: str) -> None:
    text = sentence(describe(**changes))
    assert text.startswith("age: 59.8 years. ")
    assert said in text
