"""The curves of a run: grouped, chosen, drawn."""

from __future__ import annotations

import math
from typing import Any

import pytest
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QMouseEvent

from napari_neuropretrain.gui.runs.curve import COLORS, Axes, axis_range
from napari_neuropretrain.gui.runs.curve_panel import CurvePanel
from napari_neuropretrain.gui.runs.ticks import label_of, log_ticks, ticks
from napari_neuropretrain.runs.curves import Curve, Curves


def epoch(number: int, **values: Any) -> dict[str, Any]:
    given = {"epoch": number, "eta_s": 3.0, "metric": "feature_rank", **values}
    return {"state": "epoch", "step": number, "total": 9, "values": given}


def of_events(*events: dict[str, Any]) -> Curves:
    curves = Curves()
    for event in events:
        curves.take(event)
    return curves


@pytest.fixture
def curves() -> Curves:
    probe = {"probe_age_mae": 9.0, "probe_sex_auc": 0.6}
    return of_events(
        {"state": "step", "step": 1, "values": {"loss": 99.0}},
        epoch(1, loss=8.0, validation_loss=9.0, best=True, feature_rank=3.0, **probe),
        epoch(2, loss=4.0, validation_loss=6.0, best=True, feature_rank=3.5),
        epoch(3, loss=2.0, validation_loss=math.nan, best=False, probe_age_mae=7.0),
    )


def test_curves_that_share_an_axis_are_grouped(curves: Curves) -> None:
    shown = {
        title: {one.label: (one.epochs, one.values) for one in group.values()}
        for title, group in curves.groups.items()
    }
    assert shown == {
        "Loss": {
            "training": ([1, 2, 3], [8, 4, 2]),
            "validation": ([1, 2], [9, 6]),
        },
        "Feature rank": {"validation": ([1, 2], [3, 3.5])},
        "Probe: mean absolute error": {"age": ([1, 3], [9, 7])},
        "Probe: AUC": {"sex": ([1], [0.6])},
    }
    assert curves.best == 2


def test_another_training_begins_anew(curves: Curves) -> None:
    curves.take(epoch(1, loss=5.0, best=False))
    assert curves.groups["Loss"]["loss"].epochs == [1]
    assert curves.best is None


def test_the_chosen_curves_stay_chosen(qtbot: Any, curves: Curves) -> None:
    panel = CurvePanel()
    qtbot.addWidget(panel)
    panel.show_curves(Curves())
    assert panel.isHidden()
    panel.show_curves(of_events(epoch(1, loss=8.0, learning_rate=1e-4)))
    titles = [panel.choice.itemText(row) for row in range(panel.choice.count())]
    assert titles == ["Loss", "Learning rate"]
    panel.show_curves(curves)
    assert panel.choice.currentText() == "Loss"
    panel.choice.setCurrentText("Probe: AUC")
    assert [words for words, _ in panel.plot.legend()] == ["sex 0.6"]
    curves.take(epoch(4, loss=1.0, probe_sex_auc=0.75, probe_site_auc=0.5))
    panel.show_curves(curves)
    assert panel.choice.currentText() == "Probe: AUC"
    legend = panel.plot.legend()
    assert [words for words, _ in legend] == ["sex 0.75", "site 0.5"]
    assert [color.name() for _, color in legend] == list(COLORS[:2])


def test_a_logarithm_needs_positive_values(qtbot: Any) -> None:
    panel = CurvePanel()
    qtbot.addWidget(panel)
    panel.log.setChecked(True)
    panel.show_curves(of_events(epoch(1, loss=0.5), epoch(2, loss=0.1)))
    assert panel.log.isEnabled()
    assert panel.plot._log
    panel.show_curves(of_events(epoch(1, loss=0.5), epoch(2, loss=-0.1)))
    assert not panel.log.isEnabled()
    assert not panel.plot._log


def test_a_logarithm_spaces_factors_evenly() -> None:
    area = QRectF(10, 20, 100, 60)
    axes = Axes(area, (1, 5), (0.01, 100), (), log=True)
    assert [axes.y(one) for one in (0.01, 1, 100)] == pytest.approx([80, 50, 20])
    plain = Axes(area, (1, 5), (0, 100), (), log=False)
    assert [plain.y(one) for one in (0, 25, 100)] == pytest.approx([80, 65, 20])
    assert [plain.x(one) for one in (1, 2, 5)] == pytest.approx([10, 35, 110])
    assert Axes(area, (3, 3), (0, 1), (), log=False).x(3) == 60


@pytest.mark.parametrize("values", [(8.53712, 8.53701), (0.0, 0.0), (3.0, 3.0), (1, 9)])
@pytest.mark.parametrize("log", [False, True])
def test_ticks_can_be_told_apart(values: tuple[float, float], log: bool) -> None:
    if log and min(values) <= 0:
        return
    low, high = axis_range([Curve("one", [1, 2], list(values))], log)
    assert low < min(values) <= max(values) < high
    marks = (log_ticks if log else ticks)(low, high, 4)
    assert len({label_of(mark) for mark in marks}) == len(marks) > 0
    assert all(low <= mark <= high for mark in marks)


def test_long_curves_have_no_more_points_than_pixels() -> None:
    curve = Curve("loss", list(range(1, 10_001)), [1.0] * 10_000)
    axes = Axes(QRectF(0, 0, 100, 50), (1, 10_000), (0, 2), (), log=False)
    line = axes.line(curve)
    assert len(line) <= 102
    assert (line[0].x(), line[-1].x()) == (0, 100)


def test_the_mouse_reads_an_epoch_out(qtbot: Any, curves: Curves) -> None:
    panel = CurvePanel()
    qtbot.addWidget(panel)
    panel.resize(400, 220)
    panel.show_curves(curves)
    panel.show()
    plot = panel.plot

    def move(x: float) -> list[str]:
        none = Qt.KeyboardModifier.NoModifier
        button = Qt.MouseButton.NoButton
        kind = QMouseEvent.Type.MouseMove
        at = QPointF(x, 50)
        plot.mouseMoveEvent(QMouseEvent(kind, at, at, button, button, none))
        return [words for words, _ in plot.legend()]

    assert move(0) == ["training 8", "validation 9"]
    assert move(plot.width() - 1) == ["training 2", "validation –"]
    plot.leaveEvent(None)
    assert [words for words, _ in plot.legend()] == ["training 2", "validation 6"]


@pytest.mark.parametrize("log", [False, True])
def test_every_curve_is_drawn_in_its_colour(
    qtbot: Any, curves: Curves, log: bool
) -> None:
    panel = CurvePanel()
    qtbot.addWidget(panel)
    panel.resize(400, 220)
    panel.log.setChecked(log)
    panel.show_curves(curves)
    panel.show()
    picture = panel.plot.grab().toImage()
    seen = {
        QColor(picture.pixel(x, y)).name()
        for x in range(picture.width())
        for y in range(40, picture.height())
    }
    assert set(COLORS[:2]) <= seen
    assert COLORS[2] not in seen
