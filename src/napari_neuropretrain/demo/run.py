"""The job that goes the whole way on synthetic scans: no data, no download."""

from __future__ import annotations

import time

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.jobs import JOBS, DemoConfig
from napari_neuropretrain.demo.findings import gather_findings
from napari_neuropretrain.demo.report import write_report
from napari_neuropretrain.demo.steps import STEPS, choose_participant
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.runs import execute

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

    for step in STEPS:
        began = time.monotonic()
        report(Progress("step", f"Demo: {step.name}", values={"stage": step.name}))
        _run(step.name, step.job, step.settings(config), report)
        seconds[step.name] = round(time.monotonic() - began, 1)
    chosen = choose_participant(folder / "finetune" / "predictions.tsv")
    findings = gather_findings(folder, chosen, seconds)
    page = write_report(folder / "report.html", findings)
    report(
        Progress(
            "result", f"Report: {page}", values={"kind": "report", "path": str(page)}
        )
    )
    return Outcome(findings.sentence(), results={"report": str(page)})


def _run(stage: str, job: str, config: Config, report: Report) -> Outcome:
    """Run one job in its own run folder, and pass on what it says."""
    outcome = execute(JOBS, job, config, _named(stage, report))
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
