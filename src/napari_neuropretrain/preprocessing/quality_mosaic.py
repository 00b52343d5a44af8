"""One picture a scan that tells in seconds whether mask and alignment are right."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from napari_neuropretrain.config.base import write_bytes
from napari_neuropretrain.data.orientation import spacing_of
from napari_neuropretrain.data.template import load_template
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.pipeline import Preprocessed

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

TILE = 180
"""Pixels of one slice."""
CAPTION = 20
MASK_COLOUR: Colour = (255, 176, 0)
TEMPLATE_COLOUR: Colour = (70, 190, 255)
LETTERS: Colour = (225, 225, 225)
BEYOND: Colour = (44, 46, 58)
"""Where the scan has no voxels."""
SLICES = ((2, 0.22), (2, 0.45), (2, 0.70), (1, 0.35), (1, 0.62), (0, 0.5), (0, 0.72))
"""Axis, and place from one end of the brain to the other."""
SIDES = {0: ("P", "A"), 1: ("L", "R"), 2: ("L", "R")}
"""What lies left and right in a slice across an axis: neurological."""
WINDOW = (-2.2, 2.2)
"""Grey values of the aligned image, in deviations."""
MARGIN_MM = 14.0


@dataclass(frozen=True, eq=False)
class _View:
    """An array (X, Y, Z) to cut slices from, all with the same edge in mm."""

    data: NDArray[Any]
    sizes_mm: Array
    middle: Array
    edge_mm: float

    def across(self, axis: int, place: int, order: int = 1) -> Array:
        """Return one slice (TILE, TILE): top is up or front, right is right or front.

        NaN where the array ends.
        """
        plane = np.moveaxis(self.data, axis, 0)[place]
        columns, rows = (one for one in range(3) if one != axis)
        step = self.edge_mm / TILE
        scale = step / self.sizes_mm[[columns, rows]]
        half = (TILE - 1) / 2
        start = self.middle[[columns, rows]] - half * scale
        seen = ndimage.affine_transform(
            plane.astype(np.float32),
            np.diag(scale),
            start,
            (TILE, TILE),
            order=order,
            cval=np.nan,
        )
        return np.asarray(seen.T[::-1], dtype=float)


def draw_mosaic(
    path: Path, name: str, volume: Volume, done: Preprocessed | None = None
) -> Path:
    """Write the picture of one scan.

    The upper row is the scan in its own space with the outline of its brain mask;
    the lower one the aligned image with the template's edges over it. The left of
    the picture is the left of the person.

    Parameters
    ----------
    path
        PNG to write.
    name
        Written over the picture.
    volume
        The raw scan.
    done
        What became of it; None shows the scan alone.

    Returns
    -------
    Path
        The path written.
    """
    what = "scan and brain mask" if done else "scan; it could not be preprocessed"
    rows = [_caption(f"{name}: {what}", MASK_COLOUR)]
    rows.append(_row(_own_space(volume, done.scan_mask if done else None)))
    if done:
        aligned = "aligned, with the edges of the template"
        rows += [_caption(aligned, TEMPLATE_COLOUR), _row(_template_space(done))]
    # 96 colours: greys and the two outlines; a third of the size.
    picture = Image.fromarray(np.concatenate(rows)).quantize(96)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    write_bytes(path, stream.getvalue())
    return path


def _own_space(volume: Volume, brain_mask: Mask | None) -> list[Pixels]:
    """Return a slice of pixels for each of `SLICES`."""
    sizes = np.array(spacing_of(volume.affine))
    shown = volume.data > volume.data.mean() if brain_mask is None else brain_mask
    places = np.argwhere(shown)
    first, last = places.min(axis=0), places.max(axis=0)
    edge = float(((last - first + 1) * sizes).max()) + 2 * MARGIN_MM
    middle = (first + last) / 2
    low, high = np.percentile(volume.data[shown], (0.5, 99.5))
    scan = _View(volume.data, sizes, middle, edge)
    mask = _View(shown, sizes, middle, edge)
    low = min(low, float(np.percentile(volume.data[::4, ::4, ::4], 1)))
    tiles = []
    for axis, share in SLICES:
        place = round(first[axis] + share * (last[axis] - first[axis]))
        tile = _grey(scan.across(axis, place), low, high)
        if brain_mask is not None:
            _outline(tile, mask.across(axis, place) > 0.5, MASK_COLOUR)
        tiles.append(tile)
    return tiles


def _template_space(done: Preprocessed) -> list[Pixels]:
    shape, spacing_mm = done.image.shape, float(done.affine[0, 0])
    brain, white = _template_edges(shape, spacing_mm)
    sizes = np.full(3, spacing_mm)
    middle = (np.array(shape) - 1) / 2
    edge = max(shape) * spacing_mm
    shown = np.where(done.brain_mask, done.image, WINDOW[0])
    views = [_View(each, sizes, middle, edge) for each in (shown, brain, white)]
    places = np.argwhere(brain > 0.5)
    first, last = places.min(axis=0), places.max(axis=0)
    tiles = []
    for axis, share in SLICES:
        place = round(first[axis] + share * (last[axis] - first[axis]))
        tile = _grey(views[0].across(axis, place), *WINDOW)
        for edges in views[1:]:
            _outline(tile, edges.across(axis, place) > 0.5, TEMPLATE_COLOUR)
        tiles.append(tile)
    return tiles


@lru_cache(maxsize=2)
def _template_edges(
    shape: tuple[int, int, int], spacing_mm: float
) -> tuple[Array, Array]:
    """Return the template's brain and its bright tissue, as fractions."""
    template = load_template(shape, spacing_mm)
    inside = template.data[template.brain_mask]
    level = float(np.percentile(inside, 58))
    smooth = ndimage.gaussian_filter(template.data, 1.5 / spacing_mm)
    # A half lies on the edge.
    bright = np.clip(0.5 + (smooth - level) / (level or 1), 0, 1)
    return template.brain_mask.astype(float), bright


def _grey(values: Array, low: float, high: float) -> Pixels:
    """Return pixels (TILE, TILE, 3)."""
    scaled = (values - low) / max(high - low, 1e-9)
    levels = np.nan_to_num(255 * scaled.clip(0, 1)).astype(np.uint8)
    pixels = np.repeat(levels[..., None], 3, axis=2)
    pixels[np.isnan(values)] = BEYOND
    return pixels


def _outline(tile: Pixels, inside: Mask, colour: Colour) -> None:
    """Paint the rim of a region, one pixel wide."""
    tile[inside & ~ndimage.binary_erosion(inside, border_value=1)] = colour


def _row(tiles: Sequence[Pixels]) -> Pixels:
    marked = []
    for tile, (axis, _) in zip(tiles, SLICES, strict=True):
        image = Image.fromarray(tile)
        draw = ImageDraw.Draw(image)
        left, right = SIDES[axis]
        for side, x, anchor in ((left, 4, "ls"), (right, TILE - 4, "rs")):
            draw.text(
                (x, TILE - 4),
                side,
                LETTERS,
                _font(13),
                anchor,
                stroke_width=1,
                stroke_fill=(0, 0, 0),
            )
        marked.append(np.asarray(image))
    return np.concatenate(marked, axis=1)


def _caption(text: str, colour: Colour) -> Pixels:
    image = Image.new("RGB", (TILE * len(SLICES), CAPTION), (18, 18, 22))
    draw = ImageDraw.Draw(image)
    draw.rectangle((6, 8, 20, 11), fill=colour)
    draw.text(
        (27, CAPTION - 6), text, fill=(230, 230, 230), font=_font(13), anchor="ls"
    )
    side = "left of the picture is left of the person (neurological)"
    draw.text((image.width - 6, CAPTION - 6), side, LETTERS, _font(12), "rs")
    return np.asarray(image)


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
