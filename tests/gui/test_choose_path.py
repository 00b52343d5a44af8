"""File dialogs that block nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.gui.forms.choose_path import choose_path
from napari_neuropretrain.gui.forms.form import Form

GUI = Path(__file__).parents[2] / "src/napari_neuropretrain/gui"


@pytest.mark.parametrize("kind", ["folder", "file", "save"])
def test_the_dialog_returns_at_once_and_tells_later(qtbot, tmp_path, kind):
    parent = QWidget()
    qtbot.addWidget(parent)
    (tmp_path / "a.tsv").write_text("x")
    told: list[Path] = []
    start = "a.tsv" if kind == "save" else str(tmp_path)
    dialog = choose_path(parent, "Choose", kind, told.append, start, "*.tsv")
    assert dialog.isVisible()
    assert not dialog.isModal()
    assert told == []
    dialog.fileSelected.emit(str(tmp_path / "a.tsv"))
    assert told == [tmp_path / "a.tsv"]
    dialog.close()


def test_it_begins_in_the_nearest_folder_or_that_of_the_settings(qtbot, tmp_path):
    parent = QWidget()
    qtbot.addWidget(parent)
    lost = choose_path(parent, "", "folder", print, str(tmp_path / "no/such"))
    assert Path(lost.directory().absolutePath()) == tmp_path
    lost.close()


def test_the_buttons_of_a_form_open_such_dialogs(qtbot):
    form = Form(JOBS["predict"].options)
    qtbot.addWidget(form)
    form.show()
    form.widgets["model"].choose_btn.native.click()
    form.widgets["output"].choose_btn.native.click()
    dialogs = form.findChildren(QFileDialog)
    modes = {dialog.fileMode() for dialog in dialogs}
    assert modes == {QFileDialog.FileMode.ExistingFile, QFileDialog.FileMode.Directory}
    for dialog in dialogs:
        dialog.fileSelected.emit("/chosen")
        dialog.close()
    assert str(form.values()["model"]) == "/chosen"
    assert str(form.values()["output"]) == "/chosen"


def test_no_panel_opens_a_dialog_that_blocks_the_viewer():
    blocking = ("QMessageBox", "QInputDialog", ".exec(", ".exec_(")
    blocking += ("getExistingDirectory", "getOpenFileName", "getSaveFileName")
    found = {
        (path.name, word)
        for path in GUI.rglob("*.py")
        for word in blocking
        if word in path.read_text(encoding="utf-8")
    }
    assert found == set()


def test_the_data_folder_of_the_settings_is_proposed(qtbot, tmp_path, monkeypatch):
    parent = QWidget()
    qtbot.addWidget(parent)
    module = "napari_neuropretrain.gui.forms.choose_path.read_settings"
    monkeypatch.setattr(module, lambda: type("S", (), {"data_folder": tmp_path}))
    dialog = choose_path(parent, "", "file", print)
    assert Path(dialog.directory().absolutePath()) == tmp_path
    dialog.close()
