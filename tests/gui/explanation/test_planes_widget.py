from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QImage, QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_neuropretrain.gui.explanation.planes_widget import PlanesWidget
from napari_neuropretrain.gui.scans import layers, view

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = -40, -48, -40


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    head = np.full((41, 49, 41), 100.0, np.float32)
    occlusion = np.zeros((41, 49, 41), np.float32)
    occlusion[30, 36, 25] = 2.0  # x 20, y 24, z 10
    stack = [
        layers.t1_layer(head, AFFINE, "T1"),
        layers.occlusion_layer(occlusion, AFFINE, "map", unit="years"),
    ]
    view.add_layers(viewer, stack)
    return viewer


@pytest.fixture
def widget(qtbot, viewer) -> PlanesWidget:
    widget = PlanesWidget(viewer)
    qtbot.addWidget(widget)
    widget.resize(600, 640)
    widget.show()
    qtbot.waitExposed(widget)
    widget.refresh()
    return widget


def hot_pixel(pane) -> QPointF:
    """Return where the pane is hot, in its own pixels, off the crosshair."""
    image = pane.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), -1)
    pixels = rows[:, : 3 * image.width()].reshape(image.height(), -1, 3).astype(int)
    found = np.argwhere(pixels[..., 0] - pixels[..., 2] > 200)[:, ::-1]
    assert len(found)
    return QPointF(*np.mean(found, axis=0))


def test_the_panes_show_the_point_of_the_viewer(widget, viewer):
    assert viewer.dims.point == pytest.approx((10, 24, 20))
    for pane in widget.panes:
        hot, cross = hot_pixel(pane), pane.pixel_of((10, 24, 20))
        assert (hot - cross).manhattanLength() < 4
    assert widget.readout.text() == "x 20.0, y 24.0, z 10.0 mm · +2 years"


def test_letters_follow_the_sides(widget, viewer):
    axial, coronal, sagittal = widget.panes
    assert axial.marks() == ("L", "R", "P", "A")
    assert coronal.marks() == ("L", "R", "I", "S")
    assert sagittal.marks() == ("P", "A", "I", "S")
    before = hot_pixel(axial).x()
    widget.sides.setCurrentIndex(1)
    assert view.is_radiological(viewer)
    assert str(viewer.scene.camera.orientation2d[1]) == "left"
    widget.refresh()
    assert axial.marks() == ("R", "L", "P", "A")
    assert sagittal.marks() == ("A", "P", "I", "S")
    # The right half of the head is on the left half of the pane now.
    assert before > axial.width() / 2 > hot_pixel(axial).x()
    assert (hot_pixel(axial) - axial.pixel_of((10, 24, 20))).manhattanLength() < 4
    note = viewer.canvas.overlays["text"].text
    assert note == "up: front · right: the person's left"
    # New layers leave it as it is.
    view.add_layers(viewer, [layers.t1_layer(np.ones((3, 3, 3)), AFFINE, "other")])
    assert view.is_radiological(viewer)
    view.set_radiological(viewer, False)
    widget.refresh()
    assert widget.sides.currentIndex() == 0


@pytest.mark.parametrize("radiological", [False, True])
def test_a_press_and_a_drag_move_the_viewer(qtbot, widget, viewer, radiological):
    view.set_radiological(viewer, radiological)
    widget.refresh()
    coronal = widget.panes[1]
    wanted = (-20.0, 24.0, -30.0)
    at = coronal.pixel_of(wanted).toPoint()
    qtbot.mouseClick(coronal, Qt.MouseButton.LeftButton, pos=at)
    assert viewer.dims.point == pytest.approx(wanted, abs=1)
    widget.refresh()
    other = coronal.pixel_of((30.0, 24.0, 12.0)).toPoint()
    drag(coronal, other)
    assert viewer.dims.point == pytest.approx((30, 24, 12), abs=1)
    # Pressed outside the picture it stays within.
    qtbot.mouseClick(coronal, Qt.MouseButton.LeftButton, pos=QPoint(1, 1))
    x = 40 if radiological else -40
    assert viewer.dims.point == pytest.approx((40, 24, x))


def drag(pane, to: QPoint) -> None:
    """Move the mouse with its button down, which QTest cannot."""
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QMouseEvent

    left, place = Qt.MouseButton.LeftButton, QPointF(to)
    plain = Qt.KeyboardModifier.NoModifier
    kind = QEvent.Type.MouseMove
    event = QMouseEvent(kind, place, pane.mapToGlobal(place), left, left, plain)
    QApplication.sendEvent(pane, event)


def wheel(pane, angle: int) -> None:
    middle = QPointF(pane.width() / 2, pane.height() / 2)
    event = QWheelEvent(
        middle,
        pane.mapToGlobal(middle),
        QPoint(0, 0),
        QPoint(0, angle),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(pane, event)


def test_the_wheel_and_keys_go_through_the_slices(qtbot, widget, viewer):
    axial, _, sagittal = widget.panes
    wheel(axial, 120)
    assert viewer.dims.point == pytest.approx((12, 24, 20))
    for _ in range(2):
        wheel(sagittal, -60)  # half a notch each
    assert viewer.dims.point == pytest.approx((12, 24, 18))
    for key in ("Left", "Up", "PageDown"):
        qtbot.keyClick(axial, getattr(Qt.Key, f"Key_{key}"))
    assert viewer.dims.point == pytest.approx((10, 26, 16))
    widget.step(0, 1000)
    assert viewer.dims.point[0] == 40  # the last slice


def test_the_panes_follow_the_layers(qtbot, widget, viewer):
    axial = widget.panes[0]
    viewer.layers["map"].visible = False
    qtbot.waitUntil(lambda: not widget._rest.isActive())
    with pytest.raises(AssertionError):
        hot_pixel(axial)
    viewer.layers["map"].visible = True
    qtbot.waitUntil(lambda: not widget._rest.isActive())
    hot_pixel(axial)
    layers.set_threshold(viewer.layers["map"], 0.9)
    viewer.dims.point = (10, 24, -20)
    viewer.layers.remove("T1")
    qtbot.waitUntil(lambda: not widget._rest.isActive())
    assert (hot_pixel(axial) - axial.pixel_of((10, 24, 20))).manhattanLength() < 4
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not widget._rest.isActive())
    assert axial.place_of(QPointF(3, 3)) is None
    assert not axial.grab().isNull()


def test_what_is_under_the_mouse_is_read_out(qtbot, widget, viewer):
    axial = widget.panes[0]
    at = axial.pixel_of((10, -24, -20)).toPoint()
    qtbot.mouseMove(axial, at)
    qtbot.waitUntil(lambda: "y −2" in widget.readout.text())
    assert widget.readout.text().endswith("mm · 0 years")
    assert viewer.cursor.position[-3:] == pytest.approx((10, -24, -20), abs=1)
    axial.leaveEvent(None)
    assert widget.readout.text().startswith("x 20.0, y 24.0, z 10.0 mm")


@pytest.mark.parametrize(
    ("width", "height", "rows", "columns"),
    [(900, 300, 1, 3), (380, 900, 3, 1), (400, 460, 2, 2)],
)
def test_the_panes_lie_as_the_dock_is_shaped(
    qtbot, widget, width, height, rows, columns
):
    widget.resize(width, height)
    qtbot.waitUntil(lambda: widget.width() == width)
    QApplication.processEvents()
    places = [pane.geometry() for pane in widget.panes]
    assert len({place.top() for place in places}) == rows
    assert len({place.left() for place in places}) == columns
    assert min(min(place.width(), place.height()) for place in places) >= 110


def test_a_widget_that_is_gone_hears_nothing(qtbot, viewer):
    widget = PlanesWidget(viewer)
    widget.deleteLater()
    qtbot.waitUntil(lambda: not _alive(widget))
    viewer.dims.point = (0, 0, 0)
    viewer.layers["T1"].visible = False
    viewer.layers.clear()


def _alive(widget) -> bool:
    from qtpy.compat import isalive

    return isalive(widget)
