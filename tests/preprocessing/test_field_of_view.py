"""A cut brain is seen to be cut, and a whole one is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_neuropretrain.data.template import Template, load_template_1mm
from napari_neuropretrain.preprocessing.field_of_view import (
    brain_in_view,
    cut_faces,
    frame_brain,
    keep_share,
    name_missing,
)


def test_a_whole_brain_is_not_cut(template_4mm: Template) -> None:
    assert not cut_faces(template_4mm.brain_mask, template_4mm.affine).any()
    fine = load_template_1mm()
    assert not cut_faces(fine.brain_mask, fine.affine).any()


@pytest.mark.parametrize(
    ("axis", "side", "name"),
    [
        (0, 0, "left"),
        (0, 1, "right"),
        (1, 0, "back"),
        (1, 1, "front"),
        (2, 0, "bottom"),
        (2, 1, "top"),
    ],
)
@pytest.mark.parametrize("padded", [False, True], ids=["edge", "zeros"])
def test_the_cut_face_and_the_missing_part_are_named(
    template_4mm: Template, axis: int, side: int, name: str, padded: bool
) -> None:
    """Also where the slices that are missing were filled with zeros."""
    whole, affine = template_4mm.brain_mask, template_4mm.affine
    cut = np.zeros((3, 2), bool)
    cut[axis, side] = True
    part = keep_share(whole, cut, 0.6)
    if not padded:
        keep: list[Any] = [slice(None)] * 3
        places = np.flatnonzero(part.any(axis=tuple({0, 1, 2} - {axis})))
        keep[axis] = slice(places[0], None) if side == 0 else slice(places[-1] + 1)
        part = part[tuple(keep)]
        affine = affine.copy()
        affine[:3, 3] += affine[:3, axis] * (keep[axis].start or 0)

    np.testing.assert_array_equal(cut_faces(part, affine), cut)

    places = np.argwhere(whole).astype(float)
    to_part = np.linalg.inv(affine) @ template_4mm.affine
    shown = brain_in_view(places, part, cut, to_part)
    assert shown.mean() == pytest.approx(part.sum() / whole.sum(), abs=1e-9)
    points = places @ template_4mm.affine[:3, :3].T
    assert name_missing(points, shown) == name


def test_the_frame_ends_at_the_cut_and_is_empty_elsewhere() -> None:
    mask = np.zeros((12, 12, 12), bool)
    mask[3:9, 3:9, 3:9] = True
    cut = np.zeros((3, 2), bool)
    cut[2, 1] = True
    data = np.where(mask, np.arange(12.0), 0)
    affine = np.diag([8.0, 8.0, 8.0, 1.0])

    framed, moved = frame_brain(data, mask, affine, cut)

    assert framed.shape == (10, 10, 8)  # 2 + 6 + 2, and nothing beyond the cut
    np.testing.assert_array_equal(framed[2:8, 2:8, 2:], data[3:9, 3:9, 3:9])
    assert not framed[:2].any()
    np.testing.assert_allclose(moved[:3, 3], 8.0)


def test_what_lies_outside_the_array_is_not_shown() -> None:
    mask = np.zeros((4, 4, 4), bool)
    mask[1:3, 1:3, 1:3] = True
    places = np.array([[0.0, 0, 0], [3, 3, 3], [3.6, 3, 3], [-1, 0, 0]])
    shown = brain_in_view(places, mask, np.zeros((3, 2), bool), np.eye(4))
    assert shown.tolist() == [True, True, False, False]
