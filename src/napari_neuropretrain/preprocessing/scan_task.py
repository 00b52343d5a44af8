"""Preprocess one scan of a cohort, and turn whatever goes wrong into a record."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import (
    BrainMaskError,
    Cancelled,
    ImageError,
    NeuropretrainError,
    RegistrationError,
)
from napari_neuropretrain.preprocessing.derivatives import (
    derivative_path,
    read_sidecar,
    remove_derivative,
    write_derivative,
)
from napari_neuropretrain.preprocessing.pipeline import preprocess_scan
from napari_neuropretrain.preprocessing.quality_mosaic import draw_mosaic
from napari_neuropretrain.preprocessing.scan_quality import (
    complete_quality,
    figure_path,
    with_quality,
)
from napari_neuropretrain.preprocessing.source import describe_source, same_source
from napari_neuropretrain.process_settings import peak_memory_mib
from napari_neuropretrain.progress import Report, silent


@dataclass(frozen=True)
class ScanTask:
    """One scan to do; it travels to a worker process.

    Parameters
    ----------
    scan, output, contract
        What to do, where to, and how.
    threads
        CPU threads.
    overwrite
        Do it again although it was done.
    """

    scan: Scan
    output: Path
    contract: PreprocessingContract
    threads: int = 1
    overwrite: bool = False


@dataclass(frozen=True)
class ScanRecord:
    """What became of one scan: a line of ``preprocess.tsv``.

    Parameters
    ----------
    scan
        Which scan.
    status
        ``"skipped"`` was done before and still holds.
    image
        The preprocessed image, or None if it failed.
    reason
        Why it failed.
    seconds
        Time spent, or spent when it was done.
    quality
        What the JSON says under ``Quality``: measures by name, None where one could
        not be taken.
    trace
        Traceback of an unexpected error.
    notes
        Sentences about the scan that a person should read.
    peak_mib
        Most memory that the process which did the scan had held until then, in MiB.
    """

    scan: Scan
    status: Literal["done", "skipped", "failed"]
    image: Path | None = None
    reason: str = ""
    seconds: float = 0.0
    quality: dict[str, Any] | None = None
    trace: str = ""
    notes: tuple[str, ...] = ()
    peak_mib: float | None = None


def preprocess_one(
    scan: Scan,
    output: Path,
    contract: PreprocessingContract,
    report: Report = silent,
    threads: int = 1,
    overwrite: bool = False,
) -> ScanRecord:
    """Preprocess one scan into a derivatives folder, unless that was done.

    Parameters
    ----------
    scan
        A raw scan, for example ``read_cohort(path).scans[0]``.
    output
        Root of the derivatives.
    contract
        How; an existing derivative with another contract is done again.
    report
        Told about each step.
    threads
        CPU threads.
    overwrite
        Do it again in any case.

    Returns
    -------
    ScanRecord
        ``"done"`` or ``"skipped"``, with the path for `read_derivative`.

    Raises
    ------
    ImageError, BrainMaskError, RegistrationError
        If the scan cannot be used.
    """
    started = time.perf_counter()
    image = derivative_path(output, scan)
    if not overwrite:
        quality = finished_quality(image, scan.path, contract)
        if quality is not None:
            quality = complete_quality(scan, image, output, quality)
            seconds = sum(quality.get("seconds", {}).values())
            return ScanRecord(scan, "skipped", image, "", seconds, quality)
    remove_derivative(image)
    figure = figure_path(output, scan.key)
    figure.unlink(missing_ok=True)
    volume = read_volume(scan.path)
    try:
        done = preprocess_scan(volume, contract, report, threads)
    except (BrainMaskError, RegistrationError):
        draw_mosaic(figure, scan.key, volume)
        raise
    done = with_quality(volume, done)
    draw_mosaic(figure, scan.key, volume, done)
    source = describe_source(scan.path)
    write_derivative(output, scan, volume, done, contract, source)
    seconds = time.perf_counter() - started
    return ScanRecord(
        scan, "done", image, "", seconds, done.details, notes=volume.notes
    )


def finished_quality(
    image: Path, source: Path, contract: PreprocessingContract
) -> dict[str, Any] | None:
    """Return the stored quality of a finished derivative, or None if it must be done.

    It must be done if a file is missing, the raw scan changed, or the contract is
    another one.
    """
    try:
        notes = read_sidecar(image)
    except ImageError:
        return None
    if not image.exists() or notes.get("Contract") != contract.model_dump(mode="json"):
        return None
    try:
        unchanged = same_source(source, notes.get("Source", {}))
    except OSError:
        return None
    quality = notes.get("Quality")
    return quality if unchanged and isinstance(quality, dict) else None


def run_task(task: ScanTask, report: Report = silent) -> ScanRecord:
    """Preprocess one scan; an error becomes a record. Only `Cancelled` gets out."""
    started = time.perf_counter()
    try:
        record = preprocess_one(
            task.scan,
            task.output,
            task.contract,
            report,
            task.threads,
            task.overwrite,
        )
        return replace(record, peak_mib=peak_memory_mib())
    except Cancelled:
        raise
    except NeuropretrainError as error:
        reason, trace = str(error), ""
    except Exception as error:  # noqa: BLE001 - one bad scan never stops a cohort
        reason, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
    seconds = time.perf_counter() - started
    peak = peak_memory_mib()
    return ScanRecord(
        task.scan, "failed", None, reason, seconds, trace=trace, peak_mib=peak
    )
