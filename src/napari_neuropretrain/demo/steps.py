"""The steps of the demo, each a job with its settings. Light: the plugin reads it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.base import Config, write_text
from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.config.jobs import (
    DemoConfig,
    PredictConfig,
    PreprocessConfig,
)
from napari_neuropretrain.config.sample_cohort import SampleCohortConfig
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.bids import PREPROCESSED_SUFFIX
from napari_neuropretrain.errors import CohortError

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
HELD_OUT = "held_out.tsv"


@dataclass(frozen=True)
class Step:
    """One step of the demo.

    Parameters
    ----------
    name
        Short, for events and times.
    job
        Name of the job.
    folder
        Its run folder, within that of the demo.
    settings
        Its settings, from those of the demo; what earlier steps left may be read.
    """

    name: str
    job: str
    folder: str
    settings: Callable[[DemoConfig], Config]


def write_held_out(folder: Path) -> Path:
    """List the raw scans of the held-out participants, for the job ``predict``."""
    lines = ["participant_id\tpath\tage\tsex\tsite"]
    for row in read_rows(folder / "finetune" / "predictions.tsv"):
        name = row["participant_id"]
        if row["split"] == "test":
            raw = folder / "cohort" / name / "anat" / f"{name}_T1w.nii.gz"
            known = (row.get(column, "n/a") for column in ("age", "sex", "site"))
            lines.append("\t".join([name, str(raw.resolve()), *known]))
    table = folder / HELD_OUT
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


def _cohort(config: DemoConfig) -> SampleCohortConfig:
    return SampleCohortConfig(
        output=config.output / "cohort",
        participants=config.participants,
        seed=config.seed,
        spacing_mm=SCAN_MM,
        diagnoses=DIAGNOSES,
    )


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
        input=write_held_out(config.output),
        output=config.output / "predict",
        workers=config.workers,
        threads=config.threads,
    )


def _explain(config: DemoConfig) -> ExplainConfig:
    participant = choose_participant(config.output / "finetune" / "predictions.tsv")
    anatomy = config.output / "preprocessed" / participant / "anat"
    return ExplainConfig(
        model=config.output / "finetune",
        input=anatomy / f"{participant}{PREPROCESSED_SUFFIX}",
        output=config.output / "explain",
        patch=PATCH,
        stride=STRIDE,
        threads=config.threads,
    )


STEPS = (
    Step("cohort", "sample-cohort", "cohort", _cohort),
    Step("preprocess", "preprocess", "preprocessed", _preprocess),
    Step("finetune", "finetune", "finetune", _finetune),
    Step("predict", "predict", "predict", _predict),
    Step("explain", "explain", "explain", _explain),
)
