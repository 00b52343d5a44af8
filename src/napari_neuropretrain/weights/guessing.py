"""Find out which importer and which backbone a file fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.config.weights_importers import IMPORTERS
from napari_neuropretrain.weights.coverage import Coverage
from napari_neuropretrain.weights.layouts import Layout
from napari_neuropretrain.weights.search import best_fit
from napari_neuropretrain.weights.target import Target, target_of


@dataclass(frozen=True)
class Candidate:
    """An importer and a backbone, and how much of it the file would fill.

    Parameters
    ----------
    importer, backbone
        Names in their catalogs.
    coverage
        What would become of each tensor.
    """

    importer: str
    backbone: str
    coverage: Coverage


def rank_candidates(
    content: Any,
    importers: Iterable[str] = (),
    backbones: Iterable[str] = (),
    options: Config | None = None,
) -> list[Candidate]:
    """Try importers and backbones on a file, by names and shapes only.

    Parameters
    ----------
    content
        What `read_checkpoint` returned.
    importers
        Names to try; all if empty.
    backbones
        Names to try; those of each importer if empty.
    options
        Of the backbone, where one is given; otherwise the defaults.

    Returns
    -------
    list of Candidate
        The best first.
    """
    outline = _outline(content)
    found = []
    for importer in importers or [entry.name for entry in IMPORTERS]:
        for backbone in list(backbones) or backbones_of(importer):
            target = _target(backbone, options)
            fitted = best_fit(outline, target, layout_of(importer))
            found.append(Candidate(importer, backbone, fitted.coverage))
    return sorted(found, key=_order)


@cache
def _target(backbone: str, options: Config | None) -> Target:
    return target_of(outline_network(backbone, options))


def _order(candidate: Candidate) -> tuple[float, int]:
    """Put full coverage first, and of equals the one that leaves least unused."""
    return -candidate.coverage.fraction, len(candidate.coverage.unexpected)


def backbones_of(importer: str) -> list[str]:
    """List the backbones that files of an importer can fill."""
    named = IMPORTERS[importer].facts["backbones"]
    return [name for name in named if name in BACKBONES] or [
        entry.name for entry in BACKBONES
    ]


def layout_of(importer: str) -> Layout:
    """Return the table of names of an importer."""
    layout: Layout = IMPORTERS[importer].load()
    return layout


def outline_network(backbone: str, options: Config | None = None) -> nn.Module:
    """Build a network without memory for its numbers (on the meta device)."""
    entry = BACKBONES[backbone]
    with torch.device("meta"):
        network: nn.Module = entry.load()(options or entry.options())
    return network


def _outline(content: Any) -> Any:
    """Copy what a file holds with shapes in place of numbers."""
    if isinstance(content, Tensor):
        return content.detach().to("meta")
    if isinstance(content, Mapping):
        return {name: _outline(value) for name, value in content.items()}
    return None
