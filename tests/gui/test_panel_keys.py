"""Keys of the panels: of several in one window, the one with the focus takes them."""

from __future__ import annotations

import pytest
from npe2 import PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtGui import QShortcut
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.gui.forms.panel_keys import press_with
from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.gui.runs.runs_widget import RunsWidget
from napari_neuropretrain.runs.folder import PAUSE

CONTROL = Qt.KeyboardModifier.ControlModifier
NAPARI = {
    *("Alt+C", "Alt+S", "Alt+Shift+C", "Alt+Shift+S", "Ctrl+,", "Ctrl+-", "Ctrl+/"),
    *("Ctrl+0", "Ctrl+=", "Ctrl+Alt+O", "Ctrl+Alt+P", "Ctrl+Alt+S", "Ctrl+F11"),
    *("Ctrl+M", "Ctrl+N", "Ctrl+O", "Ctrl+Q", "Ctrl+S", "Ctrl+Shift+O"),
    *("Ctrl+Shift+P", "Ctrl+U", "Ctrl+W", "Ctrl+E", "Ctrl+T", "Ctrl+Alt+T", "Ctrl+G"),
    *("Ctrl+Up", "Ctrl+Down", "Alt+Up", "Alt+Down", "Ctrl+Alt+/"),
}
"""Of its menus and of its canvas; a key that it shares would press nothing."""
BOTH = CONTROL | Qt.KeyboardModifier.ShiftModifier


def activate(qtbot, window):
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=20_000)


def test_two_panels_may_have_the_same_key(qtbot):
    window, pressed = QWidget(), []
    column = QVBoxLayout(window)
    panels = []
    for name in "ab":
        panel, button = QWidget(), QPushButton(name)
        button.setToolTip(f"Say {name}.")
        button.clicked.connect(lambda checked=False, name=name: pressed.append(name))
        QVBoxLayout(panel).addWidget(button)
        press_with("Ctrl+Return", button, panel)
        column.addWidget(panel)
        panels.append(button)
    qtbot.addWidget(window)
    window.show()
    activate(qtbot, window)
    first, second = panels
    assert "Say a. (" in first.toolTip()
    for button in (second, first, second):
        button.setFocus()
        qtbot.keyClick(button, Qt.Key.Key_Return, CONTROL)
    assert pressed == ["b", "a", "b"]
    first.setFocus()
    first.hide()
    qtbot.keyClick(panels[1], Qt.Key.Key_Return, CONTROL)
    assert pressed == ["b", "a", "b", "b"]


@pytest.mark.gl
@pytest.mark.usefixtures("no_gl")
def test_a_run_by_keys_alone_beside_other_panels(
    make_napari_viewer, qtbot, tmp_path, fake_job
):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 900)
    command = fake_job("count")
    job = JobWidget("predict", "Predict", viewer, command)
    other = JobWidget("explain", "Explain", viewer, command)
    runs = RunsWidget(None, tmp_path)
    for name, panel in (("Predict", job), ("Explain", other), ("Runs", runs)):
        viewer.window.add_dock_widget(panel, name=name)
    for name in ("model", "input"):
        job.form.widgets[name].line_edit.value = str(tmp_path)
    job.form.widgets["output"].line_edit.value = str(tmp_path / "run")
    activate(qtbot, job.window())

    line = job.form.widgets["model"].line_edit.native
    line.setFocus()
    qtbot.keyClick(line, Qt.Key.Key_Return, CONTROL)
    log = job.panel.log
    qtbot.waitUntil(lambda: "Counting" in log.toPlainText(), timeout=30_000)
    assert other.panel.state.text() == "Ready"
    has = QApplication.focusWidget()
    assert job.isAncestorOf(has)  # the form, which had the focus, is disabled
    qtbot.keyClick(has, Qt.Key.Key_H, BOTH)
    assert (tmp_path / "run" / PAUSE).exists()
    qtbot.keyClick(has, Qt.Key.Key_H, BOTH)
    assert not (tmp_path / "run" / PAUSE).exists()
    qtbot.keyClick(has, Qt.Key.Key_C, BOTH)
    assert QApplication.clipboard().text().startswith("neuropretrain predict")

    qtbot.waitUntil(lambda: runs.tree.topLevelItemCount() == 1, timeout=20_000)
    runs.tree.select(tmp_path / "run")
    runs.tree.setFocus()
    qtbot.keyClick(runs.tree, Qt.Key.Key_Delete)
    assert runs.confirm.isHidden()  # not while it goes on
    has = job.cancel_button
    has.setFocus()
    with qtbot.waitSignal(job.ended, timeout=30_000) as ended:
        qtbot.keyClick(has, Qt.Key.Key_K, BOTH)
    assert ended.args[0].state == "stopped"

    qtbot.waitUntil(runs.buttons.delete.isEnabled, timeout=20_000)
    runs.folder.setFocus()
    qtbot.keyClick(runs.folder, Qt.Key.Key_Delete)
    assert runs.confirm.isHidden()  # that was for the text
    runs.tree.setFocus()
    qtbot.keyClick(runs.tree, Qt.Key.Key_Delete)
    assert not runs.confirm.isHidden()


@pytest.mark.gl
@pytest.mark.usefixtures("no_gl")
def test_no_key_is_one_of_napari(make_napari_viewer, npe2pm):
    npe2pm.register(PluginManifest.from_distribution("napari-neuropretrain"))
    viewer = make_napari_viewer(show=True)
    for name in ("Guided path", "Cohort", "Review quality", "Predict", "Runs"):
        _, panel = viewer.window.add_plugin_dock_widget("napari-neuropretrain", name)
        buttons = [one.shortcut() for one in panel.findChildren(QAbstractButton)]
        own = [one.key() for one in panel.findChildren(QShortcut)] + buttons
        found = {key.toString() for key in own if not key.isEmpty()}
        assert found, name
        assert NAPARI & found == set(), name
