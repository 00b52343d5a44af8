"""The job ``preprocess``: a cohort of raw scans becomes a derivatives folder."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import PreprocessConfig
from napari_neuropretrain.data.participants import Cohort, read_cohort
from napari_neuropretrain.data.quality import read_quality
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.preprocessing.cohort_tables import (
    check_output,
    remove_partial_files,
    write_description,
    write_participants,
    write_record,
)
from napari_neuropretrain.preprocessing.dask_workers import (
    run_in_processes,
    run_on_cluster,
)
from napari_neuropretrain.preprocessing.mask_programs import PROGRAMS, find_program
from napari_neuropretrain.preprocessing.quality_cohort import (
    count_verdicts,
    write_cohort_quality,
)
from napari_neuropretrain.preprocessing.quality_page import PAGE
from napari_neuropretrain.preprocessing.scan_task import (
    ScanRecord,
    ScanTask,
    run_task,
)
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report


def preprocess(config: PreprocessConfig, report: Report) -> Outcome:
    """Preprocess every scan of a cohort; done ones are skipped, bad ones listed.

    Parameters
    ----------
    config
        Settings of the job.
    report
        Hears ``item_done`` or ``item_failed`` for each scan; raises `Cancelled` to
        stop between two steps.

    Raises
    ------
    CohortError
        If there is nothing to do: no scan, or scans that are preprocessed already.
    """
    cohort = read_cohort(config.input)
    records = preprocess_cohort(
        cohort,
        config.output,
        config.contract,
        report,
        workers=config.workers,
        threads=config.threads,
        overwrite=config.overwrite,
        memory_gib=config.memory_gib,
        scheduler=config.scheduler,
    )
    _tell_memory(records, report)
    failures = list_failures(records, cohort)
    usable = sum(record.status != "failed" for record in records)
    skipped = sum(record.status == "skipped" for record in records)
    message = f"{usable} of {usable + len(failures)} scans are preprocessed"
    message += f" ({skipped} were done before)." if skipped else "."
    output, page = str(config.output), str(config.output / PAGE)
    quality = read_quality(config.output)
    keys = [record.scan.key for record in records]
    counts = count_verdicts(quality[key] for key in keys if key in quality)
    message += f" {counts}: {page}"
    report(Progress("result", message, values={"kind": "derivatives", "path": output}))
    report(Progress("result", counts, values={"kind": "quality", "path": page}))
    results = {"derivatives": output, "quality": page}
    return Outcome(message, failures, results)


def preprocess_cohort(
    cohort: Cohort,
    output: Path,
    contract: PreprocessingContract,
    report: Report,
    workers: int = 1,
    threads: int = 1,
    overwrite: bool = False,
    memory_gib: float = 4.0,
    scheduler: str = "",
) -> list[ScanRecord]:
    """Preprocess the scans of a raw cohort into `output`.

    Parameters
    ----------
    cohort
        Raw scans.
    output
        Root of the derivatives; what is done there already is kept.
    contract
        How.
    report
        Hears ``item_done`` or ``item_failed`` for each scan.
    workers, threads
        Processes, and CPU threads of each.
    overwrite
        Do every scan again.
    memory_gib
        Memory of each process, where there are several.
    scheduler
        Address of a Dask scheduler whose workers do it instead.

    Returns
    -------
    list of ScanRecord
        One a scan, sorted as in the cohort; also written as ``preprocess.tsv``.
        ``quality.tsv`` and ``quality.html`` judge all scans of the folder.

    Raises
    ------
    CohortError
        If the scans are preprocessed already, `output` holds other data, or its
        quality table is damaged.
    BrainMaskError
        If the contract needs a program that is not installed.
    """
    if cohort.kind == "preprocessed":
        raise CohortError(
            f"The scans in '{cohort.root}' are preprocessed already. Give the raw "
            "scans, or use this folder as it is."
        )
    check_output(output, cohort)
    if contract.brain_mask.method in PROGRAMS and not scheduler:
        find_program(contract.brain_mask.method)  # said once, and not for each scan
    read_quality(output)  # a damaged table is said now, not after a night's work
    for note in cohort.notes:
        report(Progress("warning", note))
    remove_partial_files(output)
    write_description(output)
    write_participants(output, cohort.scans)
    tasks = [
        ScanTask(scan, output, contract, threads, overwrite) for scan in cohort.scans
    ]
    records: list[ScanRecord] = []
    try:
        # Closed at once when the report stops it: workers must not live on.
        with closing(_run(tasks, workers, memory_gib, scheduler, report)) as ended:
            for record in ended:
                records.append(record)
                _tell(record, len(records), len(tasks), report)
    finally:  # also when it was stopped
        write_record(output, records, cohort.problems)
        write_cohort_quality(output, records)
    return sorted(records, key=lambda record: record.scan.key)


def list_failures(records: Sequence[ScanRecord], cohort: Cohort) -> tuple[Failure, ...]:
    """Return the scans that failed, after the problems of the cohort itself."""
    failed = [
        Failure(record.scan.key, record.reason)
        for record in records
        if record.status == "failed"
    ]
    return (*cohort.problems, *failed)


def _run(
    tasks: list[ScanTask],
    workers: int,
    memory_gib: float,
    scheduler: str,
    report: Report,
) -> Generator[ScanRecord, None, None]:
    if scheduler:
        yield from run_on_cluster(tasks, scheduler, report)
    elif workers > 1 and len(tasks) > 1:
        yield from run_in_processes(tasks, workers, memory_gib, report)
    else:
        for task in tasks:
            yield run_task(task, report)


def _tell_memory(records: Sequence[ScanRecord], report: Report) -> None:
    peaks = [record.peak_mib for record in records if record.peak_mib is not None]
    if peaks:
        message = f"Most memory of one process: {max(peaks):.0f} MiB"
        report(Progress("metric", message, values={"peak_mib": round(max(peaks))}))


def _tell(record: ScanRecord, step: int, total: int, report: Report) -> None:
    key = record.scan.key
    for note in record.notes:
        report(Progress("warning", note))
    if record.trace:
        report(Progress("warning", f"Unexpected error in {key}:\n{record.trace}"))
    values = {"item": key, "status": record.status, **(record.quality or {})}
    if record.status == "failed":
        message = f"{key}: {record.reason}"
        report(Progress("item_failed", message, step, total, values))
        return
    values["path"] = str(record.image)
    how = "was done before" if record.status == "skipped" else "done"
    message = f"{key}: {how} ({record.seconds:.1f} s)"
    report(Progress("item_done", message, step, total, values))
