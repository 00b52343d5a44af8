"""The table of scan quality: what was measured, the verdict, a person's decision.

``quality.tsv`` lies at the root of a derivatives folder. The job ``preprocess`` fills
in measures, verdict and reason; ``decision`` and ``note`` belong to a person and
outlive every run.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.data.tables import (
    MISSING_VALUES,
    Row,
    read_table,
    rows_by_key,
)
from napari_neuropretrain.errors import CohortError

VERDICTS = ("keep", "look", "reject")
"""From good to bad. ``look`` is used for training; ``reject`` is left out."""
QUALITY_TABLE = "quality.tsv"
COLUMNS = ("participant_id", "session_id", "verdict", "reason", "decision", "note")
MISSING = "n/a"


@dataclass(frozen=True)
class QualityRow:
    """What is known about the quality of one scan.

    Parameters
    ----------
    key
        Name of the scan, unique in its cohort, for example ``"sub-01_ses-02"``.
    participant, session
        BIDS names; the session may be None.
    verdict
        The automatic one of `VERDICTS`.
    reason
        Why, in words; empty if all is well.
    decision
        The person's one of `VERDICTS`, or empty.
    note
        What the person wrote.
    measures
        Number by name; NaN where it could not be measured.
    """

    key: str
    participant: str
    session: str | None
    verdict: str
    reason: str = ""
    decision: str = ""
    note: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)

    @property
    def final(self) -> str:
        """The decision of the person, or the automatic verdict without one.

        Examples
        --------
        >>> row = QualityRow("sub-01", "sub-01", None, "reject")
        >>> row.final, replace(row, decision="keep").final
        ('reject', 'keep')
        """
        return self.decision or self.verdict


def read_quality(folder: Path) -> dict[str, QualityRow]:
    """Read the quality table of a derivatives folder.

    Returns
    -------
    dict
        Row by key of the scan; empty if there is no table.

    Raises
    ------
    CohortError
        If the table is damaged, or names an unknown verdict or decision.
    """
    path = Path(folder) / QUALITY_TABLE
    if not path.exists():
        return {}
    rows = read_table(path)
    if rows and "verdict" not in rows[0]:
        raise CohortError(
            f"The table '{path}' has no 'verdict' column; its columns are "
            f"{', '.join(repr(name) for name in rows[0])}. Delete it, and "
            "preprocess the scans again, which writes it anew."
        )
    return {
        key: _read_row(path, key, row) for key, row in rows_by_key(path, rows).items()
    }


def write_quality(folder: Path, rows: Mapping[str, QualityRow]) -> Path:
    """Write the quality table, whole or not at all.

    A decision in the table on disk is kept where `rows` has none for that scan, and
    so is the whole line of a decided scan that `rows` lacks.

    Returns
    -------
    Path
        The table.

    Raises
    ------
    CohortError
        If the table on disk is damaged: its decisions would be lost.
    """
    merged = dict(rows)
    for key, earlier in read_quality(folder).items():
        row = merged.get(key, earlier)
        if earlier.decision and not row.decision:
            row = replace(row, decision=earlier.decision, note=earlier.note)
        if key in merged or earlier.decision:
            merged[key] = replace(row, note=row.note or earlier.note)
    return _write(folder, merged)


def decide(folder: Path, key: str, decision: str, note: str = "") -> QualityRow:
    """Write down what a person decided about one scan.

    Parameters
    ----------
    folder
        Derivatives folder with a quality table.
    key
        Which scan.
    decision
        One of `VERDICTS`; empty takes an earlier decision back.
    note
        Why; replaces an earlier note.

    Raises
    ------
    CohortError
        If the scan is not in the table, or there is no such decision.
    """
    if decision not in ("", *VERDICTS):
        raise CohortError(
            f"'{decision}' is no decision about '{key}'. Give one of "
            f"{', '.join(VERDICTS)}, or nothing to take it back."
        )
    rows = read_quality(folder)
    if key not in rows:
        known = ", ".join(list(rows)[:5]) + (", ..." if len(rows) > 5 else "")
        raise CohortError(
            f"There is no scan '{key}' in '{Path(folder) / QUALITY_TABLE}', which has "
            f"{known or 'no scans'}. Preprocess it first."
        )
    rows[key] = replace(rows[key], decision=decision, note=" ".join(note.split()))
    _write(folder, rows)
    return rows[key]


def _read_row(path: Path, key: str, row: Row) -> QualityRow:
    participant, _, session = key.partition("_")
    verdict = _word(path, key, "verdict", row["verdict"])
    if not verdict:
        raise CohortError(
            f"'{path}' gives no verdict for '{key}'. Allowed: {', '.join(VERDICTS)}."
        )
    return QualityRow(
        key,
        participant,
        session or None,
        verdict,
        _text(row.get("reason", "")),
        _word(path, key, "decision", row.get("decision", "")),
        _text(row.get("note", "")),
        {
            name: _number(path, key, name, text)
            for name, text in row.items()
            if name not in COLUMNS
        },
    )


def _text(text: str) -> str:
    return "" if text == MISSING else text


def _word(path: Path, key: str, column: str, text: str) -> str:
    word = text.lower()
    if word in MISSING_VALUES:
        return ""
    if word not in VERDICTS:
        raise CohortError(
            f"'{path}' has the {column} '{text}' for '{key}'. Allowed: "
            f"{', '.join(VERDICTS)}."
        )
    return word


def _number(path: Path, key: str, column: str, text: str) -> float:
    if text.lower() in MISSING_VALUES:
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise CohortError(
            f"'{path}' has '{text}' as {column} of '{key}', which is not a number. "
            "Mend the table, or delete it and preprocess the scans again."
        ) from None


def _write(folder: Path, rows: Mapping[str, QualityRow]) -> Path:
    path = Path(folder) / QUALITY_TABLE
    ordered = [rows[key] for key in sorted(rows)]
    names = list(dict.fromkeys(name for row in ordered for name in row.measures))
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
    writer.writerow([*COLUMNS, *names])
    for row in ordered:
        texts = [row.participant, row.session or "", row.verdict, row.reason]
        texts += [row.decision, row.note]
        measures = [row.measures.get(name, math.nan) for name in names]
        words = [" ".join(text.split()) or MISSING for text in texts]
        writer.writerow([*words, *map(_figure, measures)])
    write_text(path, stream.getvalue())
    return path


def _figure(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else MISSING
