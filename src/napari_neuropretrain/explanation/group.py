"""Maps of a whole cohort: one for each scan, then what groups have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.data.participants import Cohort, Scan
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import CohortError, ConfigError
from napari_neuropretrain.explanation.description import target_of, unit_of
from napari_neuropretrain.explanation.group_maps import (
    Gathered,
    GroupMap,
    Member,
    compare_groups,
    gather_maps,
    groups_of,
)
from napari_neuropretrain.explanation.group_output import (
    CLUSTER_COLUMNS,
    REGION_COLUMNS,
    group_clusters,
    group_regions,
    write_group_maps,
    write_rows,
)
from napari_neuropretrain.explanation.group_report import (
    group_statements,
    report_group,
)
from napari_neuropretrain.explanation.group_scans import (
    Explain,
    Explained,
    explain_each,
)
from napari_neuropretrain.explanation.output import regions_of
from napari_neuropretrain.explanation.regions import strongest_threshold
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report
from napari_neuropretrain.reporting.safely import write_safely
from napari_neuropretrain.weights.model_card import ModelCard


def explain_cohort(
    config: ExplainConfig,
    card: ModelCard,
    cohort: Cohort,
    explain: Explain,
    report: Report,
) -> Outcome:
    """Explain each scan that is not explained yet, and compare groups.

    Parameters
    ----------
    config
        Scans, groups and how maps are made.
    card
        Of the model.
    cohort
        With a table, where groups are asked for.
    explain
        Explains one scan.
    report
        Hears of each scan; may raise `Cancelled`, and finished scans are kept.

    Returns
    -------
    Outcome
        What the maps have in common; scans without one are its failures.

    Raises
    ------
    ConfigError
        If scans or groups are asked for that the cohort lacks.
    CohortError
        If there is no map at all.
    """
    scans = chosen_scans(cohort, config.scans)
    groups = groups_of(scans, config.group_by, card) if config.group_by else {}
    members, failures = explain_each(config, card, scans, explain, report)
    failures = [*cohort.problems, *failures]
    if not members:
        reasons = "; ".join(f"{one.item}: {one.reason}" for one in failures[:3])
        raise CohortError(f"None of {len(scans)} scans could be explained. {reasons}")
    report(Progress("step", "Comparing"))
    affine = read_derivative(members[0].preprocessed).affine
    given = gather_maps([one.member for one in members], groups, affine)
    options = card.task.options
    maps = compare_groups(given, config.permutations, options.get("positive", ()))
    return _finish(config, card, given, maps, members, groups, failures, report)


def chosen_scans(cohort: Cohort, names: Sequence[str]) -> tuple[Scan, ...]:
    """Return the scans of a cohort that were asked for by participant or key.

    Raises
    ------
    ConfigError
        If one is not there.
    """
    known = {name for one in cohort.scans for name in (one.key, one.participant)}
    if missing := [name for name in names if name not in known]:
        some = ", ".join(one.key for one in cohort.scans[:3])
        raise ConfigError(
            f"scans: '{cohort.root}' has no {', '.join(missing)}. It has {some}, ..."
        )
    return tuple(
        one
        for one in cohort.scans
        if not names or one.key in names or one.participant in names
    )


def _finish(
    config: ExplainConfig,
    card: ModelCard,
    given: Gathered,
    maps: Sequence[GroupMap],
    members: Sequence[Explained],
    groups: dict[str, str],
    failures: Sequence[Failure],
    report: Report,
) -> Outcome:
    """Write maps, tables and the page, and tell a viewer of the mean map."""
    output = config.output
    shape = given.brain.shape
    regions = regions_of(config, given.affine, shape)
    files = write_group_maps(output, config.method, given, maps)
    clusters = [row for one in maps for row in group_clusters(given, one, regions)]
    positive = card.task.options.get("positive", ())
    tables: dict[str, list[tuple[object, ...]]] = {"clusters": clusters, "regions": []}
    if regions is not None:
        number = config.permutations
        tables["regions"] = group_regions(given, regions, number, positive)
    tables["members"] = [_row(one.member, groups) for one in members]
    names = ("scan", "participant", "group", "prediction")
    paths = {
        "map": files["all"],
        "peaks": write_rows(output / "group_peaks.tsv", CLUSTER_COLUMNS, clusters),
        "members": write_rows(output / "group_members.tsv", names, tables["members"]),
    }
    if regions is not None:
        table = output / "group_regions.tsv"
        paths["regions"] = write_rows(table, REGION_COLUMNS, tables["regions"])
    _announce(config, card, given, files, report)
    page = write_safely(
        lambda: report_group(config, card, given, maps, tables, failures), report
    )
    said = group_statements(config, card, given, maps)
    for one in said:
        report(Progress("metric", one))
    paths |= {} if page is None else {"report": page}
    message = (
        f"{len(members)} scans of {len(given.participants)} participants. {said[0]}"
    )
    results = {name: str(path) for name, path in paths.items()}
    return Outcome(message, tuple(failures), results)


def _row(one: Member, groups: dict[str, str]) -> tuple[object, ...]:
    group = groups.get(one.scan.participant, "n/a")
    return one.scan.key, one.scan.participant, group, f"{one.prediction:.6g}"


def _announce(
    config: ExplainConfig,
    card: ModelCard,
    given: Gathered,
    files: dict[str, Path],
    report: Report,
) -> None:
    effect = read_volume(files["all"]).data
    values = {
        "kind": "occlusion",
        "path": str(files["all"]),
        "scan_map": "",
        "t1": "",
        "template_t1": str(files["anatomy"]),
        "unit": unit_of(config, card),
        "target": target_of(card),
        "strongest_threshold": strongest_threshold(effect, given.brain),
    }
    report(Progress("result", f"Mean map: {files['all'].name}", values=values))
