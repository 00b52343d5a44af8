"""The picture of a scan: sides, outlines, and scans without a mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_neuropretrain.data.template import Template
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.intensity import zscore_brain
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.preprocessing.quality_mosaic import (
    CAPTION,
    SLICES,
    TILE,
    draw_mosaic,
)


@pytest.fixture
def done(template_4mm: Template) -> Preprocessed:
    image = zscore_brain(template_4mm.data, template_4mm.brain_mask)
    mask = template_4mm.brain_mask
    return Preprocessed(image, template_4mm.affine, mask, mask, np.eye(4), {})


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def tile(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    top = CAPTION + row * (TILE + CAPTION)
    return picture[top : top + TILE, column * TILE : (column + 1) * TILE]


def test_two_rows_of_slices_with_outlines(
    tmp_path: Path, template_4mm: Template, done: Preprocessed
) -> None:
    volume = Volume.from_native(template_4mm.data * 1000, template_4mm.affine)
    path = draw_mosaic(tmp_path / "figures" / "a.png", "sub-01", volume, done)
    picture = pixels(path)
    assert picture.shape == (2 * (TILE + CAPTION), TILE * len(SLICES), 3)
    assert path.stat().st_size < 400_000
    for column in range(len(SLICES)):
        red, _, blue = np.moveaxis(tile(picture, 0, column), 2, 0)
        assert ((red - blue) > 120).sum() > 150  # the mask's outline
        red, _, blue = np.moveaxis(tile(picture, 1, column), 2, 0)
        assert ((blue - red) > 100).sum() > 300  # the template's edges


@pytest.mark.parametrize("storage", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_right_is_right_and_front_is_up(
    tmp_path: Path,
    template_4mm: Template,
    done: Preprocessed,
    storage: tuple[int, int, int],
) -> None:
    """A black spot in the right front of the head, in the axial slice above."""
    data = template_4mm.data * 1000
    x, y, z = (np.argwhere(template_4mm.brain_mask).max(axis=0) * 0.62).astype(int)
    marked = data.copy()
    marked[x : x + 5, y + 4 : y + 9, z - 3 : z + 9] = 0
    flips = tuple(slice(None, None, step) for step in storage)
    affine = template_4mm.affine @ np.diag([*storage, 1.0])
    last = np.array(data.shape) - 1
    corner = [
        length if step < 0 else 0 for length, step in zip(last, storage, strict=True)
    ]
    affine[:3, 3] = (template_4mm.affine @ [*corner, 1])[:3]
    plain = Volume.from_native(data[flips], affine)
    spotted = Volume.from_native(marked[flips], affine)
    before, after = (
        tile(pixels(draw_mosaic(tmp_path / f"{n}.png", "a", one, done)), 0, 2)
        for n, one in enumerate((plain, spotted))
    )
    rows, columns = np.nonzero((before - after).sum(axis=2) > 150)
    assert len(rows) > 50
    assert columns.mean() > TILE / 2 + 5
    assert rows.mean() < TILE / 2 - 5


def test_a_scan_without_mask_is_shown_alone(
    tmp_path: Path, template_4mm: Template
) -> None:
    volume = Volume.from_native(template_4mm.data * 1000, template_4mm.affine)
    picture = pixels(draw_mosaic(tmp_path / "a.png", "sub-01", volume))
    assert picture.shape == (TILE + CAPTION, TILE * len(SLICES), 3)
    assert tile(picture, 0, 1).max() > 200
