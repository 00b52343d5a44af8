"""The tables at the root of a derivatives folder."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from napari_neuropretrain import __version__
from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.data.participants import Cohort, Scan
from napari_neuropretrain.data.tables import (
    PARTICIPANT_COLUMNS,
    PATH_COLUMNS,
    SESSION_COLUMNS,
    TABLE_SUFFIXES,
    read_table,
    rows_by_key,
)
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.preprocessing.scan_task import ScanRecord
from napari_neuropretrain.progress import Failure

DESCRIPTION, PARTICIPANTS = "dataset_description.json", "participants.tsv"
RECORD = "preprocess.tsv"
FIGURES = "figures"
MISSING = "n/a"
TITLE = "T1-weighted scans preprocessed by napari-neuropretrain"
PARTIAL = re.compile(r"\..+\.(tsv|json|yaml|html|png)\.[a-z0-9_]{8}")
"""Names of temporary files of atomic writes."""
BIDS_VERSION = "1.9.0"
REPLACED_COLUMNS = {*PARTICIPANT_COLUMNS, *SESSION_COLUMNS, *PATH_COLUMNS}
RECORD_COLUMNS = (
    "participant_id",
    "session_id",
    "status",
    "reason",
    "seconds",
    "mask_ml",
    "dice",
    "correlation",
    "peak_mib",
)


def check_output(output: Path, cohort: Cohort) -> None:
    """Refuse a folder whose tables belong to somebody else.

    Raises
    ------
    CohortError
        If `output` is where the raw scans are, or another BIDS dataset.
    """
    root = cohort.root.resolve()
    check_own(output, root.parent if root.suffix.lower() in TABLE_SUFFIXES else root)


def check_own(output: Path, home: Path | None = None) -> None:
    """Refuse a folder with another dataset, or `home`, where the input is.

    Raises
    ------
    CohortError
        If its tables would be overwritten.
    """
    description = output / DESCRIPTION
    foreign = (
        description.exists()
        and "napari-neuropretrain" not in description.read_text(encoding="utf-8")
    )
    if foreign or (home is not None and output.resolve() == home.resolve()):
        raise CohortError(
            f"'{output}' holds raw scans or another dataset, whose tables would be "
            "overwritten. Give a folder of its own, for example "
            f"'{output / 'derivatives' / 'napari-neuropretrain'}'."
        )


def remove_partial_files(output: Path) -> None:
    """Take away what killed runs were writing beside the tables.

    Files younger than a minute may be another run's.
    """
    for folder in (output, output / FIGURES):
        for file in folder.glob(".*"):
            if PARTIAL.fullmatch(file.name) and time.time() - _modified(file) > 60:
                file.unlink(missing_ok=True)


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # its run has just finished it
        return math.inf


def write_description(output: Path, title: str = TITLE) -> None:
    """Write ``dataset_description.json`` of a BIDS derivative."""
    description = {
        "Name": title,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "napari-neuropretrain", "Version": __version__}],
    }
    write_text(output / DESCRIPTION, json.dumps(description, indent=2) + "\n")


def write_participants(
    output: Path, scans: Sequence[Scan], without: Collection[str] = ()
) -> None:
    """Write the labels of `scans`, and keep those of scans done here before.

    One row a scan: ``participant_id``, ``session_id`` where there are sessions, and
    the columns of the raw table other than paths. Keys in `without` lose their row.
    """
    rows = _earlier_rows(output / PARTICIPANTS) | {
        scan.key: _participant_row(scan) for scan in scans
    }
    rows = {key: row for key, row in rows.items() if key not in without}
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    if all(row["session_id"] == MISSING for row in rows.values()):
        columns.remove("session_id")
    ordered = [rows[key] for key in sorted(rows)]
    write_text(output / PARTICIPANTS, _tsv(columns, ordered))


def write_record(
    output: Path, records: Sequence[ScanRecord], problems: Sequence[Failure]
) -> None:
    """Write ``preprocess.tsv``: what became of each scan."""
    rows = [_record_row(record) for record in records]
    rows += [
        {"participant_id": one.item, "status": "failed", "reason": one.reason}
        for one in problems
    ]
    rows.sort(key=lambda row: (row["participant_id"], row.get("session_id", "")))
    write_text(output / RECORD, _tsv(RECORD_COLUMNS, rows))


def _participant_row(scan: Scan) -> dict[str, str]:
    names = {"participant_id": scan.participant, "session_id": scan.session or MISSING}
    labels = {
        name: value
        for name, value in scan.row.items()
        if name.lower() not in REPLACED_COLUMNS
    }
    return names | labels


def _earlier_rows(path: Path) -> dict[str, dict[str, str]]:
    if not path.exists():
        return {}
    try:
        rows = rows_by_key(path, read_table(path))
    except CohortError:  # somebody's own table; ours replaces it
        return {}
    return {key: {"session_id": MISSING} | dict(row) for key, row in rows.items()}


def _record_row(record: ScanRecord) -> dict[str, str]:
    quality = record.quality or {}
    return {
        "participant_id": record.scan.participant,
        "session_id": record.scan.session or MISSING,
        "status": record.status,
        "reason": record.reason or MISSING,
        "seconds": f"{record.seconds:.1f}",
        "peak_mib": MISSING if record.peak_mib is None else f"{record.peak_mib:.0f}",
    } | {
        name: str(quality[name])
        for name in ("mask_ml", "dice", "correlation")
        if name in quality
    }


def _tsv(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows as TSV text; tabs and line breaks inside a value become spaces."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = (row.get(name) or MISSING for name in columns)
        writer.writerow(" ".join(value.split()) for value in values)
    return stream.getvalue()
