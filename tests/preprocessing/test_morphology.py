import numpy as np
import pytest
from scipy import ndimage

from napari_neuropretrain.preprocessing.morphology import (
    block_means,
    fill_holes,
    keep_largest,
)


@pytest.mark.parametrize("density", [0.2, 0.6, 0.9])
def test_holes_are_filled_as_scipy_does(density: float) -> None:
    mask = np.random.default_rng(3).random((14, 15, 16)) < density
    expected = ndimage.binary_fill_holes(mask)
    np.testing.assert_array_equal(fill_holes(mask), expected)


def test_nothing_and_everything_stay_as_they_are() -> None:
    for value in (True, False):
        mask = np.full((4, 4, 4), value)
        assert (fill_holes(mask) == value).all()
        assert (keep_largest(mask) == value).all()


def test_blocks_are_averaged_and_the_rest_dropped() -> None:
    data = np.arange(5 * 4 * 3, dtype=np.float32).reshape(5, 4, 3)
    means = block_means(data, (2, 2, 1))
    assert means.shape == (2, 2, 3)
    assert means[1, 0, 2] == data[2:4, 0:2, 2].mean()
    assert means.dtype == np.float32
