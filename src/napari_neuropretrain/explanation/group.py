"""Maps of a whole cohort: one for each scan, then what groups have in common."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.data.participants import Cohort, Scan
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import Cancelled, CohortError, ConfigError
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
from napari_neuropretrain.explanation.output import regions_of
from napari_neuropretrain.explanation.regions import strongest_threshold
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report
from napari_neuropretrain.reporting.safely import write_safely
from napari_neuropretrain.weights.model_card import ModelCard

Explain: TypeAlias = Callable[[ExplainConfig, Scan, Report], Outcome]
"""Explains one scan into the output of its settings."""
SCANS, DONE = "scans", "done.json"
_FREE = {"input", "output", "device", "threads", "batch_size", "regions", "scans"}
_FREE |= {"group_by", "permutations", "model", "others"}
"""Settings that do not change the map of a scan."""
_BEAT_S = 2.0


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
    members, failures = _explain_each(config, card, scans, explain, report)
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


@dataclass(frozen=True, eq=False)
class _Explained:
    member: Member
    preprocessed: Path


def _explain_each(
    config: ExplainConfig,
    card: ModelCard,
    scans: Sequence[Scan],
    explain: Explain,
    report: Report,
) -> tuple[list[_Explained], list[Failure]]:
    """Explain what is missing; one bad scan never stops the others."""
    found: list[_Explained] = []
    failures: list[Failure] = []
    for number, scan in enumerate(scans, 1):
        own = config.replace(output=config.output / SCANS / scan.key, scans=())
        try:
            done = _results(own, card, scan)
            if done is None:
                outcome = explain(own, scan, _Quiet(report))
                done = _note(own, card, scan, outcome)
            one = _read(scan, done)
            if found and one.member.values.shape != found[0].member.values.shape:
                raise ConfigError("Its map is on another grid than those before.")
            found.append(one)
            report(Progress("item_done", scan.key, number, len(scans)))
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            failures.append(Failure(scan.key, str(error) or type(error).__name__))
            message = f"{scan.key}: {failures[-1].reason}"
            report(Progress("item_failed", message, number, len(scans)))
    return found, failures


class _Quiet:
    """Passes warnings on, and of all else only that something goes on."""

    def __init__(self, report: Report) -> None:
        self._report, self._last = report, time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if progress.state == "warning":
            self._report(progress)
        elif time.monotonic() - self._last > _BEAT_S:
            self._last = time.monotonic()
            self._report(Progress("heartbeat"))


def _settings(config: ExplainConfig, card: ModelCard, scan: Scan) -> dict[str, Any]:
    settings = config.model_dump(mode="json", exclude=_FREE)
    others = [str(one) for one in config.others]
    return settings | {
        "model_sha256": card.sha256,
        "scan": str(scan.path),
        "others": others,
    }


def _results(
    config: ExplainConfig, card: ModelCard, scan: Scan
) -> dict[str, str] | None:
    """Return the files of a scan that was explained with these settings, or None."""
    note = config.output / DONE
    if not note.is_file():
        return None
    known = json.loads(note.read_text(encoding="utf-8"))
    results: dict[str, str] = known["results"]
    there = all(Path(results[name]).is_file() for name in ("map", "preprocessed"))
    same = known["settings"] == _settings(config, card, scan)
    return results if same and there else None


def _note(
    config: ExplainConfig, card: ModelCard, scan: Scan, outcome: Outcome
) -> dict[str, str]:
    results = dict(outcome.results)
    noted = {"settings": _settings(config, card, scan), "results": results}
    write_text(config.output / DONE, json.dumps(noted, indent=2) + "\n")
    return results


def _read(scan: Scan, results: dict[str, str]) -> _Explained:
    preprocessed = Path(results["preprocessed"])
    derivative = read_derivative(preprocessed)
    described = json.loads(Path(results["explanation"]).read_text(encoding="utf-8"))
    values = read_volume(results["map"]).data
    anatomy = derivative.image.astype(np.float32)
    one = Member(
        scan, values, anatomy, derivative.brain_mask, float(described["prediction"])
    )
    return _Explained(one, preprocessed)


def _finish(
    config: ExplainConfig,
    card: ModelCard,
    given: Gathered,
    maps: Sequence[GroupMap],
    members: Sequence[_Explained],
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
