"""The job ``check-cohort``: the problem list of the cohort panel, as a file."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.checking import CheckCohortConfig
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.cohort_overview import read_overview
from napari_neuropretrain.data.cohort_problems import find_problems
from napari_neuropretrain.data.cohort_summary import guess_label
from napari_neuropretrain.data.division_problems import read_division
from napari_neuropretrain.data.problems import SEVERITIES, Problem, count
from napari_neuropretrain.data.same_brains import find_same_brains
from napari_neuropretrain.data.scan_headers import Header, read_header
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report

PROBLEMS = "problems.tsv"
_COLUMNS = ("severity", "problem", "participants", "what", "what_to_do")


def check_cohort(config: CheckCohortConfig, report: Report) -> Outcome:
    """List what is wrong in a cohort; nothing of it is changed.

    Parameters
    ----------
    config
        Cohort, label and division.
    report
        Hears a ``warning`` for each problem; may raise `Cancelled`.

    Returns
    -------
    Outcome
        Its failures are the errors, so that a script can stop there.

    Raises
    ------
    CohortError
        If there is no cohort, or the split file cannot be read.
    """
    cohort = CohortEdits(read_overview(Path(config.cohort)))
    headers = _headers(cohort, report)
    division = None if config.splits == NOTHING else read_division(config.splits)
    brains = find_same_brains(cohort, report) if config.find_repeats else ()
    label = config.label or guess_label(cohort.columns, {})
    problems = find_problems(cohort, label, headers, division, brains)
    for one in problems:
        if one.severity != "error":  # those are the failures
            report(Progress("warning", f"{one.text} {one.advice}"))
    path = write_problems(Path(config.output) / PROBLEMS, cohort, problems)
    report(Progress("result", values={"kind": "problems", "path": str(path)}))
    failures = tuple(
        Failure(one.kind, f"{one.text} {one.advice}")
        for one in problems
        if one.severity == "error"
    )
    return Outcome(_summary(cohort, problems), failures, {"problems": str(path)})


def write_problems(
    path: Path, cohort: CohortEdits, problems: tuple[Problem, ...]
) -> Path:
    """Write problems as a TSV file, whole or not at all."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in problems:
        names = dict.fromkeys(cohort.members[n].key for n in one.numbers)
        who = ", ".join(names) or "n/a"
        writer.writerow([one.severity, one.kind, who, one.text, one.advice])
    write_text(path, stream.getvalue())
    return path


def _headers(cohort: CohortEdits, report: Report) -> dict[int, Header]:
    found: dict[int, Header] = {}
    for one in cohort.members:
        if one.number % 100 == 0:
            total = len(cohort.members)
            report(Progress("step", "Reading headers", one.number, total))
        if one.path is not None:
            found[one.number] = read_header(one.path)
    return found


def _summary(cohort: CohortEdits, problems: tuple[Problem, ...]) -> str:
    counts = Counter(one.severity for one in problems)
    said = [count(counts[one], one) for one in SEVERITIES if counts[one]]
    scans = count(sum(one.path is not None for one in cohort.members), "scan")
    return f"Checked {scans}: {', '.join(said) or 'nothing is wrong'}."
