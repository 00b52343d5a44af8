"""One page about one map: where it is strong, and whether it can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_neuropretrain.explanation import region_clusters, region_table
from napari_neuropretrain.explanation.description import sentence
from napari_neuropretrain.explanation.panel_slices import PanelMap
from napari_neuropretrain.explanation.panels import draw_panel
from napari_neuropretrain.explanation.subject import Subject, Written
from napari_neuropretrain.reporting.drawing import save_figure, style
from napari_neuropretrain.reporting.figures import embedded
from napari_neuropretrain.reporting.page import (
    REPORT,
    paragraph,
    section,
    statements,
    warning,
    write_page,
)
from napari_neuropretrain.reporting.provenance import provenance, sha256_of
from napari_neuropretrain.reporting.tables import html_table
from napari_neuropretrain.weights.model_card import CohortSummary
from napari_neuropretrain.weights.model_file import software_versions

FIGURES = "figures"
NOT_DISEASE = (
    "A map shows what this network used for this output. It does not show what the "
    "disease is, and a strong place is not a cause."
)


def report_explanation(
    subject: Subject, values: NDArray[Any], written: Written
) -> Path:
    """Write the panel and ``report.html`` into the run folder.

    Parameters
    ----------
    subject
        Whose map it is.
    values
        The map (X, Y, Z) on the template grid.
    written
        What was found.
    """
    config, key, about = subject.config, subject.scan.key, written.described
    panel = _draw(subject, values, about)
    written.paths["panel"] = panel
    said = [sentence(about), *_completeness(about), *_doubts(about.get("checks"))]
    parts = (
        warning(""),
        section("What came out", statements(said)),
        section(
            "Map",
            embedded(panel, _caption(about)),
            paragraph(about["rule"], small=True),
            paragraph(NOT_DISEASE, small=True),
        ),
        section("Clusters", _clusters(written)),
        section("Regions", _regions(written)),
        section("Can it be believed?", checks_table(about.get("checks"))),
        section("Scan and model", _facts(subject, about)),
        provenance("explain", config, _hashes(subject), software_versions()),
    )
    title = f"{config.method.replace('_', ' ').capitalize()} map of {key}"
    return write_page(config.output / REPORT, title, parts)


def _draw(subject: Subject, values: NDArray[Any], about: Mapping[str, Any]) -> Path:
    derivative, size = subject.derivative, float(about["strongest_threshold"])
    shown = PanelMap(
        values,
        derivative.image,
        derivative.affine,
        derivative.brain_mask,
        f"change ({about['unit']})"
        if about["method"] == "occlusion"
        else about["unit"],
        (size, size),
    )
    with style():
        figure = draw_panel([[shown]], [subject.scan.key], [about["target"]])
        folder = subject.config.output / FIGURES
        return save_figure(figure, folder, f"{subject.scan.key}_panel")


def _caption(about: Mapping[str, Any]) -> str:
    words = "hiding it lowers the output" if about["method"] == "occlusion" else "more"
    return (
        f"The strongest {about['strongest_share']:.0%} of the brain, in slices through "
        f"the strongest place. Red: {words}; blue: the contrary. In "
        f"{about['unit']}; left is left."
    )


def _completeness(about: Mapping[str, Any]) -> list[str]:
    if about["complete"]:
        return []
    return [
        f"The map is not complete: {about['computed_positions']} of "
        f"{about['positions']} positions were asked about."
    ]


def _doubts(checks: Mapping[str, Any] | None) -> list[str]:
    if checks is None:
        return ["No checks were made; whether the map can be believed is not known."]
    return list(checks["doubts"]) or ["The map passed its checks."]


def _clusters(written: Written) -> str:
    note = "Peaks in MNI152 RAS mm; clusters of the strongest voxels, each sign apart."
    return html_table(region_clusters.COLUMNS, written.clusters, note=note)


def _regions(written: Written) -> str:
    rows = [tuple(vars(row).values()) for row in written.rows]
    note = "Means over the region's voxels in the brain; the strongest first."
    return html_table(region_table.COLUMNS, rows[:40], note=note)


def checks_table(checks: Mapping[str, Any] | None) -> str:
    """Return the numbers of the checks, in plain words."""
    if checks is None:
        return ""
    rows = [(name, _number(value)) for name, value in _numbers(checks)]
    return html_table(("check", "value"), rows)


def _numbers(checks: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """List the single numbers; of lists of checks each with its patch."""
    found: list[tuple[str, Any]] = []
    for name, value in checks.items():
        words = name.replace("_", " ")
        if isinstance(value, Mapping):
            found += [(f"{words}: {more}", one) for more, one in _numbers(value)]
        elif isinstance(value, list) and all(isinstance(one, dict) for one in value):
            for one in value:
                rest = dict(one)
                first, start = next(iter(rest.items()))
                del rest[first]
                label = f"{words}, {first} {start}".replace("_", " ")
                found += [(f"{label}: {more}", each) for more, each in _numbers(rest)]
        elif isinstance(value, int | float):
            found.append((words, value))
    return found


def _number(value: float) -> str:
    return f"{value:.4g}"


def _facts(subject: Subject, about: Mapping[str, Any]) -> str:
    card, scan = subject.card, subject.scan
    rows = [
        ("scan", str(about["scan"]["path"])),
        (about["target"], f"{about['prediction']:.4g} {about['prediction_unit']}"),
        ("model", f"{card.backbone.name} for {card.task.name}"),
        ("trained on", trained_on(card.cohort)),
    ]
    known = [(name, text) for name, text in scan.row.items() if text]
    return html_table(("what", "value"), rows + known)


def trained_on(cohort: CohortSummary) -> str:
    """Say from whom a model learned."""
    people = cohort.participants.get("train", 0)
    if not people:
        return "not stated"
    ages = ""
    if cohort.age_mean is not None and cohort.age_range is not None:
        low, high = cohort.age_range
        ages = f", age {cohort.age_mean:g} ({low:g} to {high:g})"
    sexes = "".join(f", {count} {sex}" for sex, count in cohort.sexes.items())
    return f"{people} participants{ages}{sexes}"


def _hashes(subject: Subject) -> dict[str, str]:
    found = {
        "model, SHA-256": subject.card.sha256,
        "preprocessed scan, SHA-256": sha256_of(subject.preprocessed),
    }
    regions = Path(subject.config.regions)
    if subject.config.regions and regions.is_file():
        found["regions, SHA-256"] = sha256_of(regions)
    return found
