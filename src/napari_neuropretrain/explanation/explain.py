"""The job that shows what a trained model looked at in one scan."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.data.participants import Scan, read_cohort
from napari_neuropretrain.data.volumes import read_volume, write_image
from napari_neuropretrain.errors import (
    Cancelled,
    CohortError,
    ConfigError,
    ImageError,
)
from napari_neuropretrain.explanation.adaptive import Refinement
from napari_neuropretrain.explanation.checking import Checked, run_checks
from napari_neuropretrain.explanation.description import (
    describe,
    sentence,
    strongest_peaks,
)
from napari_neuropretrain.explanation.hiders import Predictor
from napari_neuropretrain.explanation.occlusion import (
    Manner,
    OcclusionResult,
    occlusion_map,
)
from napari_neuropretrain.explanation.region_table import (
    RegionRow,
    open_regions,
    region_rows,
    regions_table,
)
from napari_neuropretrain.explanation.regions import peaks_table
from napari_neuropretrain.inference.predict import output_reader
from napari_neuropretrain.inference.prepare import prepare_scan
from napari_neuropretrain.preprocessing.derivatives import Derivative
from napari_neuropretrain.preprocessing.resampling import map_to_scan
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.weights.device import find_device
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import load_model

TEMPLATE_MAP = "_space-MNI152_desc-occlusion_map.nii.gz"
SCAN_MAP = "_space-T1w_desc-occlusion_map.nii.gz"
EXPLANATION = "_explanation.json"
PEAKS = "_peaks.tsv"
REGIONS = "_regions.tsv"
RANDOM_MAP = "_space-MNI152_desc-randomised_map.nii.gz"


def explain(config: ExplainConfig, report: Report) -> Outcome:
    """Write the occlusion map of one scan, on the template and on the scan.

    Raises
    ------
    CohortError
        If the input is not exactly one scan.
    NeuropretrainError
        If the model or the scan cannot be used.
    """
    began = time.monotonic()
    torch.set_num_threads(config.threads)
    scan, raw = _one_scan(config.input)
    network, card = load_model(config.model)
    made = config.output / "preprocessed"
    preprocessed, derivative = prepare_scan(
        scan.path, card.contract, made, report, config.threads
    )
    source = scan.path if raw else _source(derivative)
    subject = _Subject(config, card, scan, derivative, source, preprocessed, began)
    preview = _Preview(config.output / f"{scan.key}{TEMPLATE_MAP}", derivative, report)
    try:
        result, made_of = _occlude(config, network, card, derivative, report, preview)
    except Cancelled:
        if preview.last is not None:
            with contextlib.suppress(Cancelled):
                _write(subject, preview.last, report)
        raise
    checks: dict[str, Any] | None = None
    if config.checks:
        # The map is safe if someone has no patience for its checks.
        preview(result)
        checks, random = run_checks(made_of, report)
        beside = config.output / f"{scan.key}{RANDOM_MAP}"
        write_image(beside, random, derivative.affine)
        for doubt in checks["doubts"]:
            report(Progress("warning", doubt))
    return _write(subject, result, report, checks)


@dataclass(frozen=True, eq=False)
class _Subject:
    """Whose map it is."""

    config: ExplainConfig
    card: ModelCard
    scan: Scan
    derivative: Derivative
    source: Path | None
    preprocessed: Path
    began: float


class _Preview:
    """Writes the map so far over the one before, and says where."""

    def __init__(self, path: Path, derivative: Derivative, report: Report) -> None:
        self.last: OcclusionResult | None = None
        self._path, self._affine, self._report = path, derivative.affine, report

    def __call__(self, partial: OcclusionResult) -> None:
        self.last = partial
        write_image(self._path, partial.map, self._affine)
        self._report(Progress("step", values={"preview": str(self._path)}))


def _write(
    subject: _Subject,
    result: OcclusionResult,
    report: Report,
    checks: dict[str, Any] | None = None,
) -> Outcome:
    """Write maps and tables, complete or not."""
    config, scan, derivative = subject.config, subject.scan, subject.derivative
    source = subject.source
    paths = _write_maps(config.output, scan, derivative, result.map, source, report)
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


def predictor(
    network: nn.Module,
    card: ModelCard,
    device: torch.device,
    target: Literal["prediction", "logit"] = "prediction",
) -> Predictor:
    """Return a function from volumes (B, 1, X, Y, Z) to the task's output (B,).

    Raises
    ------
    ConfigError
        If a model that predicts a number is asked for its logit.
    """
    if target == "logit" and card.kind == "regression":
        raise ConfigError(
            f"target: 'logit' was given, but this model predicts {card.label} in "
            f"{card.unit} and has no logit. Leave it at 'prediction'."
        )
    read = output_reader(card) if target == "prediction" else _as_it_is
    network = network.to(device).eval()
    if device.type == "cpu":
        # 1.6 times as fast for 3D convolutions; torch's own types forgot the keyword.
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return Predictor(network, read)


def _as_it_is(logits: Tensor) -> Tensor:
    return logits


def _one_scan(path: Path) -> tuple[Scan, bool]:
    """Return the scan at `path`, and whether it is raw."""
    cohort = read_cohort(path)
    if len(cohort.scans) != 1:
        some = ", ".join(scan.key for scan in cohort.scans[:3])
        raise CohortError(
            f"input: '{path}' holds {len(cohort.scans)} scans ({some}, ...), but one "
            f"scan is explained at a time. Give one of them, for example "
            f"'{cohort.scans[0].path}'."
        )
    return cohort.scans[0], cohort.kind == "raw"


def _occlude(
    config: ExplainConfig,
    network: nn.Module,
    card: ModelCard,
    derivative: Derivative,
    report: Report,
    preview: _Preview,
) -> tuple[OcclusionResult, Checked]:
    """Return the map, and what it was made of."""
    device = find_device(config.device)
    adaptive = config.positions == "adaptive"
    refinement = Refinement(config.correlation, config.seconds) if adaptive else None
    predict = predictor(network, card, device, config.target)
    image = torch.tensor(derivative.image, dtype=torch.float32, device=device)
    brain = torch.tensor(derivative.brain_mask)
    manner = Manner(config.combine, refinement, derivative.affine)
    result = occlusion_map(
        predict,
        image,
        brain,
        config.patch,
        config.stride,
        config.baseline,
        config.batch_size,
        report,
        manner,
        preview,
    )
    if result.slow_because:
        message = f"The whole network ran for each position: {result.slow_because}."
        report(Progress("warning", message))
    made = Checked(
        predict, image, brain, config.patch, config.baseline, manner, result.map
    )
    return result, made


def _source(derivative: Derivative) -> Path | None:
    """Return the scan that a preprocessed file was made from, if it is known."""
    source = derivative.json.get("Source")
    named = source.get("Path") if isinstance(source, dict) else source
    return Path(named) if named else None


def _write_maps(
    output: Path,
    scan: Scan,
    derivative: Derivative,
    occlusion: NDArray[Any],
    source: Path | None,
    report: Report,
) -> dict[str, Path]:
    """Write the map on the template, and on the scan where the scan is there."""
    template = output / f"{scan.key}{TEMPLATE_MAP}"
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
    own = output / f"{scan.key}{SCAN_MAP}"
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
    message = f"Occlusion map: {paths['map'].name}"
    report(Progress("result", message, values=shown | facts))
    values = {"kind": "peaks", "path": str(paths["peaks"])}
    report(Progress("result", f"Peaks: {paths['peaks'].name}", values=values))
