"""Synthetic brains on the fly: reproducible, z-scored, with the planted effects."""

from __future__ import annotations

import pytest
import torch

from napari_neuropretrain.config.catalog import SOURCES
from napari_neuropretrain.config.options.sources import TemplateCohortOptions
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import silent
from napari_neuropretrain.synthesis.source import VolumeSource
from napari_neuropretrain.synthesis.template_cohort import effect_regions
from napari_neuropretrain.synthesis.template_source import TemplateSource

SHAPE = (40, 40, 40)
OPTIONS = TemplateCohortOptions(participants=8, shape=SHAPE, spacing_mm=4.0)


@pytest.fixture(scope="module")
def source() -> TemplateSource:
    opened = SOURCES["template_cohort"].load()(OPTIONS, silent)
    assert isinstance(opened, TemplateSource)
    return opened


def test_it_is_a_source(source: TemplateSource) -> None:
    assert isinstance(source, VolumeSource)
    assert len(source) == len(set(source.ids)) == 8
    assert source.contract is not None
    assert source.contract.shape == SHAPE


def test_volumes_are_reproducible_and_scored(source: TemplateSource) -> None:
    volume = source.volume(2)
    assert volume.shape == (1, *SHAPE)
    assert volume.dtype == torch.float32
    more = TemplateSource(OPTIONS.replace(participants=100))
    assert torch.equal(more.volume(2), volume)
    assert not torch.equal(source.volume(3), volume)
    other = TemplateSource(OPTIONS.replace(seed=1))
    assert not torch.equal(other.volume(2), volume)
    brain = volume[volume != 0]
    assert float(brain.mean()) == pytest.approx(0, abs=1e-4)
    assert float(brain.std()) == pytest.approx(1, abs=1e-3)
    litres = brain.numel() * 0.004**3 * 1000
    assert 1.4 < litres < 2.4


def test_labels(source: TemplateSource) -> None:
    ages = [source.label(index, "age") for index in range(8)]
    assert all(age is not None and 45 <= age <= 85 for age in ages)
    groups = [source.label(index, "diagnosis") for index in range(8)]
    assert [groups.count(number) for number in range(3)] == [2, 4, 2]
    with pytest.raises(CohortError, match="no label 'weight'"):
        source.label(0, "weight")


def test_disease_darkens_its_region(source: TemplateSource) -> None:
    region = torch.from_numpy(effect_regions(SHAPE, 4.0)["ad"])[None]
    means: dict[float | None, list[float]] = {}
    for index in range(8):
        mean = float(source.volume(index)[region].mean())
        means.setdefault(source.label(index, "diagnosis"), []).append(mean)
    controls = means[source.classes("diagnosis").index("cn")]
    ill = means[source.classes("diagnosis").index("ad")]
    assert max(ill) < min(controls)
