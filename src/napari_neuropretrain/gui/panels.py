"""Open a panel of the plugin from another one: each is there once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from npe2 import PluginManager
from qtpy.QtWidgets import QDockWidget, QWidget

from napari_neuropretrain.gui.settings import PLUGIN

if TYPE_CHECKING:
    import napari


def open_panel(viewer: napari.Viewer, name: str) -> Any:
    """Show a panel and return it; one that is open already comes to the front.

    napari names a panel by the plugin's title where it was opened from a menu, and by
    its package where a program opened it; it would open the same panel twice.

    Parameters
    ----------
    viewer
        Where it is docked, as a tab beside the others.
    name
        As in the manifest, for example ``"Runs"``.

    Raises
    ------
    KeyError
        If the plugin has no such panel.
    """
    title = PluginManager.instance().get_manifest(PLUGIN).display_name
    docked: dict[str, Any] = dict(viewer.window.dock_widgets)
    for owner in (title, PLUGIN):
        if (found := docked.get(f"{name} ({owner})")) is not None:
            break
    else:
        found = _make(viewer, name)
        # As the menu names it, which then finds it.
        viewer.window.add_dock_widget(found, name=f"{name} ({title})", tabify=True)
    _raise(found)
    return found


def _make(viewer: napari.Viewer, name: str) -> QWidget:
    for one in PluginManager.instance().iter_widgets():
        if (one.plugin_name, one.display_name) == (PLUGIN, name):
            make: Any = one.get_callable()
            widget: QWidget = make(viewer)
            return widget
    raise KeyError(name)


def _raise(widget: QWidget) -> None:
    dock: Any = widget
    while dock is not None and not isinstance(dock, QDockWidget):
        dock = dock.parentWidget()
    if dock is not None:
        dock.show()
        dock.raise_()
