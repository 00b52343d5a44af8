from __future__ import annotations

import psutil
import pytest
from qtpy.QtWidgets import QApplication

from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.runs import read_events
from napari_neuropretrain.runs.process import is_running


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


def test_a_run_is_left_and_the_form_is_free(qtbot, make_widget, tmp_path):
    widget = make_widget("count")
    assert widget.follow_button.text() == "Follow run"
    widget.start()
    log, ended = widget.panel.log, []
    widget.ended.connect(ended.append)
    qtbot.waitUntil(lambda: "Counting" in log.toPlainText(), timeout=20_000)
    assert widget.follow_button.text() == "Leave run"
    widget.follow_button.click()
    assert "'run' goes on by itself" in widget.panel.state.text()
    assert widget.start_button.isEnabled()
    assert not widget.cancel_button.isEnabled()
    widget.start()
    assert "A job runs in" in widget.problem.text()
    widget.form.widgets["output"].line_edit.value = str(tmp_path / "other")
    widget.start()
    qtbot.waitUntil(lambda: "Counting" in log.toPlainText(), timeout=20_000)
    assert is_running(tmp_path / "run")
    with qtbot.waitSignal(widget.ended, timeout=20_000):
        widget.cancel()
    # Found again, and ended where it belongs.
    widget.form.widgets["output"].line_edit.value = str(tmp_path / "run")
    widget.follow_button.click()
    with qtbot.waitSignal(widget.ended, timeout=20_000):
        widget.cancel()
    assert [one.state for one in ended] == ["stopped", "stopped"]


def test_copy_as_command(make_widget, tmp_path):
    widget = make_widget("finish")
    widget.copy_command()
    text = QApplication.clipboard().text()
    assert text.startswith("neuropretrain predict --model ")
    assert text.endswith(f"--output {tmp_path / 'run'}")


def test_what_is_wrong_is_written_under_its_field(make_widget, tmp_path):
    widget = make_widget("finish")
    reasons = widget.form._reasons.labels
    assert not reasons
    widget.form.widgets["input"].line_edit.value = str(tmp_path / "nothing")
    assert reasons["input"].text().startswith("nothing at '")
    assert reasons["input"].isVisibleTo(widget)
    assert not widget.start_button.isEnabled()
    # Every reason at once, not one after the other.
    widget.form.widgets["device"].value = "gpu"
    assert reasons["device"].text().startswith("allowed: auto, cpu, mps")
    assert reasons["input"].isVisibleTo(widget)
    widget.form.widgets["device"].value = "cpu"
    widget.form.widgets["input"].line_edit.value = str(tmp_path)
    assert not reasons["input"].isVisibleTo(widget)
    (tmp_path / "file").write_text("")
    widget.form.widgets["output"].line_edit.value = str(tmp_path / "file" / "run")
    assert "is a file" in reasons["output"].text()
    widget.form.widgets["output"].line_edit.value = ""
    line = widget.form.widgets["output"].line_edit.native
    assert line.placeholderText() == "needed to start"
    assert not reasons["output"].isVisibleTo(widget)


def test_a_killed_child_has_a_sentence_and_a_button(qtbot, make_widget):
    widget = make_widget("count")
    widget.start()
    log = widget.panel.log
    qtbot.waitUntil(lambda: "Counting" in log.toPlainText(), timeout=20_000)
    with qtbot.waitSignal(widget.ended, timeout=20_000) as ended:
        psutil.Process(read_events(widget._folder_run)[0][0]["values"]["pid"]).kill()
    assert ended.args[0].cause == "memory"
    text = widget.panel.state.text()
    assert text.startswith("Lost. Killed by the system (signal 9), most likely because")
    before = widget.form.config().batch_size
    (retry,) = widget.panel.remedies.buttons
    assert retry.text() == "Retry with half the batch"
    retry.click()
    assert widget.form.config().batch_size == before // 2
    assert not widget.start_button.isEnabled()
    with qtbot.waitSignal(widget.ended, timeout=20_000):
        widget.cancel()


def test_pause_and_keep_best_while_it_runs(qtbot, make_widget):
    widget = make_widget("count")
    assert widget.live.isHidden()
    widget.start()
    log, folder = widget.panel.log, widget._folder_run
    qtbot.waitUntil(lambda: "Counting" in log.toPlainText(), timeout=20_000)
    assert widget.live.keep_best.isHidden()  # only trainings have a best
    widget.live.pause.click()
    assert (folder / "pause").exists()
    assert widget.live.pause.text() == "Go on"
    widget.live.pause.click()
    assert not (folder / "pause").exists()
    with qtbot.waitSignal(widget.ended, timeout=20_000):
        widget.cancel()
    assert widget.live.isHidden()
