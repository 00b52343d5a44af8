"""Write a map, what it says about places, and how it was made."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

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
from napari_neuropretrain.explanation.region_table import (
    RegionRow,
    open_regions,
    region_rows,
    regions_table,
)
from napari_neuropretrain.explanation.regions import peaks_table
from napari_neuropretrain.preprocessing.derivatives import Derivative
from napari_neuropretrain.preprocessing.resampling import map_to_scan
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.weights.model_card import ModelCard

TEMPLATE_MAP = "_space-MNI152_desc-occlusion_map.nii.gz"
SCAN_MAP = "_space-T1w_desc-occlusion_map.nii.gz"
EXPLANATION = "_explanation.json"
PEAKS = "_peaks.tsv"
REGIONS = "_regions.tsv"
RANDOM_MAP = "_space-MNI152_desc-randomised_map.nii.gz"


def path_of(config: ExplainConfig, scan: Scan, name: str) -> Path:
    """Return where a map goes: its name says by which method it was made."""
    method = config.method.replace("_", "")
    return config.output / f"{scan.key}{name.replace('occlusion', method)}"


@dataclass(frozen=True, eq=False)
class Subject:
    """Whose map it is."""

    config: ExplainConfig
    card: ModelCard
    scan: Scan
    derivative: Derivative
    source: Path | None
    preprocessed: Path
    began: float


def write_explanation(
    subject: Subject,
    result: OcclusionResult,
    report: Report,
    checks: dict[str, Any] | None = None,
) -> Outcome:
    """Write maps and tables, complete or not.

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
    config, scan, derivative = subject.config, subject.scan, subject.derivative
    source = subject.source
    paths = _write_maps(config, scan, derivative, result.map, source, report)
    described = describe(config, subject.card, derivative, result) | {
        "scan": {"key": scan.key, "path": str(source or scan.path)},
        "seconds": round(time.monotonic() - subject.began, 1),
        "checks": checks,
    }
    paths["explanation"] = config.output / f"{scan.key}{EXPLANATION}"
    write_text(paths["explanation"], json.dumps(described, indent=2) + "\n")
    paths["peaks"] = config.output / f"{scan.key}{PEAKS}"
    write_text(paths["peaks"], peaks_table(strongest_peaks(result, derivative)))
    if config.regions:
        paths["regions"] = config.output / f"{scan.key}{REGIONS}"
        rows = _regions(config, derivative, result)
        write_text(paths["regions"], regions_table(rows))
    _announce(report, paths, source, subject.preprocessed, described)
    results = {name: str(path) for name, path in paths.items()}
    return Outcome(sentence(described), results=results)


def _regions(
    config: ExplainConfig, derivative: Derivative, result: OcclusionResult
) -> list[RegionRow]:
    labels, names = open_regions(
        Path(config.regions), derivative.affine, result.map.shape
    )
    return region_rows(
        result.map, derivative.brain_mask, derivative.affine, labels, names
    )


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


def _announce(
    report: Report,
    paths: dict[str, Path],
    source: Path | None,
    preprocessed: Path,
    described: dict[str, Any],
) -> None:
    """Tell a viewer what there is to show."""
    facts = {
        name: described[name]
        for name in ("unit", "target", "prediction", "strongest_threshold")
    }
    # One event for both maps: a viewer shows the one on the scan if it can.
    shown = {
        "kind": "occlusion",
        "path": str(paths["map"]),
        "scan_map": str(paths.get("scan_map", "")),
        "t1": str(source or ""),
        "template_t1": str(preprocessed),
    }
    message = f"Map: {paths['map'].name}"
    report(Progress("result", message, values=shown | facts))
    values = {"kind": "peaks", "path": str(paths["peaks"])}
    report(Progress("result", f"Peaks: {paths['peaks'].name}", values=values))
