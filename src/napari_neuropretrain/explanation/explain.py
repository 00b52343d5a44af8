"""The job that shows what a trained model looked at, in a scan or in a cohort."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.data.participants import Scan, read_cohort
from napari_neuropretrain.data.volumes import write_image
from napari_neuropretrain.errors import (
    Cancelled,
    ConfigError,
)
from napari_neuropretrain.explanation.adaptive import Refinement
from napari_neuropretrain.explanation.attributions import attribution_map
from napari_neuropretrain.explanation.baselines import hide_all
from napari_neuropretrain.explanation.checking import Checked, run_checks
from napari_neuropretrain.explanation.description import unit_of
from napari_neuropretrain.explanation.grad_cam import say_stage
from napari_neuropretrain.explanation.group import explain_cohort
from napari_neuropretrain.explanation.hiders import Predictor
from napari_neuropretrain.explanation.occlusion import (
    Manner,
    OcclusionResult,
    occlusion_map,
)
from napari_neuropretrain.explanation.output import write_explanation
from napari_neuropretrain.explanation.stability import load_alike
from napari_neuropretrain.explanation.subject import (
    RANDOM_MAP,
    TEMPLATE_MAP,
    Subject,
    path_of,
)
from napari_neuropretrain.inference.outputs import output_reader
from napari_neuropretrain.inference.prepare import prepare_scan
from napari_neuropretrain.preprocessing.derivatives import Derivative
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.weights.device import find_device
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import load_model

Model: TypeAlias = tuple[nn.Module, ModelCard]


def explain(config: ExplainConfig, report: Report) -> Outcome:
    """Write the map of a scan, on the template and on the scan, or those of a cohort.

    Raises
    ------
    CohortError
        If the input holds no scan.
    NeuropretrainError
        If the model, or the only scan, cannot be used.
    """
    torch.set_num_threads(config.threads)
    cohort = read_cohort(config.input)
    network, card = load_model(config.model)
    others = {Path(one): load_alike(Path(one), card) for one in config.others}

    def one(own: ExplainConfig, scan: Scan, heard: Report) -> Outcome:
        raw = cohort.kind == "raw"
        return _explain_scan(own, (network, card), others, scan, raw, heard)

    if len(cohort.scans) == 1 and not config.scans and not config.group_by:
        return one(config, cohort.scans[0], report)
    return explain_cohort(config, card, cohort, one, report)


def _explain_scan(
    config: ExplainConfig,
    model: Model,
    others: dict[Path, Model],
    scan: Scan,
    raw: bool,
    report: Report,
) -> Outcome:
    """Write the map of one scan."""
    began = time.monotonic()
    network, card = model
    made = config.output / "preprocessed"
    preprocessed, derivative = prepare_scan(
        scan.path, card.contract, made, report, config.threads
    )
    source = scan.path if raw else _source(derivative)
    subject = Subject(config, card, scan, derivative, source, preprocessed, began)
    facts = {"template_t1": str(preprocessed), "unit": unit_of(config, card)}
    preview = _Preview(path_of(config, scan, TEMPLATE_MAP), derivative, report, facts)
    if config.method != "occlusion":
        return write_explanation(
            subject, _attribute(config, network, card, derivative, report), report
        )
    try:
        result, made_of = _occlude(
            config, (network, card), others, derivative, report, preview
        )
    except Cancelled:
        if preview.last is not None:
            with contextlib.suppress(Cancelled):
                write_explanation(subject, preview.last, report)
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
    return write_explanation(subject, result, report, checks)


class _Preview:
    """Writes the map so far over the one before, and says where."""

    def __init__(
        self, path: Path, derivative: Derivative, report: Report, facts: dict[str, str]
    ) -> None:
        self.last: OcclusionResult | None = None
        self._path, self._affine, self._report = path, derivative.affine, report
        self._values = {"preview": str(path), **facts}

    def __call__(self, partial: OcclusionResult) -> None:
        self.last = partial
        write_image(self._path, partial.map, self._affine)
        self._report(Progress("step", values=self._values))


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


def _occlude(
    config: ExplainConfig,
    model: Model,
    others: dict[Path, Model],
    derivative: Derivative,
    report: Report,
    preview: _Preview,
) -> tuple[OcclusionResult, Checked]:
    """Return the map, and what it was made of."""
    device = find_device(config.device)
    adaptive = config.positions == "adaptive"
    refinement = Refinement(config.correlation, config.seconds) if adaptive else None
    predict = predictor(*model, device, config.target)
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
        predict,
        image,
        brain,
        config.patch,
        config.baseline,
        manner,
        result.map,
        config.stride,
        {path: predictor(*one, device, config.target) for path, one in others.items()},
    )
    return result, made


def _attribute(
    config: ExplainConfig,
    network: nn.Module,
    card: ModelCard,
    derivative: Derivative,
    report: Report,
) -> OcclusionResult:
    """Return the map of a method that hides nothing."""
    device = find_device(config.device)
    predict = predictor(network, card, device, config.target)
    image = torch.tensor(derivative.image, dtype=torch.float32, device=device)
    brain = torch.tensor(derivative.brain_mask, device=device)
    hidden = hide_all(image, brain, config.baseline, config.patch, derivative.affine)
    method: Any = config.method
    note = ""
    if method == "grad_cam":
        note, coarse = say_stage(predict, image, config.stage)
        if coarse:
            report(Progress("warning", coarse))
    values = attribution_map(method, predict, image, hidden, brain, config.stage)
    with torch.inference_mode():
        reference = float(predict(image[None, None])[0])
    return OcclusionResult(values, reference, positions=0, note=note)


def _source(derivative: Derivative) -> Path | None:
    """Return the scan that a preprocessed file was made from, if it is known."""
    source = derivative.json.get("Source")
    named = source.get("Path") if isinstance(source, dict) else source
    return Path(named) if named else None
