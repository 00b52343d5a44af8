"""Open a panel of the plugin from another one: each is there once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from npe2 import PluginManager
from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget

from napari_neuropretrain.gui.settings import PLUGIN

if TYPE_CHECKING:
    import napari

_OWNERS = ("(NeuroPretrain)", f"({PLUGIN})")
"""How napari ends the names of our panels."""


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
    if (dock := _dock_of(widget)) is not None:
        dock.show()
        dock.raise_()


def _dock_of(widget: QWidget) -> QDockWidget | None:
    above: QWidget | None = widget
    while above is not None and not isinstance(above, QDockWidget):
        above = above.parentWidget()
    return above


def tab_with_others(widget: QWidget) -> None:
    """Let a panel be a tab beside the others of the plugin, once it is docked.

    napari stacks what is opened from a menu, and the window grows with every panel, in
    the end beyond the screen.
    """
    # The panel is made first, and docked right after.
    timer = QTimer(widget)
    timer.setSingleShot(True)
    # Weak, or what never came on the screen would keep its window alive.
    timer.timeout.connect(partial(_tab, ref(widget), _sizes()))
    timer.timeout.connect(timer.deleteLater)
    timer.start(0)


def _sizes() -> WeakKeyDictionary[QWidget, QSize]:
    found: WeakKeyDictionary[QWidget, QSize] = WeakKeyDictionary()
    for one in QApplication.topLevelWidgets():
        if isinstance(one, QMainWindow):
            found[one] = one.size()
    return found


def _tab(panel: ref[QWidget], before: Mapping[QWidget, QSize]) -> None:
    if (widget := panel()) is None:
        return
    dock = _dock_of(widget)
    window = None if dock is None else dock.parentWidget()
    if not isinstance(window, QMainWindow) or dock is None or dock.isFloating():
        return
    area = window.dockWidgetArea(dock)
    for other in window.findChildren(QDockWidget):
        ours = other is not dock and other.objectName().endswith(_OWNERS)
        beside = window.dockWidgetArea(other) == area and not other.isFloating()
        if ours and beside and other.isVisible():
            window.tabifyDockWidget(other, dock)
            dock.raise_()
            if window in before and (layout := window.layout()) is not None:
                layout.activate()  # or it has no less room than before
                window.resize(before[window])
            return
