from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_neuropretrain.synthesis.resizing import resize


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("shape", [(20, 24, 40), (5, 7, 30)])
def test_equals_the_general_function(order: int, shape: tuple[int, ...]) -> None:
    given = np.random.default_rng(0).normal(size=(2, 5, 6, 10))
    factors = [new / old for new, old in zip(shape, given.shape[1:], strict=True)]
    expected = np.stack([ndimage.zoom(one, factors, order=order) for one in given])
    found = resize(given, shape, order)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)
