"""T1s on label maps: reproducible, scored, with atrophy of the size asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_neuropretrain.config.catalog import SOURCES
from napari_neuropretrain.config.options.sources import LabelMapsOptions
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import silent
from napari_neuropretrain.synthesis.label_source import LabelMapsSource
from napari_neuropretrain.synthesis.source import VolumeSource

SHAPE = (48, 56, 48)


@pytest.fixture
def folder(toy_label_maps: Path) -> Path:
    return toy_label_maps


def opened(folder: Path, **changes: float | str) -> LabelMapsSource:
    options = LabelMapsOptions(
        path=folder, participants=8, shape=SHAPE, spacing_mm=3.5, **changes
    )
    source = SOURCES["label_maps"].load()(options, silent)
    assert isinstance(source, LabelMapsSource)
    return source


def size_of(source: LabelMapsSource, index: int, numbers: tuple[int, ...]) -> int:
    return int(np.isin(source.labels_of(index), numbers).sum())


def test_volumes_are_reproducible_and_scored(folder: Path) -> None:
    source = opened(folder)
    assert isinstance(source, VolumeSource)
    volume = source.volume(1)
    assert volume.shape == (1, *SHAPE)
    assert torch.equal(opened(folder).volume(1), volume)
    assert not torch.equal(source.volume(2), volume)
    brain = volume[volume != 0]
    assert float(brain.mean()) == pytest.approx(0, abs=1e-4)
    assert float(brain.std()) == pytest.approx(1, abs=1e-3)
    labels = torch.from_numpy(source.labels_of(1))
    white, grey = volume[0][labels == 2].mean(), volume[0][labels == 3].mean()
    assert white > grey + 0.5


def test_planted_changes_have_the_direction_and_grow_with_their_size(
    folder: Path,
) -> None:
    healthy = opened(folder, age_ventricle_mm=0, ad_shrink_mm=0, pd_shrink_mm=0)
    some = opened(folder)
    more = opened(folder, age_ventricle_mm=5, ad_shrink_mm=3.5, pd_shrink_mm=3.5)
    groups = [healthy.people[index].diagnosis for index in range(8)]
    ages = [healthy.people[index].age for index in range(8)]
    for index, parts in (
        (groups.index("AD"), (17, 18, 53, 54)),
        (groups.index("PD"), (11, 12, 50, 51)),
    ):
        sizes = [size_of(one, index, parts) for one in (healthy, some, more)]
        assert sizes[0] > sizes[1] > sizes[2]
    control = groups.index("CN")
    kept = [size_of(one, control, (17, 18, 53, 54)) for one in (healthy, more)]
    assert kept[1] == pytest.approx(kept[0], rel=0.15)
    oldest = int(np.argmax(ages))
    sizes = [size_of(one, oldest, (4, 43)) for one in (healthy, some, more)]
    assert sizes[0] < sizes[1] < sizes[2]


def test_a_folder_without_label_maps_is_explained(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no label map"):
        opened(tmp_path)


def test_random_contrast_changes_the_order_and_not_the_truth(folder: Path) -> None:
    """White matter is brighter than cortex in every T1, and in some of the others."""
    plain, odd = opened(folder), opened(folder, contrast="random")
    brighter = []
    for index in range(6):
        labels = odd.labels_of(index)
        assert np.array_equal(labels, plain.labels_of(index))
        for source in (plain, odd):
            volume = source.volume(index)[0].numpy()
            brighter.append(volume[labels == 2].mean() > volume[labels == 3].mean())
    assert all(brighter[::2])
    assert 0 < sum(brighter[1::2]) < 6


def test_bias_field_and_slices_are_as_strong_as_asked(folder: Path) -> None:
    """Measured within white matter: its unevenness, and its sharpness."""
    none = opened(folder, bias_field=0, thickest_mm=0)
    shaded = opened(folder, bias_field=0.8, thickest_mm=0)
    thick = opened(folder, bias_field=0, thickest_mm=12)
    white = [none.labels_of(index) == 2 for index in range(4)]

    def uneven(source: LabelMapsSource, index: int) -> float:
        volume = source.volume(index)[0].numpy()
        smooth = ndimage.gaussian_filter(volume, 2)
        return float(smooth[ndimage.binary_erosion(white[index], iterations=4)].std())

    def sharp(source: LabelMapsSource, index: int) -> float:
        volume = source.volume(index)[0].numpy()
        steps = [np.abs(np.diff(volume, axis=axis)).mean() for axis in range(3)]
        return float(sum(steps))

    shades = [uneven(shaded, index) / uneven(none, index) for index in range(4)]
    assert np.median(shades) > 1.5
    losses = [sharp(thick, index) / sharp(none, index) for index in range(4)]
    assert max(losses) < 1  # noise comes last, and is as strong
    assert np.mean(losses) < 0.95
