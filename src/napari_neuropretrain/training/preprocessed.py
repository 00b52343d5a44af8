"""Get a preprocessed cohort from whatever a person points at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import JOBS, PreprocessConfig
from napari_neuropretrain.data.participants import Cohort, read_cohort
from napari_neuropretrain.errors import CohortError, ContractError, ImageError
from napari_neuropretrain.preprocessing.derivatives import (
    contract_of,
    read_sidecar,
)
from napari_neuropretrain.progress import Outcome, Progress, Report


def preprocessed_cohort(
    path: Path,
    contract: PreprocessingContract,
    output: Path,
    report: Report,
    workers: int = 1,
    threads: int = 1,
) -> Cohort:
    """Read a cohort; raw scans are preprocessed first.

    Parameters
    ----------
    path
        A scan, a folder or a table, raw or preprocessed.
    contract
        How to preprocess raw scans. Preprocessed ones are returned as they
        are: compare their contract with what is needed.
    output
        Folder for the derivatives of raw scans.
    report
        Hears what the preprocessing says; may raise `Cancelled`.
    workers, threads
        Scans at the same time, and threads for each.

    Returns
    -------
    Cohort
        Of kind ``"preprocessed"``, with the table rows of the given cohort. Scans
        that failed are in its `problems`.

    Raises
    ------
    CohortError
        If no scan is left.
    ContractError
        If this version cannot preprocess in that way, or preprocessed scans were
        preprocessed in different ways.
    """
    cohort = read_cohort(path)
    if cohort.kind == "preprocessed":
        for note in cohort.notes:
            report(Progress("warning", note))
        refuse_mixture(cohort)
        return cohort
    scans = len(cohort.scans)
    report(Progress("step", f"Preprocessing {scans} raw scans first", 0, scans))
    config = PreprocessConfig.for_contract(
        contract,
        input=path,
        output=output,
        workers=workers,
        threads=threads,
    )
    outcome: Outcome = JOBS["preprocess"].load()(config, report)
    done = _with_derivatives(cohort, output, outcome)
    for note in done.notes[len(cohort.notes) :]:
        report(Progress("warning", note))
    return done


def refuse_mixture(cohort: Cohort) -> None:
    """Refuse scans that no single contract describes, and name the groups."""
    groups: dict[PreprocessingContract, list[str]] = {}
    for scan in cohort.scans:
        try:
            contract = contract_of(scan.path, read_sidecar(scan.path))
        except ImageError:  # said when the scan itself is read
            continue
        groups.setdefault(contract, []).append(scan.key)
    if len(groups) < 2:
        return
    (most, _), *others = sorted(groups.items(), key=lambda group: -len(group[1]))
    lines = [f"  {_listed(groups[most])}: the most common way"]
    lines += [
        f"  {_listed(groups[other])}: {'; '.join(other.differences(most))}"
        for other in dict(others)
    ]
    raise ContractError(
        f"The scans in '{cohort.root}' were preprocessed in {len(groups)} ways, and a "
        "network must see one:\n" + "\n".join(lines) + "\nPreprocess the whole cohort "
        "with the same settings, into a new folder (neuropretrain preprocess)."
    )


def _listed(keys: list[str]) -> str:
    shown = ", ".join(keys[:5]) + (", …" if keys[5:] else "")
    return f"{len(keys)} scans ({shown})" if keys[1:] else keys[0]


def _with_derivatives(cohort: Cohort, output: Path, outcome: Outcome) -> Cohort:
    """Point the scans at their derivatives; drop the failed and the rejected."""
    problems = tuple(dict.fromkeys([*cohort.problems, *outcome.failures]))
    failed = {failure.item for failure in outcome.failures}
    wanted = {scan.key: scan for scan in cohort.scans if scan.key not in failed}
    if not wanted:
        listed = "; ".join(f"{one.item}: {one.reason}" for one in problems[:5])
        raise CohortError(f"No scan of '{cohort.root}' could be preprocessed: {listed}")
    made = read_cohort(output)
    # The folder may hold scans of an earlier run on other people.
    scans = tuple(
        replace(wanted[done.key], path=done.path)
        for done in made.scans
        if done.key in wanted
    )
    notes = [note for note in made.notes if note.split()[0] in wanted]
    return Cohort(scans, output, "preprocessed", problems, (*cohort.notes, *notes))
