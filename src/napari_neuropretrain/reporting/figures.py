"""Figures inside a page."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure


def embedded(path: Path, caption: str = "") -> str:
    """Return a figure element that carries a PNG file in itself."""
    return _figure(path.read_bytes(), path.stem, caption)


def inline(figure: Figure, description: str, caption: str = "") -> str:
    """Return a figure element that carries a drawing in itself."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, facecolor=figure.get_facecolor())
    return _figure(stream.getvalue(), description, caption)


def gallery(figures: Mapping[str, Path], captions: Mapping[str, str]) -> str:
    """Return figures one below the other.

    Parameters
    ----------
    figures
        PNG files by name.
    captions
        By the first word of the name, for example ``roc`` of ``roc_test``.
    """
    return "\n".join(
        embedded(path, captions.get(name.split("_")[0], ""))
        for name, path in figures.items()
    )


def _figure(png: bytes, description: str, caption: str) -> str:
    data = base64.b64encode(png).decode()
    under = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><img alt="{html.escape(description)}" '
        f'src="data:image/png;base64,{data}">{under}</figure>'
    )
