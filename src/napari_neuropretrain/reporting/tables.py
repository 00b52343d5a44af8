"""Tables in HTML."""

from __future__ import annotations

import csv
import html
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from napari_neuropretrain.reporting.page import paragraph


def html_table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    title: str = "",
    note: str = "",
    marked: Collection[int] = (),
) -> str:
    """Return a table; everything in it is escaped, and without rows it is nothing.

    Parameters
    ----------
    header, rows
        Cells; all rows as long as the header.
    title, note
        Over and under it.
    marked
        Numbers of rows in another colour.

    Examples
    --------
    >>> "<td>&lt;b&gt;</td>" in html_table(["a"], [["<b>"]])
    True
    """
    top = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    lines = []
    for number, row in enumerate(rows):
        cells = "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row)
        flag = ' class="worse"' if number in marked else ""
        lines.append(f"<tr{flag}>{cells}</tr>")
    if not lines:
        return ""
    heading = f"<h3>{html.escape(title)}</h3>" if title else ""
    under = paragraph(note, small=True) if note else ""
    table = f"<table><tr>{top}</tr>{''.join(lines)}</table>"
    return f'{heading}<div class="wide">{table}</div>{under}'


def table_of_file(path: Path, title: str = "", note: str = "", most: int = 40) -> str:
    """Return a tab-separated file as a table; of a long one the first rows."""
    with path.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream, delimiter="\t")
    if len(rows) > most:
        note += f" The first {most} of {len(rows)} rows; all are in {path.name}."
    return html_table(header, rows[:most], title, note.strip())
