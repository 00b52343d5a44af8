"""Collect what the steps of the demo left behind."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.bids import PREPROCESSED_SUFFIX
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.explanation.regions import top_share_in_region
from napari_neuropretrain.explanation.subject import EXPLANATION, TEMPLATE_MAP
from napari_neuropretrain.preprocessing.derivatives import Derivative, read_derivative
from napari_neuropretrain.synthesis.template_cohort import effect_regions
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import load_model

Row = dict[str, str]


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything the page shows.

    Parameters
    ----------
    folder
        The demo's output.
    seconds
        Time of each stage.
    participants, predictions, held_out
        Rows of the cohort's table, of the fine-tuning's table, and of ``predict``.
    card
        The model's card.
    scan
        The explained scan.
    occlusion, region
        Its map and the planted region, both (X, Y, Z) on the template's grid.
    explanation
        The JSON beside the map.
    inside, chance
        Share of the strongest voxels in the planted region, and what chance gives.
    """

    folder: Path
    seconds: Mapping[str, float]
    participants: list[Row]
    predictions: list[Row]
    held_out: list[Row]
    card: ModelCard
    scan: Derivative
    occlusion: NDArray[np.float32]
    region: NDArray[np.bool_]
    explanation: dict[str, Any]
    inside: float
    chance: float

    @property
    def test(self) -> list[Row]:
        """Rows of the held-out participants."""
        return [row for row in self.predictions if row["split"] == "test"]

    def sentence(self) -> str:
        """Say how the demo ended."""
        right = sum(row["label"] == row["predicted_label"] for row in self.test)
        return (
            f"{right} of {len(self.test)} held-out participants are told apart "
            f"rightly; {self.inside:.0%} of the strongest 5 % of the occlusion map lie "
            f"in the planted region (chance: {self.chance:.1%}). "
            f"Open '{self.folder / 'report.html'}'."
        )


def gather_findings(
    folder: Path, participant: str, seconds: Mapping[str, float]
) -> Findings:
    """Read the run folders of a finished demo."""
    scan = read_derivative(preprocessed_path(folder, participant))
    explained = folder / "explain"
    occlusion = read_volume(explained / f"{participant}{TEMPLATE_MAP}").data
    contract = scan.contract
    region = effect_regions(contract.shape, contract.spacing_mm)["ad"]
    inside, chance = top_share_in_region(occlusion, scan.brain_mask, region)
    about = explained / f"{participant}{EXPLANATION}"
    return Findings(
        folder=folder,
        seconds=seconds,
        participants=_rows(folder / "cohort" / "participants.tsv"),
        predictions=_rows(folder / "finetune" / "predictions.tsv"),
        held_out=_rows(folder / "predict" / "predictions.tsv"),
        card=load_model(folder / "finetune")[1],
        scan=scan,
        occlusion=occlusion,
        region=region,
        explanation=json.loads(about.read_text(encoding="utf-8")),
        inside=inside,
        chance=chance,
    )


def preprocessed_path(folder: Path, participant: str) -> Path:
    """Return the preprocessed scan of a participant of the demo."""
    anatomy = folder / "preprocessed" / participant / "anat"
    return anatomy / f"{participant}{PREPROCESSED_SUFFIX}"


def _rows(table: Path) -> list[Row]:
    with table.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))
