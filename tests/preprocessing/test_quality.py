"""Each measure moves the right way when a scan is damaged."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.data.template import Template
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.air import find_air
from napari_neuropretrain.preprocessing.intensity import zscore_brain
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.preprocessing.quality import (
    MEASURES,
    asymmetry,
    cut_cm2,
    measure_quality,
    signal_to_noise,
)
from napari_neuropretrain.preprocessing.tissues import split_tissues

Data = NDArray[np.float32]


@pytest.fixture(scope="module")
def phantom(template_3mm: Template) -> Data:
    """The template with a little noise, brain and air."""
    rng = np.random.default_rng(0)
    return magnitude(template_3mm.data * 1000, 10, rng)


def magnitude(data: Data, deviation: float, rng: np.random.Generator) -> Data:
    real, imaginary = rng.normal(0, deviation, (2, *data.shape))
    return np.hypot(data + real, imaginary).astype(np.float32)


def noisy(data: Data) -> Data:
    return magnitude(data, 60, np.random.default_rng(1))


def moved(data: Data) -> Data:
    """Every sixth phase-encoding line was seen in another position."""
    there = ndimage.shift(ndimage.rotate(data, 4, (1, 2), reshape=False), (0, 2, 1))
    lines, others = np.fft.fftn(data), np.fft.fftn(there)
    late = np.arange(8, data.shape[1] - 8, 6)
    lines[:, late] = others[:, late]
    return np.abs(np.fft.ifftn(lines)).astype(np.float32)


def shaded(data: Data) -> Data:
    return (data * np.linspace(0.6, 1.4, data.shape[0])[:, None, None]).astype("f4")


def blurred(data: Data) -> Data:
    return np.asarray(ndimage.gaussian_filter(data, 1.0))


def clipped(data: Data) -> Data:
    return data.clip(0, np.percentile(data, 95))


def measure(data: Data, template: Template, corrected: Data | None = None) -> dict:
    affine, mask = template.affine, template.brain_mask
    volume = Volume.from_native(data, affine)
    image = zscore_brain(data if corrected is None else corrected, mask)
    return measure_quality(
        volume, Preprocessed(image, affine, mask, mask, np.eye(4), {})
    )


def test_a_good_scan(phantom: Data, template_3mm: Template) -> None:
    found = measure(phantom, template_3mm)
    assert tuple(found) == MEASURES
    # White matter is 0.8 of 1000, the noise 10, a voxel 27 mm³ and not 8.
    assert found["snr"] == pytest.approx(80 * math.sqrt(8 / 27), rel=0.25)
    assert found["cnr"] > 1.5
    assert found["energy_ratio"] > 30
    assert found["ghosting"] < 0.01
    assert found["shading"] < 0.15
    assert found["clipped_share"] < 1e-4
    assert found["cut_cm2"] == 0
    assert abs(found["asymmetry"]) < 0.01


@pytest.mark.parametrize(
    ("damage", "measure_name", "factor"),
    [
        (noisy, "snr", 0.4),
        (noisy, "cnr", 0.8),
        (noisy, "energy_ratio", 0.7),
        (noisy, "smoothness_mm", 0.95),
        (moved, "snr", 0.8),
        (moved, "cnr", 0.95),
        (moved, "energy_ratio", 0.9),
        (moved, "ghosting", 4.0),
        (blurred, "smoothness_mm", 1.3),
        (clipped, "clipped_share", 1000.0),
    ],
)
def test_measures_react(
    phantom: Data,
    template_3mm: Template,
    damage: Callable[[Data], Data],
    measure_name: str,
    factor: float,
) -> None:
    good = max(measure(phantom, template_3mm)[measure_name], 1e-5)
    bad = measure(damage(phantom), template_3mm)[measure_name]
    assert bad < factor * good if factor < 1 else bad > factor * good


def test_shading_is_read_from_the_raw_scan(
    phantom: Data, template_3mm: Template
) -> None:
    plain = measure(phantom, template_3mm)
    bad = measure(shaded(phantom), template_3mm, corrected=phantom)
    assert bad["shading"] > plain["shading"] + 0.25
    assert bad["snr"] == pytest.approx(plain["snr"], rel=0.15)
    assert bad["cnr"] == plain["cnr"]


def test_noise_does_not_look_like_motion(phantom: Data, template_3mm: Template) -> None:
    loud, late = (measure(one(phantom), template_3mm) for one in (noisy, moved))
    assert loud["energy_ratio"] < late["energy_ratio"]
    assert loud["ghosting"] < 0.7 * late["ghosting"]


def test_noise_is_stated_for_2_mm_voxels() -> None:
    data = np.random.default_rng(0).normal(1000, 50, (40, 40, 40)).astype(np.float32)
    places = np.argwhere(ndimage.binary_erosion(np.ones(data.shape, bool)))
    assert signal_to_noise(data, places, np.diag([2, 2, 2, 1])) == pytest.approx(
        20, rel=0.02
    )
    assert signal_to_noise(data, places, np.eye(4)) == pytest.approx(
        20 * math.sqrt(8), rel=0.02
    )


def test_removed_background_is_no_air(phantom: Data, template_3mm: Template) -> None:
    stripped = np.where(template_3mm.brain_mask, phantom, 0)
    found = measure(stripped, template_3mm)
    assert math.isnan(found["energy_ratio"])
    assert math.isnan(found["ghosting"])
    assert not find_air(stripped, template_3mm.brain_mask, template_3mm.affine).any()
    assert found["cut_cm2"] == 0
    assert found["snr"] > 20


@pytest.mark.parametrize("padded", [False, True], ids=["cut", "cut and filled up"])
def test_half_a_head_is_cut_and_lopsided(
    phantom: Data, template_3mm: Template, padded: bool
) -> None:
    mask = template_3mm.brain_mask.copy()
    mask[:30] = False
    data = phantom.copy()
    data[:30] = 0
    seen = slice(None) if padded else slice(30, None)
    area = cut_cm2(data[seen], mask[seen], template_3mm.affine)
    assert area == pytest.approx(mask[30].sum() * 0.09, rel=1e-6)
    assert area > 100
    assert asymmetry(mask, template_3mm.affine) > 0.75


def test_a_blank_brain_gives_no_numbers_and_no_error() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[5:15, 5:15, 5:15] = True
    data = mask * np.float32(7)
    done = Preprocessed(data, np.diag([2.0, 2, 2, 1]), mask, mask, np.eye(4), {})
    found = measure_quality(Volume.from_native(data, done.affine), done)
    assert math.isnan(found["snr"])
    assert math.isnan(found["cnr"])
    assert math.isnan(found["smoothness_mm"])
    assert found["clipped_share"] == 1


def test_tissues_are_split(phantom: Data, template_3mm: Template) -> None:
    tissues = split_tissues(phantom[template_3mm.brain_mask])
    csf, grey, white = tissues.means
    assert csf < 450 < grey < 700 < white < 900
    assert sum(tissues.shares) == pytest.approx(1, abs=1e-3)
