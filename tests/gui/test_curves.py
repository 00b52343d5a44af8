"""The curves of runs: grouped, chosen, smoothed, compared, drawn."""

from __future__ import annotations

import math
from typing import Any

import pytest
from qtpy.QtCore import QPointF
from qtpy.QtGui import QColor

from napari_neuropretrain.gui.runs.curve_lines import COLORS, lines_of, smoothed
from napari_neuropretrain.gui.runs.curve_panel import CurvePanel
from napari_neuropretrain.gui.runs.run_panel import RunPanel
from napari_neuropretrain.runs.curves import Curves


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


@pytest.fixture
def panel(qtbot: Any) -> CurvePanel:
    made = CurvePanel()
    qtbot.addWidget(made)
    made.resize(400, 260)
    return made


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


def test_smoothing_is_a_weighted_mean_of_what_was() -> None:
    values, weight = [3.0, -1.0, 4.0, 1.0, 5.0], 0.8
    for end, found in enumerate(smoothed(values, weight), start=1):
        weights = [weight ** (end - 1 - i) for i in range(end)]
        mean = sum(w * v for w, v in zip(weights, values, strict=False)) / sum(weights)
        assert found == pytest.approx(mean)
    assert smoothed([7.0] * 9, 0.95) == pytest.approx([7.0] * 9)


def test_runs_that_are_compared_have_a_colour_each(curves: Curves) -> None:
    other = of_events(epoch(1, loss=1.0, validation_loss=2.0, best=True))
    lines = lines_of({"a": curves, "b": other}, "Loss")
    assert [(one.label, one.color, one.dashed) for one in lines] == [
        ("a: training", COLORS[0], False),
        ("a: validation", COLORS[0], True),
        ("b: training", COLORS[1], False),
        ("b: validation", COLORS[1], True),
    ]
    alone = lines_of({"a": curves}, "Loss", 0.5)
    assert [(one.label, one.color, one.best) for one in alone] == [
        ("training", COLORS[0], None),
        ("validation", COLORS[1], 2),
    ]
    assert alone[0].smooth == smoothed([8, 4, 2], 0.5)


def test_the_chosen_curves_stay_chosen(panel: CurvePanel, curves: Curves) -> None:
    panel.show_curves(Curves())
    assert panel.isHidden()
    assert panel.plot is None
    panel.show_curves(of_events(epoch(1, loss=8.0, learning_rate=1e-4)))
    titles = [panel.choice.itemText(row) for row in range(panel.choice.count())]
    assert titles == ["Loss", "Learning rate"]
    panel.show_curves(curves)
    assert panel.choice.currentText() == "Loss"
    panel.choice.setCurrentText("Probe: AUC")
    assert panel.plot is not None
    assert panel.plot.values() == [("sex", "0.6")]
    curves.take(epoch(4, loss=1.0, probe_sex_auc=0.75, probe_site_auc=0.5))
    panel.show_curves(curves)
    assert panel.choice.currentText() == "Probe: AUC"
    assert panel.plot.values() == [("sex", "0.75"), ("site", "0.5")]
    assert COLORS[1] in panel.plot.legend.text()


def test_a_logarithm_needs_positive_values(panel: CurvePanel) -> None:
    panel.log.setChecked(True)
    panel.show_curves(of_events(epoch(1, loss=0.5), epoch(2, loss=0.1)))
    assert panel.log.isEnabled()
    assert log_of(panel)
    low, high = panel.plot.view.getPlotItem().viewRange()[1]
    assert low <= math.log10(0.1) < math.log10(0.5) <= high
    panel.show_curves(of_events(epoch(1, loss=0.5), epoch(2, loss=-0.1)))
    assert not panel.log.isEnabled()
    assert not log_of(panel)


def log_of(panel: CurvePanel) -> bool:
    return bool(panel.plot.view.getPlotItem().getAxis("left").logMode)


@pytest.mark.parametrize("values", [(8.53712, 8.53701), (0.0, 0.0), (3.0, 3.0), (1, 9)])
def test_flat_curves_have_an_axis(panel: CurvePanel, values: Any) -> None:
    panel.show_curves(of_events(*(epoch(i + 1, loss=v) for i, v in enumerate(values))))
    low, high = panel.plot.view.getPlotItem().viewRange()[1]
    assert low <= min(values) <= max(values) <= high
    assert high - low >= 0.0199 * max(map(abs, values))


@pytest.mark.parametrize("last", [2, 3, 9, 1000])
def test_only_whole_epochs_have_ticks(panel: CurvePanel, last: int) -> None:
    panel.show_curves(of_events(*(epoch(i + 1, loss=1.0) for i in range(last))))
    axis = panel.plot.view.getPlotItem().getAxis("bottom")
    levels = axis.tickValues(1, last, 300)
    ticks = [tick for _, level in levels for tick in level]
    assert ticks
    assert all(tick == round(tick) for tick in ticks)


def test_the_mouse_reads_an_epoch_out(panel: CurvePanel, curves: Curves) -> None:
    panel.show_curves(curves)
    panel.show()
    plot = panel.plot
    assert plot is not None
    plot.point(0.2)
    assert plot.values() == [("training", "8"), ("validation", "9")]
    assert "epoch&nbsp;1" in plot.legend.text()
    box = plot.view.getPlotItem().vb
    plot._point_at(box.mapViewToScene(QPointF(2.9, 5)))
    assert plot.values() == [("training", "2"), ("validation", "–")]
    plot.leaveEvent(None)
    assert plot.values() == [("training", "2"), ("validation", "6")]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("smooth", [0, 10])
def test_every_curve_is_drawn_in_its_colour(
    panel: CurvePanel, curves: Curves, log: bool, smooth: int
) -> None:
    panel.log.setChecked(log)
    panel.smoothing.setValue(smooth)
    panel.show_curves(curves)
    panel.show()
    seen = colors_of(panel.plot.view)
    assert set(COLORS[:2]) <= seen
    assert COLORS[2] not in seen


@pytest.mark.parametrize("text", ["#f0f1f2", "#1e1e21"])
def test_axes_follow_the_theme(panel: CurvePanel, curves: Curves, text: str) -> None:
    panel.show_curves(curves)
    panel.show()
    panel.setStyleSheet(f"QWidget {{ color: {text}; }}")
    axis = panel.plot.view.getPlotItem().getAxis("left")
    assert axis.textPen().color().name() == text


def colors_of(widget: Any) -> set[str]:
    picture = widget.grab().toImage()
    return {
        QColor(picture.pixel(x, y)).name()
        for x in range(picture.width())
        for y in range(picture.height())
    }


def test_the_plot_keeps_its_height_between_other_parts(
    qtbot: Any, curves: Curves
) -> None:
    panel = RunPanel()
    qtbot.addWidget(panel)
    panel.resize(380, 360)
    panel.show()
    panel.curves.show_curves(curves)
    plot = panel.curves.plot
    assert plot is not None
    qtbot.waitUntil(lambda: plot.view.height() >= 110, timeout=5_000)
    panel.resize(380, 900)
    # It grows with the room, and the log does not take all of it.
    qtbot.waitUntil(lambda: plot.view.height() >= 250, timeout=5_000)
    assert panel.log.height() >= 150
