"""How settings of a benchmark are told apart in its figures."""

from __future__ import annotations

from collections.abc import Sequence

from napari_neuropretrain.benchmark.cells import Setting
from napari_neuropretrain.benchmark.gather import BASELINE
from napari_neuropretrain.reporting.drawing import COLOURS, GREY

MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def colour_of(setting: Setting, initialisations: Sequence[str]) -> str:
    """Return the colour of an initialisation: grey for scratch and linear models."""
    if setting.initialisation in ("scratch", BASELINE):
        return GREY
    others = [one for one in initialisations if one != "scratch"]
    return COLOURS[others.index(setting.initialisation) % len(COLOURS)]


def marker_of(setting: Setting, backbones: Sequence[str]) -> str:
    """Return the marker of a backbone; linear models have a star."""
    if setting.backbone not in backbones:
        return "*"
    return MARKERS[list(backbones).index(setting.backbone) % len(MARKERS)]
