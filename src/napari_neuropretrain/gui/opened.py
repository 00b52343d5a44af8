"""What a run folder or a model file shows when it is dropped on the viewer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_neuropretrain.runs.folder import EVENTS

if TYPE_CHECKING:
    from napari_neuropretrain.gui.runs.runs_widget import RunsWidget
    from napari_neuropretrain.gui.scans.layers import LayerData

WEIGHTS = ".safetensors"
_LOOK_MS, _MOST_LOOKS = 200, 100


def is_run(path: Path) -> bool:
    """Whether a path is the output folder of a job."""
    return (path / EVENTS).is_file()


def is_model(path: Path) -> bool:
    """Whether a path is a file of weights."""
    return path.suffix.lower() == WEIGHTS and path.is_file()


def open_run(folder: Path, viewer: Any = None) -> list[LayerData]:
    """Return what a run can show as layers; say the rest, and open the panel Runs.

    Parameters
    ----------
    folder
        Output folder of a job. An explanation gives its maps over the scan,
        preprocessing its first participant before and after, others no layer.
    viewer
        Where the panel is opened; None, or one without a window: nowhere.

    Raises
    ------
    ImageError
        If an image cannot be read.
    """
    from napari.utils.notifications import show_info

    from napari_neuropretrain.runs.record import read_run

    record = read_run(folder)
    show_info(f"{folder.name} ({record.job}, {record.state}): {record.sentence}")
    layers: list[LayerData] = []
    if record.job == "explain":
        layers = _maps(folder)
    elif record.job == "preprocess":
        from napari_neuropretrain.gui.jobs.results import load_result

        layers = load_result("derivatives", folder).layers
    if not layers and _has_window(viewer):
        _open_runs(folder, viewer)
    return layers


def open_model(path: Path, viewer: Any = None) -> None:
    """Show the card of a model in a panel that offers to predict with it.

    Parameters
    ----------
    path
        The weights; the card lies beside them.
    viewer
        As for `open_run`.

    Raises
    ------
    CheckpointError
        If there is no card beside the weights.
    """
    from napari_neuropretrain.gui.models.card import read_card

    card = read_card(path)
    if not _has_window(viewer):
        return
    from napari_neuropretrain.gui.models.model_panel import ModelPanel

    title = "Model" if card.kind == "model" else "Encoder"
    viewer.window.add_dock_widget(
        ModelPanel(viewer, card), name=f"{title}: {card.name}", tabify=True
    )


def _maps(folder: Path) -> list[LayerData]:
    """Return the maps of an explanation, each scan once, in its own space if it can."""
    from napari_neuropretrain.gui.explanation.loading import over_scan
    from napari_neuropretrain.gui.explanation.map_files import files_of, maps_below

    found: list[LayerData] = []
    for path in maps_below(folder):
        files = files_of(path)
        if files.own is not None and files.own_t1 is not None:
            found += over_scan(files.own, files.own_t1)
        else:
            found += over_scan(path, files.template_t1)
    return found


def _has_window(viewer: Any) -> bool:
    return getattr(viewer, "window", None) is not None


def _open_runs(folder: Path, viewer: Any) -> None:
    from napari_neuropretrain.gui.panels import open_panel

    widget: RunsWidget = open_panel(viewer, "Runs")
    widget.open_folder(folder)
    _select_once_listed(widget, folder)


def _select_once_listed(widget: RunsWidget, folder: Path) -> None:
    """Select the run as soon as the panel's search has found it."""
    from qtpy.QtCore import QTimer

    timer = QTimer(widget)
    looks = iter(range(_MOST_LOOKS))

    def look() -> None:
        widget.tree.select(folder)
        if widget.tree.records() or next(looks, None) is None:
            timer.stop()

    timer.timeout.connect(look)
    timer.start(_LOOK_MS)
