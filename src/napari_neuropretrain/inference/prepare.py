"""Bring scans to the form that a model was trained on, or say why they cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.contract import PreprocessingContract, name_shape
from napari_neuropretrain.config.jobs import PreprocessConfig
from napari_neuropretrain.data.participants import Cohort, Scan, read_cohort
from napari_neuropretrain.errors import (
    CohortError,
    ContractError,
    ImageError,
)
from napari_neuropretrain.preprocessing.cohort import list_failures, preprocess_cohort
from napari_neuropretrain.preprocessing.derivatives import (
    Derivative,
    contract_of,
    read_derivative,
    read_sidecar,
)
from napari_neuropretrain.preprocessing.source import same_source
from napari_neuropretrain.progress import Failure, Progress, Report
from napari_neuropretrain.training.preprocessed import preprocessed_cohort

UNKNOWN = "the preprocessing is of a version that is not known here"


def prepare_cohort(
    path: Path,
    contract: PreprocessingContract,
    output: Path,
    report: Report,
    workers: int = 1,
    threads: int = 1,
) -> Cohort:
    """Return preprocessed scans that all keep a model's contract.

    Raw scans are preprocessed. Scans that were preprocessed differently are done
    again where the raw scan, as their JSON names it, is still there unchanged; the
    others are refused.

    Parameters
    ----------
    path
        A scan, a folder or a table, raw or preprocessed.
    contract
        What the model was trained on.
    output
        Folder for what is preprocessed here.
    report
        Hears what the preprocessing says, and a ``warning`` that lists what differed
        and was done again; may raise `Cancelled`.
    workers, threads
        Scans at the same time, and threads for each.

    Returns
    -------
    Cohort
        Of kind ``"preprocessed"``. Scans that were refused are in its `problems`.

    Raises
    ------
    CohortError
        If no scan is left.
    ContractError
        If no scan is left since all were preprocessed differently, with every
        difference and what to run; or if this version cannot preprocess so.
    """
    cohort = read_cohort(path)
    if cohort.kind == "raw":
        return preprocessed_cohort(path, contract, output, report, workers, threads)
    for note in cohort.notes:
        report(Progress("warning", note))
    found = _sort_out(cohort, contract)
    if not found.kept and not found.again:
        raise ContractError("\n".join(one.reason for one in found.refused[:3]))
    for one in found.refused:
        report(Progress("item_failed", f"{one.item}: {one.reason}"))
    for why, scans in found.again.items():
        report(Progress("warning", _notice(scans, len(cohort.scans), why, output)))
    raw = tuple(scan for scans in found.again.values() for scan in scans)
    redone = _redo(raw, contract, output, report, workers, threads)
    problems = (*cohort.problems, *found.refused, *redone.problems)
    if not found.kept and not redone.scans:
        listed = "; ".join(f"{one.item}: {one.reason}" for one in problems[:5])
        raise CohortError(f"No scan of '{path}' could be preprocessed again: {listed}")
    kept = sorted([*found.kept, *redone.scans], key=lambda scan: scan.key)
    return Cohort(tuple(kept), cohort.root, "preprocessed", problems)


@dataclass
class _Sorted:
    """Preprocessed scans that fit, raw ones to do again by reason, and the others."""

    kept: list[Scan] = field(default_factory=list)
    again: dict[str, list[Scan]] = field(default_factory=dict)
    refused: list[Failure] = field(default_factory=list)


def _sort_out(cohort: Cohort, contract: PreprocessingContract) -> _Sorted:
    found = _Sorted()
    for scan in cohort.scans:
        differences, notes = _compare(scan.path, contract)
        if not differences:
            found.kept.append(scan)
        elif problem := _cannot_redo(notes, contract):
            reason = _refusal(scan.path, differences, problem, contract)
            found.refused.append(Failure(scan.key, reason))
        else:
            raw = replace(scan, path=Path(notes["Source"]["Path"]))
            found.again.setdefault("; ".join(differences), []).append(raw)
    return found


def _redo(
    raw: tuple[Scan, ...],
    contract: PreprocessingContract,
    output: Path,
    report: Report,
    workers: int,
    threads: int,
) -> Cohort:
    """Preprocess raw scans; those that fail are its `problems`."""
    if not raw:
        return Cohort((), output, "preprocessed")
    cohort = Cohort(raw, raw[0].path)
    records = preprocess_cohort(cohort, output, contract, report, workers, threads)
    done = [replace(one.scan, path=one.image) for one in records if one.image]
    failures = list_failures(records, cohort)
    return Cohort(tuple(done), output, "preprocessed", failures)


def prepare_scan(
    path: Path,
    contract: PreprocessingContract,
    output: Path,
    report: Report,
    threads: int = 1,
) -> tuple[Path, Derivative]:
    """Return one scan as the model needs it, and where it is; see `prepare_cohort`.

    Raises
    ------
    CohortError
        If `path` is not exactly one scan, or its preprocessing failed.
    ContractError
        If the scan was preprocessed differently and cannot be done again.
    ImageError
        If a file is missing or damaged.
    """
    cohort = prepare_cohort(path, contract, output, report, threads=threads)
    if len(cohort.scans) != 1:
        raise CohortError(
            f"'{path}' holds {len(cohort.scans)} scans. Give exactly one scan."
        )
    image = cohort.scans[0].path
    return image, read_checked(image, contract)


def read_checked(path: Path, contract: PreprocessingContract) -> Derivative:
    """Read a preprocessed scan and compare its contract with the model's.

    Raises
    ------
    ContractError
        If they differ, saying in what.
    ImageError
        If a file is missing or damaged.
    """
    derivative = read_derivative(path)
    if differences := derivative.contract.differences(contract):
        raise ContractError(
            f"'{path}' was preprocessed differently from what the model was trained "
            f"on: {'; '.join(differences)}."
        )
    return derivative


def preprocess_flags(contract: PreprocessingContract) -> str:
    """Return the flags of ``neuropretrain preprocess`` that keep `contract`.

    Examples
    --------
    >>> preprocess_flags(PreprocessingContract())
    '--shape 80 --spacing-mm 2 --dof 9 --brain-mask neuropretrain'
    """
    return (
        f"--shape {name_shape(contract.shape)} --spacing-mm {contract.spacing_mm:g} "
        f"--dof {contract.registration.dof} --brain-mask {contract.brain_mask.method}"
    )


def _compare(
    image: Path, contract: PreprocessingContract
) -> tuple[list[str], Mapping[str, Any]]:
    """Return in what a preprocessed scan differs, and its JSON."""
    try:
        notes = read_sidecar(image)
    except ImageError:  # reading the scan will say so
        return [], {}
    try:
        return contract_of(image, notes).differences(contract), notes
    except ImageError:
        return [UNKNOWN], notes


def _cannot_redo(notes: Mapping[str, Any], contract: PreprocessingContract) -> str:
    """Say why a scan cannot be preprocessed again; empty if it can."""
    try:
        PreprocessConfig.for_contract(contract, input=Path(), output=Path())
    except ContractError as error:
        return str(error)
    source = notes.get("Source")
    named = source.get("Path") if isinstance(source, Mapping) else None
    if not isinstance(source, Mapping) or not named:
        return "Its JSON does not name the raw scan it was made from."
    try:
        if same_source(Path(named), source):
            return ""
    except OSError:
        return f"The raw scan it was made from, '{named}', is not there."
    return f"The raw scan it was made from, '{named}', has changed since."


def _refusal(
    image: Path, differences: list[str], problem: str, contract: PreprocessingContract
) -> str:
    return (
        f"'{image}' was preprocessed differently from what the model was trained on: "
        f"{'; '.join(differences)}. {problem} Give the raw scan, or preprocess it "
        f"with: neuropretrain preprocess --input RAW_SCAN --output NEW_FOLDER "
        f"{preprocess_flags(contract)}"
    )


def _notice(scans: list[Scan], total: int, why: str, output: Path) -> str:
    shown = ", ".join(scan.key for scan in scans[:5]) + (", …" if scans[5:] else "")
    return (
        f"{len(scans)} of {total} scans ({shown}) were preprocessed differently from "
        f"what the model was trained on: {why}. They are preprocessed again from their "
        f"raw scans, into '{output}'."
    )
