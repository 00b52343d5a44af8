"""The job ``sample-cohort``: raw synthetic heads to try everything on."""

from __future__ import annotations

import json

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.sample_cohort import SampleCohortConfig
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.synthesis.participants import DIAGNOSES
from napari_neuropretrain.synthesis.template_cohort import write_cohort

NOTE = "sample_cohort.json"


def sample_cohort(config: SampleCohortConfig, report: Report) -> Outcome:
    """Write the cohort, unless it is there already.

    Raises
    ------
    CohortError
        If the folder holds another dataset, or a group is not known.
    """
    if unknown := sorted(set(config.diagnoses) - set(DIAGNOSES)):
        raise CohortError(
            f"diagnoses: there is no {', '.join(map(repr, unknown))}. Give some of "
            f"{', '.join(DIAGNOSES)}."
        )
    note = config.output / NOTE
    made = json.dumps(config.model_dump(mode="json", exclude={"output"}))
    table = config.output / "participants.tsv"
    if not table.exists():
        write_cohort(
            config.output,
            config.participants,
            config.seed,
            config.spacing_mm,
            report,
            diagnoses=config.diagnoses,
        )
        write_text(note, made + "\n")
    elif not note.exists() or note.read_text(encoding="utf-8").strip() != made:
        raise CohortError(
            f"output: '{config.output}' holds another cohort than "
            f"{config.participants} participants with seed {config.seed}. Give a new "
            "folder, or the settings of before."
        )
    report(Progress("result", values={"kind": "cohort", "path": str(config.output)}))
    message = f"{config.participants} synthetic heads are in '{config.output}'."
    return Outcome(message, results={"cohort": str(config.output)})
