"""The page about the maps of a cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.explanation.description import rule_of, unit_of
from napari_neuropretrain.explanation.group_maps import ALL, Gathered, GroupMap
from napari_neuropretrain.explanation.group_output import (
    CLUSTER_COLUMNS,
    LEVEL,
    REGION_COLUMNS,
    significant,
)
from napari_neuropretrain.explanation.panel_slices import PanelMap
from napari_neuropretrain.explanation.panels import draw_panel
from napari_neuropretrain.explanation.report import FIGURES, NOT_DISEASE, trained_on
from napari_neuropretrain.progress import Failure
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
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import software_versions

_CAPTION = (
    "Mean maps, and differences between groups, over the mean scan: the strongest 5 % "
    "of the brain, in slices through the strongest place, each with its own scale. "
    "Green: p is at most 0.05, corrected for all voxels."
)
_MOST = 60


def report_group(
    config: ExplainConfig,
    card: ModelCard,
    given: Gathered,
    maps: Sequence[GroupMap],
    tables: Mapping[str, Sequence[tuple[object, ...]]],
    failures: Sequence[Failure],
) -> Path:
    """Write the panel and ``report.html`` of a cohort into the run folder.

    Parameters
    ----------
    config, card
        Of the run and its model.
    given, maps
        Maps of people, and what groups have in common.
    tables
        Rows of ``clusters``, ``regions`` and ``members``.
    failures
        Scans without a map.
    """
    lost = html_table(("scan", "reason"), [(one.item, one.reason) for one in failures])
    header = ("scan", "participant", "group", f"prediction ({card.unit})")
    members = html_table(header, tables["members"][:_MOST])
    facts = {"model, SHA-256": card.sha256}
    if config.regions and Path(config.regions).is_file():
        facts["regions, SHA-256"] = sha256_of(Path(config.regions))
    parts = (
        warning(""),
        section(
            "What came out", statements(group_statements(config, card, given, maps))
        ),
        section("What failed", lost),
        section(
            "Maps",
            embedded(draw_groups(config, card, given, maps), _CAPTION),
            paragraph(rule_of(config), small=True),
            paragraph(NOT_DISEASE, small=True),
        ),
        section("Clusters", html_table(CLUSTER_COLUMNS, tables["clusters"][:_MOST])),
        section("Regions", html_table(REGION_COLUMNS, tables["regions"][:_MOST])),
        section("Groups", _groups(given, maps)),
        section("Scans", members),
        section("Model", statements([f"It learned from {trained_on(card.cohort)}."])),
        provenance("explain", config, facts, software_versions()),
    )
    method = config.method.replace("_", " ").capitalize()
    title = f"{method} maps of {len(given.participants)} participants"
    return write_page(config.output / REPORT, title, parts)


def draw_groups(
    config: ExplainConfig, card: ModelCard, given: Gathered, maps: Sequence[GroupMap]
) -> Path:
    """Draw the panel of a cohort, a row for each map; return the PNG."""
    unit = unit_of(config, card)
    label = f"change ({unit})" if config.method == "occlusion" else unit
    rows = [
        PanelMap(
            given.volume(one.effect),
            given.anatomy,
            given.affine,
            given.brain,
            label,
            outline=significant(given, one),
        )
        for one in maps
    ]
    names = [f"{one.name}\nn = {' / '.join(map(str, one.n))}" for one in maps]
    with style():
        figure = draw_panel([[one] for one in rows], names, [card.label])
        return save_figure(figure, config.output / FIGURES, "group_panel")


def group_statements(
    config: ExplainConfig, card: ModelCard, given: Gathered, maps: Sequence[GroupMap]
) -> list[str]:
    """Say of each map where it is strongest, and how sure that is."""
    unit = unit_of(config, card)
    said = [_statement(one, given, unit) for one in maps]
    if len(given.participants) < 10:
        said.append(
            f"With {len(given.participants)} participants, a test by shuffling can "
            "hardly find anything."
        )
    return said


def _statement(one: GroupMap, given: Gathered, unit: str) -> str:
    strongest = int(np.abs(one.effect).argmax())
    place = np.argwhere(given.brain)[strongest]
    x, y, z = given.affine[:3, :3] @ place + given.affine[:3, 3]
    people = " and ".join(map(str, one.n))
    kind = "mean of" if one.name == ALL else "mean of group"
    what = (
        f"The {kind} {one.name}" if one.se is not None else f"The difference {one.name}"
    )
    start = (
        f"{what} ({people} participants) is strongest around MNI ({x:.0f}, {y:.0f}, "
        f"{z:.0f}) mm: {one.effect[strongest]:+.3g} {unit}."
    )
    if not np.isfinite(one.p).any():
        return f"{start} There was no test."
    size = significant(given, one).sum() * abs(np.linalg.det(given.affine[:3, :3]))
    least = float(np.nanmin(one.p))
    if not size:
        return (
            f"{start} Nothing is significant: the smallest corrected p is {least:.2g}."
        )
    return (
        f"{start} In {size:,.0f} mm³ p is at most {LEVEL:g}, corrected for all voxels."
    )


def _groups(given: Gathered, maps: Sequence[GroupMap]) -> str:
    rows = [(one.name, " / ".join(map(str, one.n)), one.shuffles) for one in maps]
    note = (
        "Scans of one participant are averaged first. Means are tested by flipping "
        "signs, differences by exchanging participants; p is by the largest |t| over "
        "all voxels (Nichols and Holmes 2002), for differences of more than two groups "
        "also times their number. A brain voxel is one in half of the scans."
    )
    return html_table(("map", "participants", "shuffles"), rows, note=note)
