"""Pages of plain HTML; everything that they show is in them."""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.resources import resource_path

REPORT = "report.html"
"""Of a run folder."""
STYLE = "report.css"
RESEARCH = "For research use only."


def write_page(
    path: Path,
    title: str,
    parts: Iterable[str],
    style: str = STYLE,
    headed: bool = True,
) -> Path:
    """Write one page; it needs no other file and no network.

    Parameters
    ----------
    path
        Where to.
    title
        Of the window, and over the page.
    parts
        HTML, as the functions of this folder return it.
    style
        Name of a resource.
    headed
        Whether the title stands over the page; else a part has a heading.
    """
    shown = html.escape(title)
    rules = resource_path(style).read_text(encoding="utf-8")
    top = f"<h1>{shown}</h1>\n" if headed else ""
    body = "\n".join(part for part in parts if part)
    write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{shown}</title>\n<style>\n{rules}</style>\n</head>\n"
        f"<body>\n{top}{body}\n</body>\n</html>\n",
    )
    return path


def section(title: str, *parts: str) -> str:
    """Return parts under a heading; nothing where there are none."""
    body = "\n".join(part for part in parts if part)
    return f"<h2>{html.escape(title)}</h2>\n{body}" if body else ""


def paragraph(words: str, small: bool = False) -> str:
    """Return a paragraph of plain text.

    Examples
    --------
    >>> paragraph("p < 0.05", small=True)
    '<p><small>p &lt; 0.05</small></p>'
    """
    shown = html.escape(words)
    return f"<p><small>{shown}</small></p>" if small else f"<p>{shown}</p>"


def warning(words: str) -> str:
    """Return a paragraph that cannot be missed, after the standing one."""
    more = f" {html.escape(words)}" if words else ""
    return f'<p class="warn"><b>{RESEARCH}</b>{more}</p>'


def statements(lines: Iterable[str]) -> str:
    """Return sentences as a list.

    Examples
    --------
    >>> statements(["One.", "Two."])
    '<ul><li>One.</li><li>Two.</li></ul>'
    """
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines if line)
    return f"<ul>{items}</ul>" if items else ""


def preformatted(words: str) -> str:
    """Return text as it is, such as a command or a file."""
    return f"<pre>{html.escape(words)}</pre>"
