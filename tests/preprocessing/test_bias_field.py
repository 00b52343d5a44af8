"""N4 takes a known shading away."""

from __future__ import annotations

import numpy as np
import pytest

from napari_neuropretrain.data.template import Template
from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.preprocessing.bias_field import correct_bias_field


def test_a_known_shading_is_removed(template_3mm: Template) -> None:
    mask = template_3mm.brain_mask
    x, y, _ = np.indices(mask.shape) / 64
    shading = np.exp(0.8 * (x - 0.5) - 0.5 * (y - 0.5) ** 2).astype(np.float32)
    shaded = template_3mm.data * shading * 500

    corrected = correct_bias_field(shaded, mask, template_3mm.affine)

    left = (shading / shading[mask].mean())[mask]
    after = (corrected / np.maximum(template_3mm.data, 1e-6))[mask]
    assert left.std() > 0.14
    assert (after / after.mean()).std() < left.std() / 2
    assert corrected[mask].mean() == pytest.approx(shaded[mask].mean(), rel=1e-3)
    assert corrected.dtype == np.float32


def test_the_same_scan_gives_the_same_bytes(template_3mm: Template) -> None:
    once, twice = (
        correct_bias_field(
            template_3mm.data, template_3mm.brain_mask, template_3mm.affine
        )
        for _ in range(2)
    )
    assert once.tobytes() == twice.tobytes()


def test_negative_voxels_do_no_harm(template_3mm: Template) -> None:
    dipped = template_3mm.data - 0.05
    corrected = correct_bias_field(dipped, template_3mm.brain_mask, template_3mm.affine)
    assert np.isfinite(corrected).all()


def test_an_empty_mask_is_refused(template_3mm: Template) -> None:
    empty = np.zeros_like(template_3mm.brain_mask)
    with pytest.raises(ImageError, match="empty"):
        correct_bias_field(template_3mm.data, empty, template_3mm.affine)
