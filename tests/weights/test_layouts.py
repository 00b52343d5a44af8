"""The key lists of released networks against our full-size backbones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS
from napari_neuropretrain.config.weights_importers import IMPORTERS
from napari_neuropretrain.weights.guessing import layout_of, outline_network
from napari_neuropretrain.weights.search import best_fit
from napari_neuropretrain.weights.target import target_of

REFERENCES = {
    "torchvision_swin": ("swin3d_t_keys.json", ""),
    "yaware_densenet": ("bhb_densenet121_encoder_keys.json", ""),
    "sfcn": ("sfcn_keys.json", "module."),
    "resenc_l": ("openmind_resenc_l_keys.json", ""),
}


def test_the_patterns_are_the_released_key_lists(pinned: tuple[str, str]) -> None:
    written, released = pinned
    assert written == released


@pytest.mark.parametrize("name", list(REFERENCES))
def test_the_patterns_are_the_reference_files(
    patterns: dict[str, Any], name: str, shared_data: Path
) -> None:
    file, prefix = REFERENCES[name]
    reference = json.loads((shared_data / "reference" / file).read_text())
    written = {prefix + row[0]: list(row[2]) for row in patterns[name]()}
    assert written == reference


def test_a_released_file_fills_its_backbone(released: tuple[str, Any]) -> None:
    name, rows = released
    backbone = IMPORTERS[name].facts["backbones"][0]
    with torch.device("meta"):
        state = {
            row[0]: torch.empty(
                row[2], dtype=torch.long if "index" in row[0] else torch.float32
            )
            for row in rows
        }
    target = target_of(outline_network(backbone))
    coverage = best_fit(state, target, layout_of(name)).coverage
    fresh = [n for n in target.shapes if n not in {row[1] for row in rows}]
    assert list(coverage.fresh) == fresh
    assert coverage.missing == ()
    assert coverage.unexpected == ()
    assert not coverage.misshapen
    assert set(coverage.dropped) == {row[0] for row in rows if row[1] is None}
    assert coverage.fraction == 1


def test_every_known_weight_names_what_there_is() -> None:
    for known in KNOWN_WEIGHTS.values():
        assert known.importer in IMPORTERS
        assert known.backbone in IMPORTERS[known.importer].facts["backbones"]
        assert known.backbone in BACKBONES
        assert known.url.startswith("https://")
        assert known.page.startswith("https://")
        assert bool(known.hash) == bool(known.hash_source)
        if known.name == "kinetics_swin_t":  # the file name carries the first digits
            assert known.hash.removeprefix("sha256:")[:8] in known.file
        if known.name == "mmaction_swin_t":
            assert known.hash.removeprefix("sha256:") in known.file


def test_restrictive_licences_need_consent() -> None:
    for known in KNOWN_WEIGHTS.values():
        restrictive = "NC" in known.licence or "none stated" in known.licence
        assert known.needs_consent == restrictive, known.name


def test_the_page_lists_every_known_weight_and_importer() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "weights.md"
    text = page.read_text(encoding="utf-8")
    for known in KNOWN_WEIGHTS.values():
        row = next(line for line in text.splitlines() if f"| `{known.name}`" in line)
        assert f"`{known.backbone}`" in row
        assert known.licence.split(" (")[0].split(" by ")[0] in row
        assert row.endswith("| none |") != bool(known.hash)
    for entry in IMPORTERS:
        assert f"`{entry.name}`" in text
