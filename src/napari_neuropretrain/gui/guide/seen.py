"""What a finished step of the guided path shows; read in a background thread."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_neuropretrain.config.jobs import DemoConfig
from napari_neuropretrain.data.bids import PREPROCESSED_SUFFIX
from napari_neuropretrain.data.quality import VERDICTS, read_quality
from napari_neuropretrain.demo.steps import choose_participant, read_rows
from napari_neuropretrain.gui.prediction.words import read_report
from napari_neuropretrain.gui.reader import BRAIN_MASK, PREPROC, read_layers
from napari_neuropretrain.gui.scans.scan_pair import EDGES_NAME, pair_layers

if TYPE_CHECKING:
    from napari_neuropretrain.gui.scans.layers import LayerData

REGION = "planted region"


@dataclass(frozen=True)
class Seen:
    """What to show of a finished step.

    Parameters
    ----------
    sentences
        What happened, with numbers.
    layers
        Layers to add, bottom first.
    meanings
        What each layer is, by its name.
    report
        Predictions, as in ``predictions.json``.
    """

    sentences: list[str]
    layers: list[LayerData] = field(default_factory=list)
    meanings: dict[str, str] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)


def look_at(name: str, config: DemoConfig) -> Seen:
    """Gather numbers and layers of a finished step.

    Raises
    ------
    NeuropretrainError
        If a file is missing or cannot be read.
    """
    return _LOOKS[name](config)


def _cohort(config: DemoConfig) -> Seen:
    folder = config.output / "cohort"
    people = read_rows(folder / "participants.tsv")
    groups = Counter(row["diagnosis"] for row in people)
    ages = sorted(float(row["age"]) for row in people)
    women = sum(row["sex"] == "F" for row in people)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(groups.items()))
    name = people[0]["participant_id"]
    layers = read_layers(folder / name / "anat" / f"{name}_T1w.nii.gz")
    return Seen(
        [
            f"{len(people)} heads: {counts}; {women} women, {len(people) - women} men, "
            f"{ages[0]:.0f} to {ages[-1]:.0f} years."
        ],
        layers,
        {_name(layers[0]): "a raw head as the scanner gave it, with skull and neck"},
    )


def _preprocess(config: DemoConfig) -> Seen:
    folder = config.output / "preprocessed"
    rows = read_quality(folder).values()
    verdicts = [row.final for row in rows]
    counts = ", ".join(f"{verdicts.count(one)} {one}" for one in VERDICTS)
    dice = sorted(row.measures.get("dice", 0.0) for row in rows)
    name = read_rows(config.output / "cohort" / "participants.tsv")[0]["participant_id"]
    layers = pair_layers(_preproc(config, name))
    return Seen(
        [
            f"{len(verdicts)} scans, verdict of the quality control: {counts}.",
            f"Dice of brain and template: {dice[0]:.3f} to {dice[-1]:.3f}; 1 is best.",
        ],
        layers,
        {_name(layer): _meaning(_name(layer)) for layer in layers},
    )


def _meaning(name: str) -> str:
    """Say what a layer before or after preprocessing is."""
    if name.startswith(EDGES_NAME):
        return "after: lines of the template, which the brain should follow"
    if PREPROC in name:
        return "after: the brain alone, on the template, evened in brightness"
    if BRAIN_MASK in name:
        return "before: the outline of what was taken for brain"
    return "before: the raw head"


def _finetune(config: DemoConfig) -> Seen:
    folder = config.output / "finetune"
    rows = read_rows(folder / "predictions.tsv")
    parts = Counter(row["split"] for row in rows)
    test = [row for row in rows if row["split"] == "test"]
    right = sum(row["label"] == row["predicted_label"] for row in test)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["test"]
    return Seen(
        [
            f"Learned from {parts['train']} people, chose the epoch by "
            f"{parts['validation']}, and was tested on {parts['test']}.",
            f"Test: {right} of {len(test)} told apart rightly, ROC-AUC "
            f"{metrics['roc_auc']:.2f} (0.5 is chance, 1 is best). So few people show "
            "that it works, not how well.",
        ],
        meanings={"The curves": "loss of each epoch; the dotted line is the one kept"},
    )


def _predict(config: DemoConfig) -> Seen:
    folder = config.output / "predict"
    report = read_report(folder)
    truth = {
        row["participant_id"]: row["label"]
        for row in read_rows(config.output / "finetune" / "predictions.tsv")
    }
    found = report["predictions"]
    right = sum(one["label"] == truth.get(one["participant"]) for one in found)
    layers = read_layers(Path(found[0]["path"]))
    told = ", ".join(
        f"{one['participant']} is {truth[one['participant']]}" for one in found
    )
    return Seen(
        [f"{right} of {len(found)} held-out people are right. In truth {told}."],
        layers,
        {_name(layers[0]): "what the network was given of the first of them"},
        report,
    )


def _explain(config: DemoConfig) -> Seen:
    """Show the map over its scan, with the region where the effect was planted."""
    from napari_neuropretrain.explanation.regions import top_share_in_region
    from napari_neuropretrain.gui.scans.layers import mask_layer
    from napari_neuropretrain.synthesis.template_cohort import effect_regions

    name = choose_participant(config.output / "finetune" / "predictions.tsv")
    explained = config.output / "explain"
    note = explained / f"{name}_explanation.json"
    about = json.loads(note.read_text(encoding="utf-8"))
    scan = read_layers(_preproc(config, name))
    heat = read_layers(explained / f"{name}_space-MNI152_desc-occlusion_map.nii.gz")
    # napari's arrays are (z, y, x).
    occlusion = heat[0][0].transpose(2, 1, 0)
    brain = read_layers(_mask(config, name))[0][0].transpose(2, 1, 0) > 0
    affine = scan[0][1]["metadata"]["affine"]
    spacing_mm = float(abs(affine[0][0]))
    x, y, z = occlusion.shape
    region = effect_regions((x, y, z), spacing_mm)["ad"]
    inside, chance = top_share_in_region(occlusion, brain, region)
    planted = mask_layer(region, affine, REGION)
    return Seen(
        [
            f"{name}: probability of AD {about['prediction']:.2f}; a cube of "
            f"{about['patch_mm']:g} mm was hidden {about['positions']} times.",
            f"{100 * inside:.0f} % of the strongest 5 % of the map lie where the "
            f"effect was planted, which fills {100 * chance:.1f} % of the brain: "
            f"{inside / max(chance, 1e-9):.1f} times chance.",
        ],
        [*scan, *heat, planted],
        {
            _name(scan[0]): "the preprocessed scan",
            _name(heat[0]): "red: hiding it lowers the probability; blue: raises it",
            REGION: "outline of where tissue was taken away",
        },
    )


_LOOKS: dict[str, Callable[[DemoConfig], Seen]] = {
    "cohort": _cohort,
    "preprocess": _preprocess,
    "finetune": _finetune,
    "predict": _predict,
    "explain": _explain,
}


def _preproc(config: DemoConfig, name: str) -> Path:
    folder = config.output / "preprocessed" / name / "anat"
    return folder / f"{name}{PREPROCESSED_SUFFIX}"


def _mask(config: DemoConfig, name: str) -> Path:
    preproc = _preproc(config, name)
    return preproc.with_name(preproc.name.replace("_desc-preproc_T1w", BRAIN_MASK))


def _name(layer: LayerData) -> str:
    return str(layer[1]["name"])
