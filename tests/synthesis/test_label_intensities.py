"""Intensities and slices: T1 order, shared sides, and what a slice averages."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_neuropretrain.synthesis.label_intensities import (
    acquire_in_slices,
    draw_intensities,
    draw_t1,
    slice_operator,
)

LEFT_AND_RIGHT = [(2, 41), (4, 43), (11, 50), (17, 53)]


def test_t1_means_vary_in_order() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([draw_t1(rng) for _ in range(400)])
    fluid, grey, deep, white = drawn.T
    assert (fluid < grey).all()
    assert ((grey < deep) & (deep < white)).all()
    assert (white - grey > 0.12).all()
    assert drawn.std(0) == pytest.approx([0.06, 0.05, 0.05, 0.06], abs=0.015)


@pytest.mark.parametrize("contrast", ["t1", "random"])
def test_both_sides_are_alike_and_volumes_differ(contrast) -> None:
    one = draw_intensities(np.random.default_rng(1), 61, contrast)
    same = draw_intensities(np.random.default_rng(1), 61, contrast)
    other = draw_intensities(np.random.default_rng(2), 61, contrast)
    assert np.array_equal(one.means, same.means)
    assert np.abs(one.means - other.means).mean() > 0.02
    for left, right in LEFT_AND_RIGHT:
        assert one.means[left] == pytest.approx(one.means[right], abs=0.08)
        assert one.deviations[left] == one.deviations[right]
    assert one.means[24] == pytest.approx(one.means[0], abs=0.05)
    assert one.means.dtype == np.float32


def test_random_contrast_has_no_order() -> None:
    rng = np.random.default_rng(3)
    drawn = [draw_intensities(rng, 61, "random").means for _ in range(200)]
    brighter = np.mean([means[2] > means[3] for means in drawn])
    assert 0.4 < brighter < 0.6
    structures = np.array([[means[11], means[12], means[17]] for means in drawn])
    assert np.abs(np.corrcoef(structures.T)[np.triu_indices(3, 1)]).max() < 0.2


def slow_slices(line: np.ndarray, thickness: float, start: float) -> np.ndarray:
    """Slice for slice, then interpolated between their middles."""
    sigma = thickness / (2 * np.sqrt(2 * np.log(2)))
    voxels, middles, means = np.arange(len(line)), [], []
    middle = -start * thickness
    while middle < len(line) + 2 * thickness:
        inside = min(max(middle, 0), len(line) - 1)
        weights = np.exp(-((voxels - inside) ** 2) / (2 * sigma**2))
        middles.append(middle)
        means.append((weights * line).sum() / weights.sum())
        middle += thickness
    return np.interp(voxels, middles, means)


@pytest.mark.parametrize(("thickness", "start"), [(1.3, 0.0), (2.0, 0.7), (5.5, 0.99)])
def test_slices_follow_the_slow_reference(thickness: float, start: float) -> None:
    line = np.random.default_rng(4).random(37)
    found = slice_operator(37, thickness, start) @ line
    assert found == pytest.approx(slow_slices(line, thickness, start), rel=1e-4)


def test_slices_lose_what_is_finer_than_they_are() -> None:
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((40, 44, 48)).astype(np.float32)
    kept = {
        thickest: acquire_in_slices(np.random.default_rng(6), noise, 2.0, thickest)
        for thickest in (0.0, 2.0, 4.0, 12.0)
    }
    assert kept[0.0] is noise
    assert kept[2.0] is noise
    assert noise.std() > 1.1 * kept[4.0].std() > 1.1 * kept[12.0].std()
    axis = int(np.random.default_rng(6).integers(3))
    others = [one for one in range(3) if one != axis]
    for along in others:  # nothing is lost within a slice
        steps = np.diff(kept[12.0], axis=along).std() / kept[12.0].std()
        assert steps == pytest.approx(np.sqrt(2), rel=0.05)
    along_slices = np.diff(kept[12.0], axis=axis).std() / kept[12.0].std()
    assert along_slices < 0.7
    smooth = ndimage.gaussian_filter(noise, 6)
    lost = acquire_in_slices(np.random.default_rng(6), smooth, 2.0, 4.0) - smooth
    assert np.abs(lost).std() < 0.1 * smooth.std()
