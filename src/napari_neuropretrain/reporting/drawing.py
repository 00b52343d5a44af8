"""How figures look, and how they are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito (2008): told apart by people who do not see all colours.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
GREY = "#777777"
_STYLE: dict[str, Any] = {"font.size": 9, "svg.hashsalt": "napari-neuropretrain"}
_STYLE |= {"axes.spines.top": False, "axes.spines.right": False}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches, whose parts do not overlap."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def style() -> Any:
    """Return the context in which figures are drawn and saved."""
    return mpl.rc_context(_STYLE)  # type: ignore[arg-type]


def save_figure(figure: Figure, folder: Path, name: str) -> Path:
    """Write a figure as SVG and PNG; return the PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    # Without the date, the same results give the same files.
    figure.savefig(folder / f"{name}.svg", format="svg", metadata={"Date": None})
    figure.savefig(folder / f"{name}.png", format="png", dpi=130)
    return folder / f"{name}.png"


def panels(figure: Figure, count: int, columns: int = 3) -> list[Any]:
    """Return `count` axes in rows; places that are left over stay empty."""
    columns = min(columns, max(1, count))
    rows = -(-count // columns)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for one in axes[count:]:
        one.set_axis_off()
    return list(axes[:count])


def panel_size(count: int, columns: int = 3, edge: float = 3.0) -> tuple[float, float]:
    """Return width and height of a figure of `count` panels, in inches."""
    wide = min(columns, max(1, count))
    return max(4.0, edge * wide), edge * -(-count // wide)
