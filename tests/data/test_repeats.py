"""One person under two names is found by the volumes, and nobody else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_neuropretrain.data.repeats import find_repeats, fingerprint, same_people

EDGE = 40


def brain(seed: int, noise_seed: int = 0, shift: int = 0) -> NDArray[np.float32]:
    """A ball with folds of its own, as one scan of a person shows it."""
    grid = np.stack(np.meshgrid(*[np.arange(EDGE)] * 3, indexing="ij")) - EDGE / 2
    inside = (grid**2).sum(0) < (EDGE / 2 - 3) ** 2
    folds = gaussian_filter(np.random.default_rng(seed).normal(size=inside.shape), 3)
    shared = gaussian_filter(np.random.default_rng(999).normal(size=inside.shape), 4)
    image = folds / folds.std() + 2 * shared / shared.std()
    image = np.roll(image, shift, 0)
    image *= 1 + 0.2 * grid[0] / EDGE  # a bias field
    image += np.random.default_rng((seed, noise_seed)).normal(0, 0.5, inside.shape)
    return np.where(inside, image, 0).astype(np.float32)


@pytest.fixture(scope="module")
def people() -> list[NDArray[np.float32]]:
    return [fingerprint(brain(seed)) for seed in range(30)]


def test_different_people_are_no_repeats(people: list[NDArray[np.float32]]) -> None:
    assert find_repeats(people, [f"sub-{n}" for n in range(30)]) == ()


@pytest.mark.parametrize("who", [0, 17])
def test_a_second_scan_under_another_name_is_found(
    people: list[NDArray[np.float32]], who: int
) -> None:
    again = fingerprint(brain(who, noise_seed=5, shift=1))
    names = [*(f"sub-{n}" for n in range(30)), "sub-other"]
    (found,) = find_repeats([*people, again], names)
    assert (found.one, found.other) == (who, 30)
    assert 0.6 < found.correlation < 1
    # Two sessions of one participant are none of our business.
    names[-1] = f"sub-{who}"
    assert find_repeats([*people, again], names) == ()


def test_people_who_differ_in_one_large_thing_are_no_repeats() -> None:
    """A cohort that is noise and one planted effect: all correlate, nobody repeats."""
    grid = np.indices((32, 32, 32)) - 16
    ball = (grid**2).sum(0) < 13**2
    found = []
    for number in range(20):
        noise = np.random.default_rng(number).normal(0, 1, ball.shape)
        image = noise + 1.5 * (number % 2) * (grid[1] > 4)
        found.append(fingerprint(np.where(ball, image, 0)))
    assert find_repeats(found, [str(n) for n in range(20)]) == ()


def test_three_names_of_one_person_are_one() -> None:
    same = same_people([("b", "c"), ("d", "e"), ("c", "a")])
    assert same == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d"}
