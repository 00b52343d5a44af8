"""One page with everything that a training found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.data.tables import read_table
from napari_neuropretrain.evaluation.assessment import PRIMARY, Certainty
from napari_neuropretrain.evaluation.comparison import compare_all, sentence
from napari_neuropretrain.evaluation.figures import CAPTIONS
from napari_neuropretrain.evaluation.model_source import read_models, with_baselines
from napari_neuropretrain.evaluation.people import (
    PEOPLE,
    PEOPLE_NOTE,
    describe_people,
)
from napari_neuropretrain.evaluation.prediction_table import (
    part_of_rows,
    predictions_of_rows,
)
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.evaluation.report_tables import comparison_table
from napari_neuropretrain.evaluation.run_figures import (
    FIGURES,
    write_prediction_figures,
)
from napari_neuropretrain.progress import Failure
from napari_neuropretrain.reporting.drawing import save_figure, style
from napari_neuropretrain.reporting.figures import gallery
from napari_neuropretrain.reporting.page import (
    REPORT,
    section,
    statements,
    warning,
    write_page,
)
from napari_neuropretrain.reporting.provenance import provenance
from napari_neuropretrain.reporting.tables import html_table
from napari_neuropretrain.reporting.trainings import draw_run
from napari_neuropretrain.training.labelled_cohort import PARTS
from napari_neuropretrain.weights.encoder_file import EncoderCard
from napari_neuropretrain.weights.model_card import CohortSummary, ModelCard


def report_finetuning(
    config: FinetuneConfig,
    card: ModelCard,
    said: Sequence[str],
    failures: Sequence[Failure],
) -> Path:
    """Write figures and ``report.html`` of a fine-tuning into its run folder.

    Parameters
    ----------
    config
        Of the run; its model and its predictions are read from its folder.
    card
        Of the model.
    said
        What came out, in sentences.
    failures
        Scans that could not be used.
    """
    output, certainty = Path(config.output), Certainty(seed=config.seed)
    tested = _tested(output)
    differences = compare_all(tested, certainty)
    better = [
        sentence(row, card.unit if card.kind == "regression" else "", certainty.level)
        for row in differences
        if row.metric == PRIMARY[card.kind]
    ]
    figures = _curves(output) | write_prediction_figures(output / FIGURES, tested)
    parts = (
        warning(""),
        section("What came out", statements([*said, *better, *_origin(config)])),
        section("What failed", _failures(failures)),
        section("Cohort", _parts(output, card)),
        section("Metrics", _metrics(card.metrics)),
        section("Beside linear models", comparison_table(differences)),
        section("Figures", gallery(figures, CAPTIONS)),
        section("Cost", _values(card.training.get("cost", {}))),
        provenance("finetune", config, _facts(card, config), card.versions),
    )
    title = f"{card.backbone.name} for {card.task.name}"
    return write_page(output / REPORT, title, parts)


def report_pretraining(
    config: PretrainConfig, card: EncoderCard, said: str, failures: Sequence[Failure]
) -> Path:
    """Write figures and ``report.html`` of a pre-training into its run folder."""
    output, training = Path(config.output), card.training
    facts = {"encoder, SHA-256": card.sha256, "scans and labels": card.source_sha256}
    names = ("best_epoch", "epochs_run", "batch_size_used", "validation_loss")
    found = {name: training[name] for name in names if name in training}
    note = (
        "A low loss does not say that the features are of use: fine-tune from this "
        "encoder and from scratch, and compare."
    )
    parts = (
        warning(""),
        section("What came out", statements([said, note])),
        section("What failed", _failures(failures)),
        section("Learned from", statements([card.trained_on]), _summary(card.cohort)),
        section("Figures", gallery(_curves(output), CAPTIONS)),
        section("Training", _values(found | dict(training.get("cost", {})))),
        provenance("pretrain", config, facts | _start(config), card.versions),
    )
    return write_page(output / REPORT, card.title, parts)


def _tested(output: Path) -> list[Predictions]:
    """Return what the network and the linear models said of the test part."""
    sources = with_baselines(read_models([str(output)], ()))
    return [one.tested for one in sources if one.tested is not None]


def _curves(output: Path) -> dict[str, Path]:
    with style():
        figure = draw_run(output)
        if figure is None:
            return {}
        return {"training": save_figure(figure, output / FIGURES, "training")}


def _origin(config: FinetuneConfig) -> list[str]:
    if not config.initial_weights:
        return ["The network started from random weights."]
    return [
        f"The network started from '{config.initial_weights}'. Whether that helped or "
        "hurt cannot be said from one run: train the same from scratch, and compare "
        "by neuropretrain evaluate --others."
    ]


def _parts(output: Path, card: ModelCard) -> str:
    """Describe who was in which part."""
    table = output / "predictions.tsv"
    rows = read_table(table)
    positive = [str(one).lower() for one in card.task.options.get("positive", ())]
    given = predictions_of_rows(rows, table, "", card.kind, positive)
    cells = [
        (part, *describe_people(given.take(part_of_rows(rows, part)))) for part in PARTS
    ]
    return html_table(("part", *PEOPLE), cells, note=PEOPLE_NOTE)


def _metrics(metrics: Mapping[str, Any]) -> str:
    """Return a row for each metric, a column for each part and linear model."""
    columns: dict[str, Mapping[str, Any]] = {part: metrics[part] for part in PARTS}
    columns["same answer for everyone"] = metrics["baseline"]
    columns |= metrics.get("baselines", {})
    names = dict.fromkeys(
        name
        for one in columns.values()
        for name, value in one.items()
        if isinstance(value, int | float)
    )
    rows = [[name, *(_cell(one, name) for one in columns.values())] for name in names]
    note = "In brackets: 95 % interval, BCa bootstrap over participants. p_chance: "
    note += "permutation test of the labels."
    return html_table(("", *columns), rows, note=note)


def _cell(found: Mapping[str, Any], name: str) -> str:
    value, interval = found.get(name), found.get("intervals", {}).get(name)
    if not isinstance(value, int | float):
        return ""
    limits = f" [{interval[0]:.3g} to {interval[1]:.3g}]" if interval else ""
    return f"{value:.4g}{limits}"


def _summary(cohort: CohortSummary) -> str:
    rows = [
        (part, count, cohort.participants.get(part, ""))
        for part, count in cohort.scans.items()
    ]
    said = []
    if cohort.age_mean is not None and cohort.age_range is not None:
        low, high = cohort.age_range
        said.append(f"age {cohort.age_mean:g} years ({low:g} to {high:g})")
    for name, counts in (("sex", cohort.sexes), ("site", cohort.sites)):
        if counts:
            found = ", ".join(f"{count} {group}" for group, count in counts.items())
            said.append(f"{name}: {found}")
    note = f"Of the training: {'; '.join(said)}." if said else ""
    return html_table(("part", "scans", "participants"), rows, note=note)


def _values(found: Mapping[str, Any]) -> str:
    rows = [(name.replace("_", " "), _text(value)) for name, value in found.items()]
    return html_table(("what", "value"), rows)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _failures(failures: Sequence[Failure]) -> str:
    return html_table(("scan", "reason"), [(one.item, one.reason) for one in failures])


def _facts(card: ModelCard, config: FinetuneConfig) -> dict[str, str]:
    split = card.training.get("splits", {})
    facts = {"model, SHA-256": card.sha256}
    facts["who is in which part, SHA-256"] = str(split.get("sha256", "-"))
    facts["division"] = f"{split.get('file', '-')}, fold {split.get('fold', 0)}"
    return facts | _start(config)


def _start(config: Config) -> dict[str, str]:
    given = getattr(config, "initial_weights", "")
    return {"initial weights": str(given)} if given else {}
