"""Age, sex and site of the people whose scans are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from napari_neuropretrain.config.jobs import PredictConfig
from napari_neuropretrain.data.participants import Cohort, Scan
from napari_neuropretrain.data.tables import read_table, rows_by_key
from napari_neuropretrain.errors import CohortError

_TABLE = "participants.tsv"
_PARENTS = 5


def with_rows(cohort: Cohort, config: PredictConfig) -> Cohort:
    """Complete the rows of scans that came without a table.

    A scan by itself has the row of a ``participants.tsv`` above it, if there is one;
    age and sex of the settings win where there is one scan.
    """
    given: dict[str, str] = {}
    if len(cohort.scans) == 1:
        given |= {"age": f"{config.age:g}"} if config.age else {}
        given |= {"sex": config.sex} if config.sex != "unknown" else {}
    scans = []
    for scan in cohort.scans:
        row = dict(scan.row) or _row_above(scan, Path(config.input))
        if given:
            kept = {name: text for name, text in row.items() if name not in given}
            row = given | kept
        scans.append(replace(scan, row=row))
    return replace(cohort, scans=tuple(scans))


def _row_above(scan: Scan, source: Path) -> Mapping[str, str]:
    """Return the row of a scan in the nearest table above the given path."""
    for folder in list(source.absolute().parents)[:_PARENTS]:
        table = folder / _TABLE
        if not table.is_file():
            continue
        try:
            rows = rows_by_key(table, read_table(table))
        except CohortError:
            return {}
        return rows.get(scan.key) or rows.get(scan.participant) or {}
    return {}
