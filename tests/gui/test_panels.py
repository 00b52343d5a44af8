"""A panel is there once, whether a menu or another panel opened it."""

from __future__ import annotations

from typing import Any

import pytest
from npe2 import PluginManifest

from napari_neuropretrain.gui.panels import open_panel

PLUGIN, TITLE = "napari-neuropretrain", "NeuroPretrain"


@pytest.fixture
def viewer(make_napari_viewer: Any, npe2pm: Any) -> Any:
    npe2pm.register(PluginManifest.from_distribution(PLUGIN))
    return make_napari_viewer(show=True)


@pytest.mark.gl
@pytest.mark.usefixtures("no_gl")
def test_a_panel_of_the_menu_is_found_by_other_panels(
    viewer: Any, click_menu: Any
) -> None:
    click_menu(viewer, "Layers", "Classify", TITLE, "Runs")
    (name,) = viewer.window.dock_widgets
    assert name == f"Runs ({TITLE})"
    runs = viewer.window.dock_widgets[name]
    assert open_panel(viewer, "Runs") is runs
    # The other way round: the menu hides and shows the one that a panel opened.
    review = open_panel(viewer, "Review quality")
    assert review.isVisible()
    click_menu(viewer, "Layers", "Classify", TITLE, "Review quality")
    assert len(viewer.window.dock_widgets) == 2
    assert not review.isVisible()
    assert open_panel(viewer, "Review quality") is review
    assert review.isVisible()


@pytest.mark.gl
@pytest.mark.usefixtures("no_gl")
def test_a_panel_of_a_program_is_found_too(viewer: Any) -> None:
    _, runs = viewer.window.add_plugin_dock_widget(PLUGIN, "Runs")
    assert open_panel(viewer, "Runs") is runs
    with pytest.raises(KeyError):
        open_panel(viewer, "Nothing")


@pytest.mark.gl
@pytest.mark.usefixtures("no_gl")
def test_panels_of_the_menu_are_tabs_and_the_window_stays(
    viewer: Any, qtbot: Any, click_menu: Any
) -> None:
    viewer.window.resize(1300, 850)
    window = viewer.window._qt_window
    docks = viewer.window._wrapped_dock_widgets
    for tabs, name in enumerate(("Runs", "Cohort", "Preprocess")):
        click_menu(viewer, "Layers", "Classify", TITLE, name)
        last = docks[f"{name} ({TITLE})"]
        qtbot.waitUntil(lambda: len(window.tabifiedDockWidgets(last)) == tabs)  # noqa: B023
    assert window.height() <= 850
    assert not last.visibleRegion().isEmpty()  # in front
    # One that a person put elsewhere stays there.
    docks[f"Runs ({TITLE})"].setFloating(True)
    assert open_panel(viewer, "Runs").isVisible()
    assert docks[f"Runs ({TITLE})"].isFloating()
