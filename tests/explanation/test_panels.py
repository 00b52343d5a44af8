"""Occlusion panels: what lies where, with which colour."""

import numpy as np
import pytest

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.panel_slices import PanelMap
from napari_neuropretrain.explanation.panels import draw_panel
from napari_neuropretrain.reporting.drawing import new_figure

SHAPE = (10, 12, 8)
AFFINE = np.array([[2.0, 0, 0, -9], [0, 2, 0, -11], [0, 0, 2, -7], [0, 0, 0, 1]])


def one_spot(value=1.0, place=(7, 3, 6), **more):
    values = np.zeros(SHAPE)
    values[place] = value
    anatomy = np.random.default_rng(0).normal(size=SHAPE)
    given = {"affine": AFFINE, "brain": np.ones(SHAPE, bool), "unit": "years"}
    return PanelMap(values, anatomy, **given | more)


def slices_of(figure, place=0):
    """Give axes of the three planes of the map at a place."""
    axes = [one for one in figure.axes if one.images and one.get_title()]
    return axes[3 * place : 3 * place + 3]


def colours_at(axis, point):
    """Give the RGBA of the map at (across, up) in mm."""
    shown = axis.images[1]
    left, right, low, high = shown.get_extent()
    values = shown.get_array()
    column = int((point[0] - left) / (right - left) * values.shape[1])
    row = int((point[1] - low) / (high - low) * values.shape[0])
    return shown.cmap(shown.norm(values[row, column]))


def test_slices_go_through_the_strongest_voxel_and_its_mm_are_said():
    titles = [one.get_title() for one in slices_of(draw_panel([[one_spot()]]))]
    assert titles == ["z = 5 mm", "y = -5 mm", "x = 5 mm"]


def test_the_spot_is_drawn_at_its_mm_and_hot_or_cold_by_its_sign():
    for value, hot in ((1.0, True), (-1.0, False)):
        axes = slices_of(draw_panel([[one_spot(value)]]))
        for axis, point in zip(axes, ((5, -5), (5, 5), (-5, 5)), strict=True):
            red, _, blue, alpha = colours_at(axis, point)
            assert alpha == 1
            assert (red > blue) == hot
            assert colours_at(axis, (-point[0], point[1]))[3] == 0


def test_any_orientation_of_the_array_gives_the_same_picture():
    spot = one_spot()
    turned = PanelMap(
        spot.values[::-1].transpose(2, 0, 1),
        spot.anatomy[::-1].transpose(2, 0, 1),
        AFFINE @ np.array([[0, -1, 0, 9], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]),
        spot.brain.transpose(2, 0, 1),
        "years",
    )
    for one, other in zip(
        slices_of(draw_panel([[spot]])), slices_of(draw_panel([[turned]])), strict=True
    ):
        assert one.get_title() == other.get_title()
        for number in (0, 1):
            np.testing.assert_array_equal(
                one.images[number].get_array(), other.images[number].get_array()
            )
            assert one.images[number].get_extent() == other.images[number].get_extent()


def test_radiological_panels_are_mirrored_with_their_marks():
    neurological, radiological = (
        slices_of(draw_panel([[one_spot()]], radiological=each))
        for each in (False, True)
    )
    marks = [[text.get_text() for text in one.texts] for one in radiological]
    assert [one[:2] for one in marks] == [["R", "L"], ["R", "L"], ["P", "A"]]
    assert [one.texts[0].get_text() for one in neurological] == ["L", "L", "P"]
    assert radiological[0].xaxis_inverted()
    assert not neurological[0].xaxis_inverted()
    assert not radiological[2].xaxis_inverted()


def test_thresholds_limit_place_and_unit_are_those_given():
    spot = one_spot(0.5, threshold=(0.1, 0.6), limit=0.8, place_mm=(-9, -11, -7))
    figure = draw_panel([[spot]])
    axes = slices_of(figure)
    assert axes[0].get_title() == "z = -7 mm"
    shown = axes[0].images[1]
    assert (shown.norm.vmin, shown.norm.vmax) == (-0.8, 0.8)
    alphas = [shown.cmap(shown.norm(value))[3] for value in (0.5, 0.65, -0.05, -0.2)]
    assert alphas == [0, 1, 0, 1]
    assert "years" in [one.get_ylabel() for one in figure.axes]


def test_rows_columns_and_empty_places():
    figure = draw_panel(
        [[one_spot(), None], [None, one_spot()]], ["scratch", "mae"], ["AD", "PD"]
    )
    texts = {text.get_text() for axis in figure.axes for text in axis.texts}
    assert {"scratch", "mae", "AD", "PD"} <= texts
    assert len([one for one in figure.axes if one.images and one.get_title()]) == 6


def test_an_empty_map_is_drawn_without_a_colour():
    axes = slices_of(draw_panel([[one_spot(0.0)]]))
    assert all(colours_at(axis, (0, 0))[3] == 0 for axis in axes)


def test_shapes_and_names_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="must lie on one grid"):
        draw_panel([[one_spot(brain=np.ones((2, 2, 2), bool))]])
    with pytest.raises(ConfigError, match="2 rows and 1 columns"):
        draw_panel([[one_spot()]], ["a", "b"])


def test_a_figure_can_be_drawn_to_the_end():
    figure = draw_panel([[one_spot(outline=np.ones(SHAPE, bool))]], title="Occlusion")
    assert type(figure) is type(new_figure(1, 1))
    figure.canvas.draw()
