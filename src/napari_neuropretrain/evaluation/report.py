"""One page with everything that an evaluation found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_neuropretrain.config.evaluation import EvaluateConfig
from napari_neuropretrain.evaluation.assessment import PRIMARY
from napari_neuropretrain.evaluation.comparison import Difference
from napari_neuropretrain.evaluation.figures import CAPTIONS
from napari_neuropretrain.evaluation.model_source import ModelSource
from napari_neuropretrain.evaluation.people import (
    PEOPLE,
    PEOPLE_NOTE,
    describe_people,
)
from napari_neuropretrain.evaluation.report_tables import (
    comparison_table,
    groups_table,
    metrics_table,
)
from napari_neuropretrain.evaluation.run_figures import (
    FIGURES,
    write_prediction_figures,
)
from napari_neuropretrain.evaluation.tables import Judged
from napari_neuropretrain.progress import Failure
from napari_neuropretrain.reporting.figures import gallery
from napari_neuropretrain.reporting.page import (
    REPORT,
    section,
    statements,
    warning,
    write_page,
)
from napari_neuropretrain.reporting.provenance import provenance, sha256_of
from napari_neuropretrain.reporting.tables import html_table
from napari_neuropretrain.weights.model_file import software_versions


def write_report(
    config: EvaluateConfig,
    models: Sequence[ModelSource],
    judged: Sequence[Judged],
    differences: Sequence[Difference],
    sentences: Sequence[str],
    failures: Sequence[Failure],
) -> Path:
    """Write figures and ``report.html`` into the run folder.

    Parameters
    ----------
    config
        Where to, and the exact command.
    models
        What was judged.
    judged, differences, sentences
        What came out.
    failures
        Scans that could not be used.
    """
    output = Path(config.output)
    given = [one.given for one in judged]
    figures = write_prediction_figures(output / FIGURES, given, config.confidence)
    lost = html_table(("scan", "reason"), [(one.item, one.reason) for one in failures])
    parts = (
        warning(""),
        section("What came out", statements([*sentences, *_cautions(judged)])),
        section("What failed", lost),
        section("Cohorts", _cohorts(judged)),
        section("Metrics", metrics_table(judged, config.confidence)),
        section("Comparisons", comparison_table(differences)),
        section("By group", groups_table(judged, PRIMARY)),
        section("Figures", gallery(figures, CAPTIONS)),
        provenance("evaluate", config, _facts(models), software_versions()),
    )
    return write_page(output / REPORT, f"Evaluation of {models[0].name}", parts)


def _cohorts(judged: Sequence[Judged]) -> str:
    rows = {
        one.given.cohort: (one.given.cohort, *describe_people(one.given))
        for one in judged
    }
    return html_table(("cohort", *PEOPLE), rows.values(), note=PEOPLE_NOTE)


def _cautions(judged: Sequence[Judged]) -> list[str]:
    """Say what the numbers do not tell."""
    said = []
    for one in judged:
        people = one.given.n_participants
        if people < 30 and one.given.kind == "binary":
            said.append(
                f"{one.given.cohort} has {people} participants: one more or less "
                f"changes a share by {1 / people:.0%}."
            )
    return list(dict.fromkeys(said))


def _facts(models: Sequence[ModelSource]) -> dict[str, str]:
    facts = {}
    for one in models:
        facts[f"{one.name}, SHA-256 of {one.path.name}"] = sha256_of(one.path)
        if one.card is not None and not one.beside:
            split = one.card.training.get("splits", {})
            facts[f"{one.name}, who was in which part"] = str(split.get("sha256", "-"))
    return facts
