"""Write a map, what it says about places, and how it was made."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike, NDArray

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import read_volume, write_image
from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.explanation.description import (
    describe,
    sentence,
    strongest_peaks,
)
from napari_neuropretrain.explanation.occlusion import OcclusionResult
from napari_neuropretrain.explanation.region_clusters import (
    Regions,
    cluster_rows,
    clusters_table,
)
from napari_neuropretrain.explanation.region_table import (
    RegionRow,
    open_regions,
    region_rows,
    regions_table,
)
from napari_neuropretrain.explanation.report import report_explanation
from napari_neuropretrain.explanation.subject import (
    EXPLANATION,
    PEAKS,
    REGIONS,
    SCAN_MAP,
    TEMPLATE_MAP,
    Subject,
    Written,
    path_of,
)
from napari_neuropretrain.preprocessing.derivatives import Derivative
from napari_neuropretrain.preprocessing.resampling import map_to_scan
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.reporting.safely import write_safely


def write_explanation(
    subject: Subject,
    result: OcclusionResult,
    report: Report,
    checks: dict[str, Any] | None = None,
) -> Outcome:
    """Write maps, tables, panel and page, complete or not, and say what there is.

    Parameters
    ----------
    subject
        Whose map it is.
    result
        The map.
    report
        Is told what there is to show.
    checks
        What `run_checks` found.
    """
    regions = regions_of(subject.config, subject.derivative.affine, result.map.shape)
    written = write_results(subject, result, regions, report, checks)
    _announce(report, written, subject)
    page = write_safely(
        lambda: report_explanation(subject, result.map, written), report
    )
    paths = written.paths | ({} if page is None else {"report": page})
    paths |= {"preprocessed": subject.preprocessed}
    results = {name: str(path) for name, path in paths.items()}
    return Outcome(sentence(written.described), results=results)


def regions_of(
    config: ExplainConfig, affine: ArrayLike, shape: tuple[int, ...]
) -> Regions | None:
    """Return the regions that were asked for on a map's grid, or None."""
    return open_regions(config.regions, affine, shape) if config.regions else None


def write_results(
    subject: Subject,
    result: OcclusionResult,
    regions: Regions | None,
    report: Report,
    checks: dict[str, Any] | None = None,
) -> Written:
    """Write maps and tables of one scan.

    Parameters
    ----------
    subject, result, report, checks
        As of `write_explanation`.
    regions
        On the grid of the map.
    """
    config, scan, derivative = subject.config, subject.scan, subject.derivative
    source = subject.source
    described = describe(config, subject.card, derivative, result) | {
        "scan": {"key": scan.key, "path": str(source or scan.path)},
        "seconds": round(time.monotonic() - subject.began, 1),
        "checks": checks,
    }
    paths = _write_maps(config, scan, derivative, result.map, source, report)
    peaks = strongest_peaks(result, derivative)
    clusters = cluster_rows(peaks, derivative.affine, regions)
    paths["peaks"] = config.output / f"{scan.key}{PEAKS}"
    write_text(paths["peaks"], clusters_table(clusters))
    rows: list[RegionRow] = []
    if regions is not None:
        brain, affine = derivative.brain_mask, derivative.affine
        rows = region_rows(result.map, brain, affine, *regions)
        paths["regions"] = config.output / f"{scan.key}{REGIONS}"
        write_text(paths["regions"], regions_table(rows))
    # Last: whoever finds it finds the rest.
    paths["explanation"] = config.output / f"{scan.key}{EXPLANATION}"
    write_text(paths["explanation"], json.dumps(described, indent=2) + "\n")
    return Written(paths, described, clusters, rows)


def _write_maps(
    config: ExplainConfig,
    scan: Scan,
    derivative: Derivative,
    occlusion: NDArray[Any],
    source: Path | None,
    report: Report,
) -> dict[str, Path]:
    """Write the map on the template, and on the scan where the scan is there."""
    template = path_of(config, scan, TEMPLATE_MAP)
    paths = {"map": write_image(template, occlusion, derivative.affine)}
    try:
        if source is None:
            raise ImageError("Its JSON names no source.")
        volume = read_volume(source)
    except ImageError as error:
        message = (
            f"The scan that '{scan.path}' was made from cannot be read, so the map is "
            f"written on the template only. {error}"
        )
        report(Progress("warning", message))
        return paths
    moved = map_to_scan(
        occlusion,
        derivative.affine,
        derivative.transform,
        volume.affine,
        volume.data.shape,
    )
    own = path_of(config, scan, SCAN_MAP)
    native = volume.to_native(moved)
    return paths | {"scan_map": write_image(own, native, volume.native_affine)}


def _announce(report: Report, written: Written, subject: Subject) -> None:
    """Tell a viewer what there is to show."""
    paths, described = written.paths, written.described
    facts = {
        name: described[name]
        for name in ("unit", "target", "prediction", "strongest_threshold")
    }
    # One event for both maps: a viewer shows the one on the scan if it can.
    shown = {
        "kind": "occlusion",
        "path": str(paths["map"]),
        "scan_map": str(paths.get("scan_map", "")),
        "t1": str(subject.source or ""),
        "template_t1": str(subject.preprocessed),
    }
    message = f"Map: {paths['map'].name}"
    report(Progress("result", message, values=shown | facts))
    values = {"kind": "peaks", "path": str(paths["peaks"])}
    report(Progress("result", f"Peaks: {paths['peaks'].name}", values=values))
