"""Brains that are known again in another cohort, and nobody else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_neuropretrain.data.fingerprints import (
    Fingerprints,
    condense,
    find_known,
    join,
    names_of,
)
from napari_neuropretrain.errors import CheckpointError

EDGE = 20


def brain(seed: int, scanner: int, prefix: str) -> NDArray[np.float32]:
    """What is particular to a person, with what is particular to a scanner."""
    grid = np.stack(np.meshgrid(*[np.arange(EDGE)] * 3, indexing="ij")) - EDGE / 2
    inside = (grid**2).sum(0) < (EDGE / 2 - 1) ** 2
    own = np.random.default_rng(seed).normal(size=inside.shape)
    shared = gaussian_filter(np.random.default_rng(scanner).normal(size=own.shape), 2)
    image = own + 2 * shared / shared.std()
    noise = np.random.default_rng((seed, ord(prefix[0])))
    image += noise.normal(0, 0.4, own.shape)
    return np.where(inside, image, 0).reshape(-1).astype(np.float32)


def cohort(seeds: range, scanner: int, prefix: str) -> dict[str, NDArray[np.float32]]:
    return {f"sub-{prefix}{seed}": brain(seed, scanner, prefix) for seed in seeds}


def test_someone_is_known_on_another_scanner_by_another_name() -> None:
    known = condense(cohort(range(30), 1001, "a"))
    for seeds in (range(29, 60), range(29, 31)):  # a cohort, and too few for a mean
        other = condense(cohort(seeds, 1002, "b"))
        if len(seeds) < 10:
            other = condense(cohort(seeds, 1001, "b"))
        (found,) = find_known(known, other)
        assert (found.known, found.scan) == ("sub-a29", "sub-b29")
        assert found.correlation > 0.7
    assert "sub-b29 shows the brain of sub-a29 (0." in names_of([found] * 12)
    assert names_of([found] * 12).endswith("; and 2 more")


def test_strangers_are_not_known() -> None:
    known = condense(cohort(range(30), 1001, "a"))
    assert find_known(known, condense(cohort(range(30, 60), 1001, "b"))) == ()
    assert find_known(known, condense(cohort(range(30, 60), 1002, "b"))) == ()
    assert find_known(known, condense({})) == ()
    few = condense(cohort(range(2), 1001, "a"))
    assert find_known(few, known) == ()


def test_projections_keep_correlations() -> None:
    brains = cohort(range(12), 1001, "a")
    found = condense(brains).values.astype(float)
    inside = brains["sub-a0"] != 0
    exact = np.corrcoef([one[inside] for one in brains.values()])
    assert np.abs(np.corrcoef(found) - exact).max() < 0.1


def test_files_are_read_back_and_joined(tmp_path: Path) -> None:
    first, other = (condense(cohort(range(n), 1, f"{n}-")) for n in (3, 4))
    join(first, other).save(tmp_path / "f.npz")
    again = Fingerprints.load(tmp_path / "f.npz")
    assert again.scans == (*first.scans, *other.scans)
    assert again.values[3:].tolist() == other.values.tolist()
    assert join(condense({}), first) is first
    smaller = condense({"sub-x": np.ones(8, np.float32)})
    assert join(first, smaller) is first  # of another grid: cannot be compared
    assert find_known(first, smaller) == ()
    (tmp_path / "f.npz").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="Delete the file to do without"):
        Fingerprints.load(tmp_path / "f.npz")
