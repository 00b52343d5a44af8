from __future__ import annotations

import pytest
from qtpy.QtWidgets import QApplication

from napari_neuropretrain.gui.jobs.job_widget import JobWidget


@pytest.fixture
def make_widget(qtbot, tmp_path, fake_job, monkeypatch):
    # Notifications are napari's own; here they would only print.
    module = "napari_neuropretrain.gui.jobs.job_widget.notifications."
    monkeypatch.setattr(module + "show_info", lambda text: None)
    monkeypatch.setattr(module + "show_warning", lambda text: None)

    def make(mode: str) -> JobWidget:
        widget = JobWidget("predict", "Predict", command=fake_job(mode))
        qtbot.addWidget(widget)
        for name in ("model", "input"):
            widget.form.widgets[name].line_edit.value = str(tmp_path)
        widget.form.widgets["output"].line_edit.value = str(tmp_path / "run")
        return widget

    return make


def test_start_waits_for_what_is_missing(make_widget):
    widget = make_widget("finish")
    assert widget.start_button.isEnabled()
    widget.form.widgets["output"].line_edit.value = ""
    assert widget.problem.text() == "To start, fill in: Output."
    assert not widget.start_button.isEnabled()
    widget.form.widgets["output"].line_edit.value = "x"
    widget.form.widgets["device"].value = "gpu"
    assert "device:" in widget.problem.text()
    assert not widget.start_button.isEnabled()


def test_a_run_from_start_to_the_table(qtbot, make_widget):
    widget = make_widget("finish")
    with qtbot.waitSignals([widget.ended, widget.shown], timeout=20_000):
        widget.start()
        assert not widget.start_button.isEnabled()
        assert widget.cancel_button.isEnabled()
    panel = widget.panel
    assert panel.state.text() == "Done. Counted to 3."
    assert panel.bar.value() == 100
    assert "Counted to 3." in panel.log.toPlainText()
    assert panel.table.item(0, 1).text() == "61.23"
    assert widget.start_button.isEnabled()
    assert not widget.cancel_button.isEnabled()


def test_failure_is_a_sentence(qtbot, make_widget):
    widget = make_widget("fail")
    with qtbot.waitSignal(widget.ended, timeout=20_000):
        widget.start()
    assert widget.panel.state.text() == "Failed. The scan 'a.nii' is broken."


def test_cancel_while_it_runs(qtbot, make_widget):
    widget = make_widget("count")
    widget.start()
    log = widget.panel.log
    qtbot.waitUntil(lambda: "Counting" in log.toPlainText(), timeout=20_000)
    with qtbot.waitSignal(widget.ended, timeout=20_000) as ended:
        widget.cancel()
    assert ended.args[0].state == "stopped"


def test_a_run_can_be_followed_again(qtbot, make_widget):
    first = make_widget("finish")
    with qtbot.waitSignal(first.ended, timeout=20_000):
        first.start()
    second = make_widget("finish")
    with qtbot.waitSignals([second.ended, second.shown], timeout=20_000):
        second.follow()
    assert second.panel.state.text() == "Done. Counted to 3."
    assert second.panel.table.rowCount() == 1


def test_copy_as_command(make_widget, tmp_path):
    widget = make_widget("finish")
    widget.copy_command()
    text = QApplication.clipboard().text()
    assert text.startswith("neuropretrain predict --model ")
    assert text.endswith(f"--output {tmp_path / 'run'}")
