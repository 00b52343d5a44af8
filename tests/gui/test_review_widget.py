from __future__ import annotations

import pytest
from napari.components import ViewerModel
from napari.utils.shortcuts import default_shortcuts

from napari_neuropretrain.data.quality import read_quality
from napari_neuropretrain.gui.review import review_widget
from napari_neuropretrain.gui.review.review_panel import COLORS, SHORTCUTS
from napari_neuropretrain.gui.review.review_widget import ReviewWidget, has_report
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.scans.scan_pair import pair_layers, preproc_of

pytestmark = pytest.mark.usefixtures("quick_edges")


@pytest.fixture
def review(qtbot, derivatives):
    widget = ReviewWidget(ViewerModel())
    qtbot.addWidget(widget)
    widget.open_folder(derivatives)
    return widget


def column(widget, number):
    table = widget.panel.table
    return [table.item(line, number).text() for line in range(table.rowCount())]


def shown(widget):
    return [layer.name for layer in widget._viewer.layers if layer.visible]


def test_scans_are_listed_with_verdict_and_reason(review):
    panel = review.panel
    assert column(review, 0) == ["sub-01", "sub-02", "sub-03"]
    assert column(review, 1) == ["keep", "look", "reject"]
    assert column(review, 3) == ["", "The mask is a look.", "The mask is a reject."]
    assert panel.place.text() == "out: 3 scans (1 keep, 1 look, 1 reject)"
    assert panel.key == "sub-01"
    assert panel.verdict.text() == "sub-01: keep (automatic)"
    assert COLORS["keep"] in panel.verdict.styleSheet()
    assert panel.table.item(2, 1).background().color().name() == COLORS["reject"]
    assert not panel.buttons[""].isEnabled()


def test_decisions_and_notes_are_written_at_once(review, derivatives):
    panel = review.panel
    panel.step(1)
    panel.note.setText("touches the dura")
    panel.buttons["keep"].click()
    row = read_quality(derivatives)["sub-02"]
    assert (row.decision, row.note, row.final) == ("keep", "touches the dura", "keep")
    assert column(review, 2) == ["", "keep", ""]
    words = "sub-02: keep (your decision; automatic: look). The mask is a look."
    assert panel.verdict.text() == words
    assert "2 keep, 0 look" in panel.place.text()
    panel.note.setText("or not")
    panel.note.editingFinished.emit()
    row = read_quality(derivatives)["sub-02"]
    assert (row.decision, row.note) == ("keep", "or not")
    panel.buttons[""].click()
    row = read_quality(derivatives)["sub-02"]
    assert (row.decision, row.final) == ("", "look")


def test_filter_and_steps(review):
    panel = review.panel
    panel.filter.setCurrentText("reject")
    assert column(review, 0) == ["sub-03"]
    assert panel.key == "sub-03"
    panel.buttons["keep"].click()
    assert column(review, 2) == ["keep"]  # it stays until the list is made again
    panel.filter.setCurrentText("not decided")
    assert column(review, 0) == ["sub-01", "sub-02"]
    panel.filter.setCurrentText("reject")
    assert (panel.key, panel.verdict.isHidden()) == ("", True)
    assert not panel.buttons["keep"].isEnabled()
    panel.filter.setCurrentText("all")
    panel.previous.click()
    assert panel.key == "sub-01"
    panel.next.click()
    assert panel.key == "sub-02"


def test_the_selected_scan_is_shown(qtbot, review):
    qtbot.waitUntil(lambda: "sub-01_T1w" in shown(review), timeout=20_000)
    review.panel.step(1)
    review.panel.step(1)
    qtbot.waitUntil(lambda: "sub-03_T1w" in shown(review), timeout=20_000)
    assert len(review._viewer.layers) == 4
    late = pair_layers(preproc_of(review.folder, "sub-01", None))
    review._show(0, late)  # asked for before the person went on
    assert "sub-01_T1w" not in shown(review)


def test_a_scan_that_failed_has_no_picture(qtbot, review, derivatives):
    qtbot.waitUntil(lambda: "sub-01_T1w" in shown(review), timeout=20_000)
    preproc_of(derivatives, "sub-02", None).unlink()
    review.panel.step(1)
    problem = review.panel.problem
    qtbot.waitUntil(lambda: "no image of sub-02" in problem.text(), timeout=20_000)
    assert not view.sides_of(review._viewer)


def test_errors_are_sentences(qtbot, review, derivatives, tmp_path, monkeypatch):
    problem = review.panel.problem

    def refuse(*given):
        raise PermissionError(13, "Permission denied", "quality.tsv")

    with monkeypatch.context() as patch:
        patch.setattr(review_widget, "decide", refuse)
        review.panel.buttons["reject"].click()
    assert problem.text().startswith("The decision is not written")
    assert "Permission denied" in problem.text()
    assert column(review, 2) == ["", "", ""]
    (derivatives / "quality.tsv").write_text("participant_id\tverdict\nsub-01\tgood\n")
    review.reload()
    assert "'good'" in problem.text()
    assert column(review, 0) == []
    review.open_folder(tmp_path)
    assert problem.text().startswith("There is no 'quality.tsv' in")
    assert not review.panel.report_button.isEnabled()


def test_the_report_is_opened_in_the_browser(review, derivatives, monkeypatch):
    opened = []
    desktop = "napari_neuropretrain.gui.review.review_widget.QDesktopServices.openUrl"
    monkeypatch.setattr(desktop, lambda url: opened.append(url.toLocalFile()) or True)
    assert review.panel.report_button.isEnabled()
    review.panel.report_button.click()
    assert opened == [str(derivatives / "quality.html")]
    assert not has_report(derivatives.parent)


def test_it_opens_on_the_folder_of_the_scan_in_the_viewer(qtbot, derivatives):
    viewer = ViewerModel()
    view.add_layers(viewer, pair_layers(preproc_of(derivatives, "sub-01", None)))
    widget = ReviewWidget(viewer)
    qtbot.addWidget(widget)
    assert widget.folder == derivatives
    empty = ReviewWidget(ViewerModel())
    qtbot.addWidget(empty)
    assert "Choose the output folder" in empty.panel.problem.text()


def test_shortcuts_are_free_in_napari(review):
    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    buttons = [review.panel.previous, review.panel.next]
    ours = {button.shortcut().toString() for button in buttons} | set(
        SHORTCUTS.values()
    )
    assert len(ours) == 6
    assert not ours & taken
