from collections import Counter

import numpy as np
import pytest

from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.synthesis.participants import draw_participants


def test_first_participants_do_not_depend_on_how_many_are_drawn():
    assert draw_participants(5, seed=3) == draw_participants(40, seed=3)[:5]


def test_seeds_differ():
    assert draw_participants(5, seed=3) != draw_participants(5, seed=4)


@pytest.mark.parametrize(
    ("mix", "expected"),
    [
        (("CN", "CN", "AD", "PD"), {"CN": 12, "AD": 6, "PD": 6}),
        (("CN", "AD"), {"CN": 12, "AD": 12}),
        (("PD",), {"PD": 24}),
    ],
)
def test_diagnoses_are_balanced(mix, expected):
    people = draw_participants(24, seed=1, diagnoses=mix)
    assert Counter(person.diagnosis for person in people) == expected


@pytest.mark.parametrize("seed", range(5))
def test_age_is_even_and_unrelated_to_diagnosis_sex_and_site(seed):
    people = draw_participants(40, seed, ("CN", "AD"))
    ages = np.array([person.age for person in people])
    assert ages.min() >= 45
    assert ages.max() <= 85
    assert np.ptp(ages) > 34
    for trait in ("diagnosis", "sex", "site"):
        values = np.array([getattr(person, trait) for person in people])
        groups = np.unique(values)
        means = [ages[values == group].mean() for group in groups]
        # The standard error of such a difference is 3.7 years by chance alone.
        assert np.ptp(means) < 5, trait
        assert min(Counter(values.tolist()).values()) >= 14, trait


def test_names_have_two_digits():
    assert [p.name for p in draw_participants(10, 0)][::9] == ["sub-01", "sub-10"]


@pytest.mark.parametrize(
    ("count", "mix", "message"),
    [
        (0, ("CN",), "participants=0 must be 1 or more"),
        (4, ("CN", "MCI"), "must name one or more of CN, AD, PD"),
        (4, (), "must name one or more"),
    ],
)
def test_wrong_requests_are_explained(count, mix, message):
    with pytest.raises(CohortError, match=message):
        draw_participants(count, 0, mix)
