"""The cohort panel, driven by keys and clicks."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from napari.components import ViewerModel
from npe2 import PluginManifest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFileDialog, QLineEdit

import napari_neuropretrain
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.data.split_files import write_splits
from napari_neuropretrain.data.tables import read_table
from napari_neuropretrain.gui.cohort.cohort_widget import CohortWidget
from napari_neuropretrain.gui.cohort.table_model import LEAK, PART
from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.gui.settings import change_settings
from napari_neuropretrain.gui.widgets import FinetuneWidget

MANIFEST = Path(napari_neuropretrain.__file__).parent / "napari.yaml"
LEFT, NO_KEYS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keep the pictures of tests out of the cache of whoever runs them."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("NEUROPRETRAIN_CACHE", str(folder))
    return folder


@pytest.fixture
def panel(qtbot):
    """A panel beside a viewer without a window."""
    widget = CohortWidget(ViewerModel())
    qtbot.addWidget(widget)
    widget.resize(500, 900)
    widget.show()
    yield widget
    rest(qtbot, widget)


def rest(qtbot, widget) -> None:
    """Wait until nothing is read any more."""
    qtbot.waitUntil(
        lambda: not (widget.loader.busy() or widget.pictures.busy()), timeout=20_000
    )


def opened(qtbot, widget, path: Path) -> CohortWidget:
    widget.open(path)
    qtbot.waitUntil(lambda: widget.cohort is not None, timeout=10_000)
    rest(qtbot, widget)
    return widget


def cell(widget, row: int, name: str) -> str:
    column = widget.model.columns.index(name)
    return str(widget.model.index(row, column).data())


def click_cell(qtbot, widget, row: int, name: str, double: bool = False) -> None:
    index = widget.model.index(row, widget.model.columns.index(name))
    widget.panel.table.scrollTo(index)
    place = widget.panel.table.visualRect(index).center()
    port = widget.panel.table.viewport()
    qtbot.mouseClick(port, LEFT, NO_KEYS, place)
    if double:
        qtbot.mouseDClick(port, LEFT, NO_KEYS, place)


def type_into_cell(qtbot, widget, row: int, name: str, text: str) -> None:
    click_cell(qtbot, widget, row, name)
    qtbot.keyClick(widget.panel.table, Qt.Key.Key_F2)
    (editor,) = widget.panel.table.viewport().findChildren(QLineEdit)
    editor.selectAll()
    qtbot.keyClicks(editor, text)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: cell(widget, row, name) == text)


def kinds(widget) -> set[str]:
    return {one.kind for one in widget.panel.problems.problems}


def test_a_cohort_is_shown_with_pictures_and_charts(qtbot, panel, six_participants):
    opened(qtbot, panel, six_participants)
    assert panel.model.columns == [
        "participant", "age", "sex", "diagnosis", "problems", "excluded",
    ]  # fmt: skip
    assert [cell(panel, 2, name) for name in ("participant", "age", "sex")] == [
        "sub-03", "52.25", "M",
    ]  # fmt: skip
    panel.panel.table.viewport().repaint()
    rest(qtbot, panel)
    picture = panel.pictures.get(0, None)
    assert picture is not None
    assert not picture.isNull()
    assert panel.panel.counted.text().startswith("6 of 6 lines shown")
    bars = panel.panel.charts.bars
    assert {value: counts.total() for value, counts in bars.items()} == {
        "AD": 3,
        "CN": 3,
    }
    assert sum(sum(counts) for counts in panel.panel.charts.ages.counts.values()) == 6
    panel.panel.by.setCurrentText("label")
    assert set(panel.panel.charts.ages.counts) == {"AD", "CN"}


def test_a_click_on_a_problem_selects_whom_it_concerns(qtbot, panel, messy_cohort):
    opened(qtbot, panel, messy_cohort)
    assert {"missing file", "same content", "impossible age"} <= kinds(panel)
    listed = panel.panel.problems
    assert panel.panel.tabs.tabText(0) == f"Problems ({listed.count()})"
    row = next(n for n, one in enumerate(listed.problems) if one.kind == "same content")
    panel.panel.filter.setText("age > 600")  # hides both
    place = listed.visualItemRect(listed.item(row)).center()
    listed.scrollToItem(listed.item(row))
    place = listed.visualItemRect(listed.item(row)).center()
    qtbot.mouseClick(listed.viewport(), LEFT, NO_KEYS, place)
    names = [panel.cohort.members[n].key for n in panel.panel.selected()]
    assert set(names) == {"sub-01", "sub-06"}
    assert panel.panel.filter.text() == ""


def test_editing_excluding_undoing_and_saving_by_keys(qtbot, panel, messy_cohort):
    opened(qtbot, panel, messy_cohort)
    type_into_cell(qtbot, panel, 1, "age", "61")
    assert cell(panel, 1, "age") == "61"
    qtbot.waitUntil(lambda: "impossible age" not in kinds(panel))
    click_cell(qtbot, panel, 3, "participant")
    qtbot.mouseClick(panel.panel.buttons.exclude, LEFT)
    assert cell(panel, 3, "excluded") == "yes"
    type_into_cell(qtbot, panel, 0, "sex", "M")
    qtbot.mouseClick(panel.panel.buttons.undo, LEFT)
    assert cell(panel, 0, "sex") == "F"
    assert "2 unsaved changes" in panel.panel.counted.text()
    qtbot.mouseClick(panel.panel.buttons.save, LEFT)
    assert "The old one is 'participants.tsv." in panel.panel.problem.text()
    assert len(list(messy_cohort.glob("*.bak"))) == 1
    rows = read_table(messy_cohort / "participants.tsv")
    assert (rows[1]["age"], rows[3]["exclude"]) == ("61", "yes")


def test_hidden_rows_can_be_excluded_for_every_job(qtbot, panel, six_participants):
    opened(qtbot, panel, six_participants)
    qtbot.keyClicks(panel.panel.filter, "age > 50 and sex = F")
    assert panel.panel.counted.text().startswith("2 of 6 lines shown")
    qtbot.mouseClick(panel.panel.buttons.exclude_hidden, LEFT)
    panel.editing.save()
    assert [s.key for s in read_cohort(six_participants).scans] == ["sub-04", "sub-06"]
    panel.panel.filter.setText("agee > 50")
    assert "There is no column 'agee'" in panel.panel.problem.text()
    panel.panel.filter.setText("excluded = yes")
    assert panel.panel.counted.text().startswith("4 of 6 lines shown")


def test_numbers_are_sorted_by_size_and_the_unknown_are_last(
    qtbot, panel, messy_cohort
):
    opened(qtbot, panel, messy_cohort)
    header = panel.panel.table.horizontalHeader()
    column = panel.model.columns.index("age")
    left = header.sectionViewportPosition(column) + 8
    qtbot.mouseClick(header.viewport(), LEFT, NO_KEYS, QPoint(left, 8))
    ages = [cell(panel, row, "age") for row in range(panel.model.rowCount())]
    assert ages == ["61", "66", "66", "70", "72", "610", "n/a"]


def test_parts_and_leaks_are_shown(qtbot, panel, six_participants, write_table):
    opened(qtbot, panel, six_participants)
    parts = ["train", "train", "validation", "test", "train", "train"]
    rows = [
        {"participant_id": f"sub-{n:02d}", "session_id": "n/a", "split": part}
        for n, part in enumerate(parts, 1)
    ]
    rows.append({"participant_id": "sub-01", "session_id": "n/a", "split": "test"})
    write_table(six_participants.parent / "splits.tsv", rows)
    panel.show_division(six_participants.parent)
    assert cell(panel, 0, PART) == "train + test"
    index = panel.model.index(0, panel.model.columns.index(PART))
    color = index.data(Qt.ItemDataRole.BackgroundRole)
    assert color.name() == LEAK
    assert "leak" in kinds(panel)
    assert panel.panel.charts.title == "diagnosis by part"
    panel.show_division(six_participants)
    assert "no splits.tsv" in panel.panel.problem.text()


def test_a_double_click_opens_the_scan(qtbot, panel, six_participants):
    opened(qtbot, panel, six_participants)
    click_cell(qtbot, panel, 1, "age", double=True)
    qtbot.waitUntil(lambda: len(panel._viewer.layers) == 1)
    assert panel._viewer.layers[0].name.startswith("sub-02_T1w")


def test_what_cannot_be_read_is_said(qtbot, panel, tmp_path, six_participants):
    panel.open(tmp_path / "nothing")
    qtbot.waitUntil(lambda: "is no cohort" in panel.panel.problem.text())
    assert not panel.panel.buttons.save.isEnabled()
    opened(qtbot, panel, six_participants)
    shutil.rmtree(six_participants / "sub-01")
    panel.open_scan(0)
    qtbot.waitUntil(lambda: "sub-01" in panel.panel.problem.text())


def test_raw_scans_are_not_compared(qtbot, panel, six_participants):
    opened(qtbot, panel, six_participants)
    qtbot.mouseClick(panel.panel.buttons.brains, LEFT)
    assert "only aligned volumes" in panel.panel.problem.text()


def test_brains_are_compared_in_the_background(qtbot, panel, derivatives):
    one, other = (derivatives / f"sub-0{n}/anat" for n in (1, 2))
    suffix = "_space-MNI152_desc-preproc_T1w.nii.gz"
    shutil.copy(one / f"sub-01{suffix}", other / f"sub-02{suffix}")
    opened(qtbot, panel, derivatives)
    assert {"rejected", "same content"} <= kinds(panel)
    qtbot.mouseClick(panel.panel.buttons.brains, LEFT)
    assert not panel.panel.buttons.brains.isEnabled()
    qtbot.waitUntil(lambda: "Compared" in panel.panel.problem.text(), timeout=20_000)
    assert panel.panel.buttons.brains.isEnabled()


def test_folders_are_chosen_in_a_window_that_blocks_nothing(qtbot, panel, tmp_path):
    change_settings(data_folder=tmp_path)
    qtbot.mouseClick(panel.panel.buttons.folder, LEFT)  # returns at once
    (dialog,) = panel.findChildren(QFileDialog)
    assert dialog.isVisible()
    assert not dialog.isModal()
    dialog.close()


@pytest.fixture
def window(make_napari_viewer, npe2pm):
    """A viewer with the plugin, and its cohort panel."""
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 850)
    _, widget = viewer.window.add_plugin_dock_widget("napari-neuropretrain", "Cohort")
    return viewer, widget


@pytest.mark.gl
@pytest.mark.usefixtures("no_gl")
def test_a_cohort_goes_on_to_the_forms(qtbot, window, six_participants, write_table):
    viewer, widget = window
    opened(qtbot, widget, six_participants)
    widget.model.setData(widget.model.index(0, 1), "33")
    qtbot.mouseClick(widget.panel.buttons.finetune, LEFT)
    assert "Save the changes first" in widget.panel.problem.text()
    widget.editing.save()
    rows = [{"participant_id": "sub-01", "session_id": "n/a", "split": "test"}]
    splits = write_table(six_participants.parent / "splits.tsv", rows)
    widget.show_division(splits)
    widget.panel.label.setCurrentText("sex")
    qtbot.mouseClick(widget.panel.buttons.finetune, LEFT)
    docks = viewer.window.dock_widgets.values()
    (form,) = [one.form for one in docks if isinstance(one, FinetuneWidget)]
    values = form.values()
    assert values["cohort"] == six_participants
    assert values["splits"] == splits
    assert getattr(values["task"], "name", values["task"]) == "sex"
    qtbot.mouseClick(widget.panel.buttons.new_split, LEFT)
    (job,) = [one for one in docks if type(one) is JobWidget and one.job == "split"]
    assert job.form.values()["cohort"] == six_participants
    assert job.form.missing() == []
    for dock in viewer.window.dock_widgets.values():
        if isinstance(dock, FinetuneWidget):
            dock.estimate.stop()
    rest(qtbot, widget)


@pytest.mark.gl
@pytest.mark.usefixtures("no_gl")
def test_the_split_that_was_made_is_shown(qtbot, window, six_participants, tmp_path):
    viewer, widget = window
    change_settings(project_folder=tmp_path / "project")
    opened(qtbot, widget, six_participants)
    qtbot.mouseClick(widget.panel.buttons.new_split, LEFT)
    docks = viewer.window.dock_widgets.values()
    (job,) = [one for one in docks if type(one) is JobWidget]
    assert job.form.values()["output"] == tmp_path / "project/split-1"
    # What the job would leave, without waiting for it.
    names = ["train"] * 4 + ["validation", "test"]
    parts = {f"sub-{number:02d}": part for number, part in enumerate(names, 1)}
    write_splits(tmp_path / "project/split-1/splits.tsv", parts)
    job.ended.emit(SimpleNamespace(state="finished"))
    shown = [cell(widget, row, PART) for row in range(6)]
    assert shown == ["train"] * 4 + ["validation", "test"]
    rest(qtbot, widget)


@pytest.mark.gl
@pytest.mark.usefixtures("no_gl")
def test_keys_exclude_undo_and_save(qtbot, window, six_participants):
    _, widget = window
    opened(qtbot, widget, six_participants)
    table, control = widget.panel.table, Qt.KeyboardModifier.ControlModifier
    both = control | Qt.KeyboardModifier.ShiftModifier
    widget.window().activateWindow()
    qtbot.waitUntil(widget.window().isActiveWindow, timeout=20_000)
    table.setFocus()
    table.selectRow(1)
    qtbot.keyClick(table, Qt.Key.Key_X, both)
    assert widget.cohort.changes
    qtbot.keyClick(table, Qt.Key.Key_Z, control)
    assert not widget.cohort.changes
    qtbot.keyClick(table, Qt.Key.Key_F, both)
    qtbot.waitUntil(widget.panel.filter.hasFocus, timeout=20_000)
    qtbot.keyClicks(widget.panel.filter, "sex = F")
    assert 0 < len(widget.model.shown) < 6
    table.setFocus()
    table.selectRow(0)
    qtbot.keyClick(table, Qt.Key.Key_X, both)
    before = (six_participants / "participants.tsv").read_text()
    qtbot.keyClick(table, Qt.Key.Key_S, both)
    qtbot.waitUntil(lambda: not widget.cohort.changes, timeout=20_000)
    assert (six_participants / "participants.tsv").read_text() != before
