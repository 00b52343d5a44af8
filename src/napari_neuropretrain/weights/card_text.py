"""Model cards for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from napari_neuropretrain.config.contract import PreprocessingContract, name_shape
from napari_neuropretrain.weights.model_card import CohortSummary, ModelCard

if TYPE_CHECKING:  # it loads torch, which the plugin does without
    from napari_neuropretrain.weights.encoder_file import EncoderCard

RESEARCH_USE = (
    "For research use only. Not a medical device: not for diagnosis, treatment or any "
    "decision about a person."
)
_SMALL_TEST = 100


def describe_model(card: ModelCard) -> str:
    """Write the card of a model: data, metrics, contract, limits, licence."""
    sections = {
        "": _headline(card),
        "Data": _data(card.cohort),
        "Metrics": _metrics(card),
        "Input it needs (contract)": _contract(card.contract),
        "Training": _training(card),
        "Limits": _limits(card),
        "Licence": [card.licence or "Not stated. Ask whoever trained it."],
        "Use": [RESEARCH_USE],
        "File": _file(card.versions, card.created, card.sha256),
    }
    return _sections(sections)


def describe_encoder(card: EncoderCard) -> str:
    """Write the card of an imported encoder."""
    coverage = card.coverage
    filled = (
        f"{coverage.get('values_filled', 0):,} of {coverage.get('values_total', 0):,} "
        f"values, {len(coverage.get('matched', ()))} tensors, importer {card.importer}"
    )
    kinds = {"missing": "stay random", "misshapen": "stay random, another shape"}
    others = [
        f"{len(coverage[kind])} {what}: {_few(coverage[kind])}"
        for kind, what in kinds.items()
        if coverage.get(kind)
    ]
    if fresh := coverage.get("fresh"):
        reasons = ", ".join(sorted(set(fresh.values())))
        others.append(f"{len(fresh)} start fresh ({reasons}): {_few(fresh)}")
    reshaped = sorted(set(coverage.get("reshaped", {}).values()))
    sections = {
        "": [f"Encoder: {card.title}", f"network: {card.backbone.name}, no head"],
        "Options": _options(card.backbone.options),
        "Data": [card.trained_on or "not known"],
        "Intended input": [
            card.preprocessing or "not known",
            f"shape {card.shape}" if card.shape else "",
        ],
        "Import": [filled, *others, *reshaped],
        "Limits": [
            "It gives features, not predictions: fine-tune it on labelled scans.",
            card.note,
        ],
        "Licence": [card.licence or "not known", f"cite: {card.citation or '?'}"],
        "Use": [RESEARCH_USE],
        "File": [
            f"source {card.source}",
            f"source sha256 {card.source_sha256}",
            *_file(card.versions, card.created, card.sha256),
        ],
    }
    return _sections(sections)


def describe_contract(contract: PreprocessingContract) -> str:
    """Say in one line what a volume must have been through."""
    return (
        f"T1, brain only, {contract.registration.dof} degrees of freedom to "
        f"{contract.template}, {contract.spacing_mm:g} mm, "
        f"{name_shape(contract.shape)} voxels, {contract.intensity}"
    )


def _headline(card: ModelCard) -> list[str]:
    unit = f" in {card.unit}" if card.unit else ""
    kinds = {"binary": "a probability", "regression": f"a number{unit}"}
    return [
        f"Model for {card.task.name}",
        f"gives {kinds[card.kind]} for the column '{card.label}'",
        f"network: {card.backbone.name}, {card.parameters:,} parameters",
    ]


def _data(cohort: CohortSummary) -> list[str]:
    parts = [
        f"{part} {cohort.participants.get(part, 0)} participants, {scans} scans"
        for part, scans in cohort.scans.items()
    ]
    ages = ""
    if cohort.age_range is not None:
        low, high = cohort.age_range
        ages = f"training ages {low:g} to {high:g} years, mean {cohort.age_mean:g}"
    return [
        *parts,
        ages,
        f"training sexes: {_counts(cohort.sexes)}" if cohort.sexes else "",
        f"training sites: {_counts(cohort.sites)}" if cohort.sites else "",
        "" if cohort.scans else "not recorded",
    ]


def _metrics(card: ModelCard) -> list[str]:
    lines = [
        f"{part}: {_numbers(values)}"
        for part, values in card.metrics.items()
        if isinstance(values, Mapping) and part != "baselines"
    ]
    for name, values in card.metrics.get("baselines", {}).items():
        lines.append(f"{name}: {_numbers(values)}")
    if card.threshold is not None:
        lines.append(f"called positive from {card.threshold:.3f} (from validation)")
    return lines or ["not recorded"]


def _contract(contract: PreprocessingContract) -> list[str]:
    dumped = contract.model_dump(mode="json")
    return [f"{name}: {text}" for name, text in _flat(dumped)]


def _training(card: ModelCard) -> list[str]:
    options = _options(card.backbone.options)
    return [*(f"{name}: {text}" for name, text in _flat(card.training)), *options]


def _limits(card: ModelCard) -> list[str]:
    cohort, lines = card.cohort, []
    if cohort.age_range is not None:
        low, high = cohort.age_range
        lines.append(f"Outside {low:g} to {high:g} years it guesses.")
    tested = card.metrics.get("test", {})
    if isinstance(tested, Mapping) and 0 < tested.get("n", 0) < _SMALL_TEST:
        lines.append(f"Tested on {tested['n']} scans only: its metrics are uncertain.")
    if len(cohort.sites) < 2:
        lines.append("Trained on one site, or sites are not known: others may differ.")
    if len(cohort.sexes) == 1:
        lines.append(f"Trained on one sex only ({next(iter(cohort.sexes))}).")
    lines.append("Scans must be preprocessed exactly as the contract says.")
    return lines


def _file(versions: Mapping[str, str], created: str, sha256: str) -> list[str]:
    made = ", ".join(f"{name} {number}" for name, number in versions.items())
    return [f"made {created or '?'} with {made or '?'}", f"sha256 {sha256 or '?'}"]


def _options(options: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {text}" for name, text in _flat(options)] or ["none"]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, _text(value)


def _numbers(values: Mapping[str, Any]) -> str:
    """Write metrics in one line, each with its interval where it has one."""
    intervals = values.get("intervals") or {}
    shown = []
    for name, value in values.items():
        if name == "intervals":
            continue
        limits = intervals.get(name)
        text = f" ({_text(limits[0])} to {_text(limits[1])})" if limits else ""
        shown.append(f"{name} {_text(value)}{text}")
    return ", ".join(shown)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        # A shape is written with crosses, any other list with commas.
        is_shape = len(value) == 3 and all(isinstance(one, int) for one in value)
        link = "x" if is_shape else ", "
        return link.join(_text(one) for one in value)
    return "none" if value is None else str(value)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items())


def _few(names: Iterable[str], shown: int = 4) -> str:
    listed = list(names)
    return ", ".join(listed[:shown]) + (", …" if len(listed) > shown else "")


def _sections(sections: Mapping[str, list[str]]) -> str:
    blocks = []
    for title, lines in sections.items():
        given = [line for line in lines if line]
        if not title:
            blocks.append("\n".join(given))
        elif given:
            blocks.append("\n".join([title, *(f"  {line}" for line in given)]))
    return "\n\n".join(blocks)
