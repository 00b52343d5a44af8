"""The guided path in the real viewer, by clicks on Next alone, with the real jobs."""

from __future__ import annotations

import pytest
from npe2 import PluginManifest
from qtpy.QtCore import Qt

from napari_neuropretrain.config.jobs import DemoConfig
from napari_neuropretrain.demo import steps
from napari_neuropretrain.gui.guide.path_state import keep_settings, read_steps
from napari_neuropretrain.gui.guide.seen import REGION
from napari_neuropretrain.runs import process

# Five jobs in processes of their own: long where other work keeps the cores.
pytestmark = [
    pytest.mark.gl,
    pytest.mark.usefixtures("no_gl"),
    pytest.mark.timeout(1800),
]
PATIENCE_MS = 900_000
BACKBONE = {"name": "tiny_densenet", "init_features": 8, "block_config": [2, 2]}
# A scan takes seconds whatever its voxels: it is the number of people that counts.
PEOPLE = 8
TOY = {"SCAN_MM": 4.0, "SHAPE": 32, "SPACING_MM": 6.0, "PATCH": 4, "STRIDE": 4}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a path with few people and coarse volumes."""
    for name, value in (TOY | {"BACKBONE": BACKBONE}).items():
        monkeypatch.setattr(steps, name, value)
    monkeypatch.setattr(process, "NICENESS", 0)  # as important as the test
    path = tmp_path / "guided-path"
    keep_settings(
        DemoConfig(output=path, participants=PEOPLE, epochs=2, workers=2, threads=1)
    )
    return path


def test_next_leads_from_the_menu_to_a_finished_demo(
    make_napari_viewer, npe2pm, qtbot, folder, click_menu
):
    npe2pm.register(PluginManifest.from_distribution("napari-neuropretrain"))
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1400, 950)
    click_menu(viewer, "Layers", "Classify", "NeuroPretrain", "Guided path")
    (guide,) = viewer.window.dock_widgets.values()
    qtbot.waitUntil(lambda: bool(guide.states), timeout=20_000)
    guide.open_folder(folder)
    assert guide.parts.next.text() == "Next: make a sample cohort"
    happened, shown = [], []
    for number, step in enumerate(steps.STEPS):
        with qtbot.waitSignal(guide.showed, timeout=PATIENCE_MS):
            qtbot.mouseClick(guide.parts.next, Qt.MouseButton.LeftButton)
        assert guide.shown == number, step.name
        happened.append(guide.parts.happened.text())
        shown.append([layer.name for layer in viewer.layers])
    assert happened[0].startswith("8 heads: 4 AD, 4 CN;")
    assert happened[1].startswith("8 scans, verdict of the quality control:")
    assert "ROC-AUC" in happened[2]
    assert "held-out people are right" in happened[3]
    assert "times chance" in happened[4]
    assert len(shown[1]) == 4  # before and after, each with its outline
    assert "template edges" in shown[1]
    assert REGION in shown[4]
    assert guide.parts.layers.text().count("•") == 3
    assert guide.parts.next.text() == "Finished"
    assert [one.state for one in read_steps(folder)] == ["done"] * 5
    picture = viewer.screenshot(flash=False).astype(int)
    assert (picture[..., 1] - picture[..., 0] > 60).sum() > 20  # the region's outline
    # A click on an earlier step shows it again, with its cards.
    guide.show_step(3)
    qtbot.waitUntil(lambda: bool(guide.parts.cards.cards), timeout=20_000)
    (card,) = guide.parts.cards.cards
    assert "probability" in card.value.text()
    assert card.use.text() == "For research use only."
