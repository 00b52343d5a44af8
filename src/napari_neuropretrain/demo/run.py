"""The job that goes the whole way on synthetic scans: no data, no download."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.base import Config, write_text
from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.config.jobs import (
    JOBS,
    DemoConfig,
    PredictConfig,
    PreprocessConfig,
)
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.bids import PREPROCESSED_SUFFIX
from napari_neuropretrain.demo.findings import gather_findings
from napari_neuropretrain.demo.report import write_report
from napari_neuropretrain.errors import CohortError, NeuropretrainError
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.runs import execute
from napari_neuropretrain.synthesis.template_cohort import write_cohort

DIAGNOSES = ("CN", "AD")
SCAN_MM = 2.0
SHAPE, SPACING_MM = 64, 3.0
"""192 mm: the whole brain, at a size that two cores train in a minute."""
BACKBONE: dict[str, Any] = {
    "name": "tiny_densenet",
    "init_features": 16,
    "growth_rate": 8,
    "block_config": [4, 4],
}
LEARNING_RATE = 5e-3
"""There are few steps in an epoch of so small a cohort."""
PATCH, STRIDE = 6, 4
"""18 mm every 12 mm."""
_ENDINGS = ("started", "finished", "failed", "stopped", "heartbeat")


def demo(config: DemoConfig, report: Report) -> Outcome:
    """Make a cohort, preprocess, train, predict, explain, and write a page.

    Each step leaves its own run folder in `config.output`, as if it had been
    started by hand.

    Raises
    ------
    CohortError
        If the folder holds a demo with other settings.
    NeuropretrainError
        If a step fails.
    """
    folder = config.output
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], Any]) -> None:
        began = time.monotonic()
        report(Progress("step", f"Demo: {stage}", values={"stage": stage}))
        work()
        seconds[stage] = round(time.monotonic() - began, 1)

    timed("cohort", lambda: make_cohort(config, report))
    timed("preprocess", lambda: _run("preprocess", _preprocess(config), report))
    timed("finetune", lambda: _run("finetune", _finetune(config), report))
    write_held_out(folder)
    timed("predict", lambda: _run("predict", _predict(config), report))
    chosen = choose_participant(folder / "finetune" / "predictions.tsv")
    timed("explain", lambda: _run("explain", _explain(config, chosen), report))
    findings = gather_findings(folder, chosen, seconds)
    page = write_report(folder / "report.html", findings)
    report(
        Progress(
            "result", f"Report: {page}", values={"kind": "report", "path": str(page)}
        )
    )
    return Outcome(findings.sentence(), results={"report": str(page)})


def make_cohort(config: DemoConfig, report: Report) -> Path:
    """Write the synthetic cohort, unless this demo did so before.

    Raises
    ------
    CohortError
        If the folder holds a cohort of another size or seed.
    """
    folder, note = config.output / "cohort", config.output / "cohort.json"
    made: dict[str, Any] = {
        "participants": config.participants,
        "seed": config.seed,
        "spacing_mm": SCAN_MM,
        "diagnoses": list(DIAGNOSES),
    }
    if (folder / "participants.tsv").exists():
        if note.exists() and json.loads(note.read_text(encoding="utf-8")) == made:
            return folder
        raise CohortError(
            f"output: '{config.output}' holds the demo of another cohort than "
            f"{config.participants} participants with seed {config.seed}. Give a new "
            "folder, or the settings of before."
        )
    listen = _named("cohort", report)
    write_cohort(
        folder, config.participants, config.seed, SCAN_MM, listen, diagnoses=DIAGNOSES
    )
    write_text(note, json.dumps(made) + "\n")
    return folder


def write_held_out(folder: Path) -> Path:
    """List the raw scans of the held-out participants, for the job ``predict``."""
    lines = ["participant_id\tpath"]
    for row in read_rows(folder / "finetune" / "predictions.tsv"):
        name = row["participant_id"]
        if row["split"] == "test":
            raw = folder / "cohort" / name / "anat" / f"{name}_T1w.nii.gz"
            lines.append(f"{name}\t{raw.resolve()}")
    table = folder / "held_out.tsv"
    write_text(table, "\n".join(lines) + "\n")
    return table


def choose_participant(predictions: Path) -> str:
    """Return the held-out AD participant of whom the model is surest.

    Raises
    ------
    CohortError
        If no one with AD was held out.
    """
    rows = [
        row
        for row in read_rows(predictions)
        if (row["split"], row["label"]) == ("test", "AD")
    ]
    if not rows:
        raise CohortError(
            f"'{predictions}' has no held-out participant with AD to explain. Give "
            "more participants."
        )
    return max(rows, key=lambda row: float(row["prediction"]))["participant_id"]


def read_rows(table: Path) -> list[dict[str, str]]:
    """Return the rows of a tab-separated table."""
    with table.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def _preprocess(config: DemoConfig) -> PreprocessConfig:
    return PreprocessConfig(
        input=config.output / "cohort",
        output=config.output / "preprocessed",
        shape=SHAPE,
        spacing_mm=SPACING_MM,
        workers=config.workers,
    )


def _finetune(config: DemoConfig) -> FinetuneConfig:
    values = {
        "cohort": config.output / "preprocessed",
        "output": config.output / "finetune",
        "task": "ad",
        "backbone": BACKBONE,
        "epochs": config.epochs,
        "learning_rate": LEARNING_RATE,
        "patience": config.epochs,
        # Its page draws all epochs, which a resumed training has no more.
        "overwrite": True,
        "seed": config.seed,
        "threads": config.threads,
    }
    return FinetuneConfig.parse(values)


def _predict(config: DemoConfig) -> PredictConfig:
    return PredictConfig(
        model=config.output / "finetune",
        input=config.output / "held_out.tsv",
        output=config.output / "predict",
        workers=config.workers,
        threads=config.threads,
    )


def _explain(config: DemoConfig, participant: str) -> ExplainConfig:
    anatomy = config.output / "preprocessed" / participant / "anat"
    return ExplainConfig(
        model=config.output / "finetune",
        input=anatomy / f"{participant}{PREPROCESSED_SUFFIX}",
        output=config.output / "explain",
        patch=PATCH,
        stride=STRIDE,
        threads=config.threads,
    )


def _run(job: str, config: Config, report: Report) -> Outcome:
    """Run one job in its own run folder, and pass on what it says."""
    outcome = execute(JOBS, job, config, _named(job, report))
    if outcome.failures:
        first = outcome.failures[0]
        raise NeuropretrainError(
            f"{job} left out {len(outcome.failures)} scans, first '{first.item}': "
            f"{first.reason} Every synthetic scan should pass; see its run.log."
        )
    return outcome


def _named(stage: str, report: Report) -> Report:
    """Return a report that adds the stage, and keeps endings of steps to itself."""

    def listen(progress: Progress) -> None:
        if progress.state in _ENDINGS:
            return
        message = f"{stage}: {progress.message}" if progress.message else ""
        values = {**progress.values, "stage": stage}
        report(Progress(progress.state, message, progress.step, progress.total, values))

    return listen
