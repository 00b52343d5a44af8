"""Tables as files: TSV for programs, Markdown for people."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_neuropretrain.benchmark.results import Results
from napari_neuropretrain.benchmark.tables import Table
from napari_neuropretrain.config.base import write_text


def write_tables(folder: Path, tables: Iterable[Table]) -> dict[str, Path]:
    """Write each table as TSV, and all of them as one Markdown file."""
    found = {}
    tables = tuple(tables)
    for table in tables:
        found[table.name] = folder / f"{table.name}.tsv"
        write_text(found[table.name], _tsv([table.header, *table.rows]))
    found["tables"] = folder / "tables.md"
    write_text(found["tables"], "\n".join(markdown(table) for table in tables))
    return found


def write_results(path: Path, results: Results) -> Path:
    """Write every metric of every setting in full precision, one line each."""
    header = [
        "task",
        "backbone",
        "initialisation",
        "tuning",
        "training_fraction",
        "cohort",
        "metric",
        "mean",
        "sd",
    ]
    rows = [[*header, "low", "high", "seeds", "participants", "published"]]
    for (setting, cohort), metrics in results.summaries.items():
        for name, one in metrics.items():
            start = (setting.backbone, setting.initialisation, setting.tuning)
            place = [setting.task, *start, f"{setting.fraction:g}", cohort, name]
            numbers = [one.mean, one.sd, *(one.interval or (math.nan, math.nan))]
            printed = results.printed(setting, cohort, name)
            counts = [str(len(one.values)), str(one.participants)]
            counts.append("n/a" if printed is None else str(printed))
            rows.append([*place, *(_exact(value) for value in numbers), *counts])
    write_text(path, _tsv(rows))
    return path


def _exact(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.6g}"


def _tsv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    return text.getvalue()


def markdown(table: Table) -> str:
    r"""Return a table in Markdown.

    Examples
    --------
    >>> print(markdown(Table("t", "One", ("a", "b"), (("1", "2|3"),))))
    ## One
    <BLANKLINE>
    | a | b |
    |---|---|
    | 1 | 2\|3 |
    <BLANKLINE>
    """
    lines = [f"## {table.title}", "", _line(table.header)]
    lines += ["|" + "---|" * len(table.header)]
    lines += [_line(row) for row in table.rows]
    return "\n".join([*lines, "", *([table.note, ""] if table.note else [])])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(one.replace('|', chr(92) + '|') for one in cells)} |"
