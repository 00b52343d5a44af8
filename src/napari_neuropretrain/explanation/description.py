"""What the reader of an occlusion map needs to know beside it."""

from __future__ import annotations

from typing import Any

from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.explanation import attributions
from napari_neuropretrain.explanation.occlusion import OcclusionResult
from napari_neuropretrain.explanation.regions import (
    STRONGEST_SHARE,
    Peak,
    find_peaks,
    strongest_threshold,
)
from napari_neuropretrain.preprocessing.derivatives import Derivative
from napari_neuropretrain.weights.model_card import ModelCard

RULES = {
    "mean": "mean effect of the positions that cover it",
    "strongest": "effect furthest from 0 of the positions that cover it",
}
RULE = (
    "Effect of a position: output for the whole scan minus output with the cube "
    "hidden. Voxel: {}. Positive: hiding the place lowers the output. 0 outside the "
    "brain."
)


def describe(
    config: ExplainConfig,
    card: ModelCard,
    derivative: Derivative,
    result: OcclusionResult,
) -> dict[str, Any]:
    """Return how a map was made, with its numbers, ready for JSON."""
    values = result.map[derivative.brain_mask]
    peaks = strongest_peaks(result, derivative)
    spacing = card.contract.spacing_mm
    return {
        "prediction": result.reference,
        "method": config.method,
        "prediction_unit": output_unit(config, card),
        "unit": unit_of(config, card),
        "target": target_of(card),
        "threshold": card.threshold,
        "patch_mm": config.patch * spacing,
        "stride_mm": config.stride * spacing,
        "baseline": config.baseline,
        "rule": f"{rule_of(config)} {result.note}".strip(),
        "positions": result.positions,
        "skipped_positions": result.skipped,
        "computed_positions": result.computed,
        "error_left": result.error,
        "estimated_correlation": round(result.correlation, 4),
        "complete": result.complete,
        "peak_positive": _first([peak for peak in peaks if peak.value > 0]),
        "peak_negative": _first([peak for peak in peaks if peak.value < 0]),
        "coordinates": "MNI152 RAS mm",
        "strongest_share": STRONGEST_SHARE,
        "strongest_threshold": strongest_threshold(result.map, derivative.brain_mask),
        "share_positive": round(float((values > 0).mean()), 4),
        "share_negative": round(float((values < 0).mean()), 4),
        "model": str(config.model),
        "model_sha256": card.sha256,
    }


def unit_of(config: ExplainConfig, card: ModelCard) -> str:
    """Return the unit of the map."""
    if config.method == "attention_rollout":
        return "share of attention"
    return output_unit(config, card)


def output_unit(config: ExplainConfig, card: ModelCard) -> str:
    """Return the unit of what the model says."""
    return card.unit if config.target == "prediction" else "logit"


def rule_of(config: ExplainConfig) -> str:
    """Say what a voxel of the map means."""
    if config.method == "occlusion":
        return RULE.format(RULES[config.combine])
    return attributions.RULES[config.method]


def strongest_peaks(result: OcclusionResult, derivative: Derivative) -> list[Peak]:
    """Return the peaks of the strongest part of the brain, strongest first."""
    threshold = strongest_threshold(result.map, derivative.brain_mask)
    return find_peaks(result.map, derivative.affine, threshold)


def target_of(card: ModelCard) -> str:
    """Name what the output is about, for example ``diagnosis: AD``."""
    if card.kind == "regression":
        return card.label
    positive = card.task.options.get("positive") or ["positive"]
    return f"{card.label}: {positive[0]}"


def sentence(described: dict[str, Any]) -> str:
    """Say in two sentences what was found: the stronger of both signs first.

    Parameters
    ----------
    described
        What ``<scan>_explanation.json`` holds.
    """
    said = f"{described['prediction']:.3g} {described['prediction_unit']}"
    first = f"{described['target']}: {said}."
    found = [described["peak_positive"], described["peak_negative"]]
    peaks = sorted(
        (one for one in found if one), key=lambda one: -float(abs(one["value"]))
    )
    if not peaks:
        return f"{first} No place changes it when hidden."
    if described["method"] != "occlusion":
        return f"{first} The strongest place is around {_place(peaks[0])}."
    changes = [
        f"around {_place(peak)} {'lowers' if peak['value'] > 0 else 'raises'} it most, "
        f"by {abs(peak['value']):.3g} {described['unit']}"
        for peak in peaks
    ]
    return f"{first} Hiding the place {'; '.join(changes)}."


def _place(peak: dict[str, float]) -> str:
    axes = ", ".join(f"{peak[axis]:.0f}" for axis in ("x_mm", "y_mm", "z_mm"))
    return f"MNI ({axes}) mm"


def _first(peaks: list[Peak]) -> dict[str, float] | None:
    return dict(vars(peaks[0])) if peaks else None
