"""The quality page: one HTML file that shows every scan, worst first.

It works from a folder, without a server; only the mosaics lie beside it. A page
cannot write files, so its decisions are downloaded as a new ``quality.tsv``.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from napari_neuropretrain import __version__
from napari_neuropretrain.data.quality import (
    COLUMNS,
    QUALITY_TABLE,
    VERDICTS,
    QualityRow,
)
from napari_neuropretrain.preprocessing.quality_histogram import draw_histograms
from napari_neuropretrain.preprocessing.quality_rules import RULES
from napari_neuropretrain.preprocessing.scan_quality import figure_path
from napari_neuropretrain.reporting import page as reporting
from napari_neuropretrain.resources import resource_path

PAGE = "quality.html"
STYLE, SCRIPT = "quality_page.css", "quality_page.js"
SIGNS = {"keep": "✓", "look": "?", "reject": "✕"}


def write_page(output: Path, rows: Mapping[str, QualityRow]) -> Path:
    """Write ``quality.html`` into a derivatives folder.

    Parameters
    ----------
    output
        Derivatives folder with the mosaics.
    rows
        As in the quality table.

    Returns
    -------
    Path
        The page.
    """
    ordered = sorted(rows.values(), key=_badness)
    parts = (
        _header(ordered),
        '<section class="histograms" aria-label="Measures of all scans">\n'
        f"{draw_histograms(ordered)}\n</section>",
        f"<main>\n{''.join(_card(output, row) for row in ordered)}</main>",
        '<p id="none" hidden>No scan is like that.</p>',
        f'<script type="application/json" id="table">{_data(rows)}</script>',
        f"<script>\n{resource_path(SCRIPT).read_text(encoding='utf-8')}</script>",
    )
    title = f"Quality of {len(rows)} scans"
    return reporting.write_page(Path(output) / PAGE, title, parts, STYLE, headed=False)


def _badness(row: QualityRow) -> tuple[int, float, str]:
    """Sort the worst first: by verdict, then by similarity to the others."""
    names = ("cohort_correlation", "correlation")
    known = [row.measures.get(name, math.nan) for name in names]
    likeness = next((one for one in known if math.isfinite(one)), -1.0)
    return -VERDICTS.index(row.final), likeness, row.key


def _header(rows: Sequence[QualityRow]) -> str:
    counts = {word: sum(row.final == word for row in rows) for word in VERDICTS}
    buttons = "".join(
        f'<button class="filter {word}" data-filter="{word}" aria-pressed="false">'
        f'{SIGNS[word]} {word} <b data-count="{word}">{count}</b></button>'
        for word, count in reversed(counts.items())
    )
    return (
        f"<header>\n<h1>Quality of {len(rows)} scans</h1>\n"
        '<div class="bar"><button class="filter" data-filter="" aria-pressed="true">'
        f"all <b>{len(rows)}</b></button>{buttons}"
        '<input type="search" id="search" placeholder="Name or reason" '
        'aria-label="Search by name or reason">'
        '<button id="download" disabled>Download decisions</button>'
        '<span id="changed" role="status"></span></div>\n'
        '<p class="help">Keys: <kbd>k</kbd> keep, <kbd>l</kbd> look, <kbd>r</kbd> '
        "reject, <kbd>u</kbd> undo, <kbd>↓</kbd> <kbd>↑</kbd> next and previous scan. "
        "<b>look</b> is used for training, <b>reject</b> is left out; your decision "
        "goes before the verdict. A page cannot write files: download the table, and "
        f"put it in this folder as <code>{QUALITY_TABLE}</code>. "
        f"<small>napari-neuropretrain {html.escape(__version__)}</small></p>\n</header>"
    )


def _card(output: Path, row: QualityRow) -> str:
    key = html.escape(row.key)
    reason = html.escape(row.reason) or "All measures are usual."
    buttons = "".join(
        f'<button data-decide="{word}" class="{word}">{SIGNS[word]} {word}</button>'
        for word in VERDICTS
    )
    return (
        f'<article id="{key}" data-key="{key}" data-verdict="{row.verdict}" '
        f'data-final="{row.final}" tabindex="0">\n{_picture(output, row)}\n'
        f'<div class="text"><h2>{key}</h2><span class="chip {row.final}">'
        f"{SIGNS[row.final]} {row.final}</span>"
        f'<span class="by">{"decided" if row.decision else ""}</span>'
        f'<span class="decide">{buttons}</span>'
        f'<input class="note" placeholder="Note" aria-label="Note on {key}" '
        f'value="{html.escape(row.note)}">'
        f'<p class="reason">{reason}</p>{_measures(row)}</div>\n</article>\n'
    )


def _picture(output: Path, row: QualityRow) -> str:
    figure = figure_path(output, row.key)
    if not figure.exists():
        return '<p class="missing">No picture of this scan.</p>'
    source = quote(figure.relative_to(output).as_posix())
    return (
        f'<img loading="lazy" src="{html.escape(source)}" alt="Slices of '
        f'{html.escape(row.key)} with brain mask and template">'
    )


def _measures(row: QualityRow) -> str:
    """Return the measures as a list; their meaning is in docs/quality.md."""
    shown = [
        f'<div title="{html.escape(rule.title)}"><dt>{rule.measure}</dt>'
        f"<dd>{value:.{rule.digits}f}</dd></div>"
        for rule in RULES
        if math.isfinite(value := row.measures.get(rule.measure, math.nan))
    ]
    return f"<dl>{''.join(shown)}</dl>" if shown else ""


def _data(rows: Mapping[str, QualityRow]) -> str:
    """Return the table as JSON that cannot end the script element."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row.measures))
    lines = [
        [
            row.participant,
            row.session or "",
            row.verdict,
            row.reason,
            row.decision,
            row.note,
            *(_exact(row.measures.get(name, math.nan)) for name in names),
        ]
        for _, row in sorted(rows.items())
    ]
    table = {"columns": [*COLUMNS, *names], "keys": sorted(rows), "rows": lines}
    return json.dumps(table, ensure_ascii=False).replace("<", "\\u003c")


def _exact(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""
