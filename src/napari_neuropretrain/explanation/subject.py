"""Whose map it is, and how its files are named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.explanation.region_table import RegionRow
from napari_neuropretrain.preprocessing.derivatives import Derivative
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


@dataclass(frozen=True, eq=False)
class Written:
    """What is there of one scan.

    Parameters
    ----------
    paths
        Files by kind.
    described
        How the map was made, with its numbers.
    clusters
        Rows of `region_clusters.COLUMNS`.
    rows
        What the map says about each region; empty without regions.
    """

    paths: dict[str, Path]
    described: dict[str, Any]
    clusters: list[tuple[object, ...]]
    rows: list[RegionRow]
