"""Which field the Tab key goes to next: the one below."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QLayout, QWidget

_WHOLE = (QAbstractSpinBox, QComboBox)


def tab_down(above: QWidget, below: QWidget) -> None:
    """Let Tab go from the last field of a widget to those of another, in their order.

    Parameters
    ----------
    above
        Keeps its place.
    below
        What has just been put under it; Qt would go there last.
    """
    _chain([*list(_stops(above))[-1:], *_stops(below)])


def tab_through(widget: QWidget) -> None:
    """Let Tab go through a widget in the order in which it is laid out."""
    _chain(list(_stops(widget)))


def _chain(stops: list[QWidget]) -> None:
    for one, after in pairwise(stops):
        QWidget.setTabOrder(one, after)


def _stops(widget: QWidget) -> Iterator[QWidget]:
    """Yield where Tab stops in a widget, from top to bottom."""
    if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
        yield widget
    if isinstance(widget, _WHOLE):
        return
    layout = widget.layout()
    if layout is not None:
        yield from _stops_of(layout)


def _stops_of(layout: QLayout) -> Iterator[QWidget]:
    for place in range(layout.count()):
        item = layout.itemAt(place)
        if item is None:
            continue
        inner, widget = item.layout(), item.widget()
        if widget is not None:
            yield from _stops(widget)
        elif inner is not None:
            yield from _stops_of(inner)
