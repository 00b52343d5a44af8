"""Rules: absolute limits, outliers of a cohort, and the sentence about them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from napari_neuropretrain.preprocessing.quality import MEASURES
from napari_neuropretrain.preprocessing.quality_rules import RULES
from napari_neuropretrain.preprocessing.quality_verdict import judge_cohort

DOCS = Path(__file__).parents[2] / "docs" / "quality.md"
GOOD = {"dice": 0.96, "snr": 42.0, "cnr": 1.4, "ghosting": 0.012, "mask_ml": 1400.0}


def cohort(size: int) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(0)
    wobble = {"dice": 0.005, "snr": 4.0, "cnr": 0.08, "ghosting": 0.003, "mask_ml": 120}
    return {
        f"sub-{number:03d}": {
            name: value + wobble[name] * float(rng.normal())
            for name, value in GOOD.items()
        }
        for number in range(size)
    }


def test_good_scans_are_kept() -> None:
    words = [verdict.word for verdict in judge_cohort(cohort(300)).values()]
    assert words.count("reject") == 0
    assert words.count("look") <= 3


@pytest.mark.parametrize(
    ("changes", "word", "reason"),
    [
        (
            {"dice": 0.86},
            "look",
            "Dice with the template 0.86, usually at least 0.92: look at the mask's "
            "outline.",
        ),
        ({"dice": 0.7}, "reject", "Dice with the template 0.70, usually at least 0.92"),
        ({"mask_ml": 2300}, "look", "Brain volume in mL 2300, usually 950 to 2100"),
        ({"ghosting": 0.06}, "look", "Ghosts in the air 0.060, usually at most 0.032"),
        ({"snr": 4.0, "cnr": 0.9}, "reject", "Signal to noise 4, usually at least 20"),
        ({"cut_cm2": 110.0}, "reject", "Brain cut by the edge of the view in cm² 110"),
        ({"asymmetry": -0.05}, "look", "Difference of the brain's halves -0.050"),
    ],
)
def test_absolute_limits(changes: dict[str, float], word: str, reason: str) -> None:
    verdict = judge_cohort({"sub-01": GOOD | changes})["sub-01"]
    assert verdict.word == word
    assert verdict.reasons[0].startswith(reason)
    assert len(verdict.reasons) == len(changes)


def test_an_outlier_of_the_cohort_is_looked_at_and_never_rejected() -> None:
    others = cohort(30)
    odd = GOOD | {"snr": 21.0, "cohort_correlation": 0.3}
    for scan in others.values():
        scan["cohort_correlation"] = 0.7
    alone = judge_cohort({"odd": odd})["odd"]
    among = judge_cohort({"odd": odd} | others)["odd"]
    assert alone.word == "keep"
    assert among.word == "look"
    assert [reason.split(",")[0] for reason in among.reasons] == [
        "Likeness to the cohort's mean image 0.30"
    ]
    assert among.reasons[0].split(", ")[1].startswith("in this cohort 0.70")


def test_only_the_bad_side_of_the_cohort_counts() -> None:
    better = GOOD | {"snr": 200.0, "cnr": 3.0, "dice": 0.99}
    assert judge_cohort(cohort(30) | {"good": better})["good"].word == "keep"


def test_small_cohorts_are_not_compared() -> None:
    odd = GOOD | {"cohort_correlation": -0.5}
    few = {f"sub-{n}": GOOD | {"cohort_correlation": 0.7} for n in range(6)}
    assert judge_cohort(few | {"odd": odd})["odd"].word == "keep"


def test_what_is_not_measured_is_not_judged() -> None:
    unknown = {"snr": math.nan, "dice": math.nan, "something": 3.0}
    assert judge_cohort({"sub-01": unknown})["sub-01"].word == "keep"


def test_every_measure_has_a_rule_and_a_line_in_the_docs() -> None:
    text = DOCS.read_text(encoding="utf-8")
    names = {rule.measure for rule in RULES}
    assert names >= set(MEASURES)
    assert not [name for name in names if f"`{name}`" not in text]
