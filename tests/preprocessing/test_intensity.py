"""The z-score of the brain."""

from __future__ import annotations

import numpy as np
import pytest

from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.preprocessing.intensity import zscore_brain


def test_the_brain_has_mean_0_and_deviation_1_and_the_rest_is_0() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(700, 90, (12, 13, 14)).astype(np.float32)
    mask = rng.random(data.shape) > 0.6
    scored = zscore_brain(data, mask)
    assert scored[mask].mean() == pytest.approx(0, abs=1e-5)
    assert scored[mask].std() == pytest.approx(1, abs=1e-5)
    assert not scored[~mask].any()
    inside = data[mask]
    np.testing.assert_allclose(
        scored[mask], (inside - inside.mean()) / inside.std(), atol=1e-4
    )


def test_scale_and_offset_of_the_scanner_do_not_matter() -> None:
    data = np.random.default_rng(1).random((8, 8, 8)).astype(np.float32)
    mask = data > 0.3
    np.testing.assert_allclose(
        zscore_brain(data, mask), zscore_brain(40 * data + 7, mask), atol=1e-4
    )


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ImageError, match="mask holds no voxel"):
        zscore_brain(np.ones((4, 4, 4), np.float32), np.zeros((4, 4, 4), bool))


def test_a_brain_of_one_value_is_refused() -> None:
    with pytest.raises(ImageError, match="has the value 5"):
        zscore_brain(np.full((4, 4, 4), 5, np.float32), np.ones((4, 4, 4), bool))
