"""Whose weights restore a volume in a preview."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
import yaml
from torch import nn

from napari_neuropretrain.config.choice import choose
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.preview import PreviewConfig
from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.weights.initial import load_initial_weights
from napari_neuropretrain.weights.model_file import load_tensors

RANDOM = "random weights"
_CONFIG = "config.yaml"
BEST_WEIGHTS, BEST_NOTES = "best.safetensors", "best.json"
"""As in `training.checkpoints`, which imports lightning: half of the waiting."""


def load_weights(
    config: PreviewConfig, method: nn.Module, backbone: str, report: Report
) -> str:
    """Give a method the best weights of a run so far, else those it starts with.

    Parameters
    ----------
    config
        The run folder, and the initial weights.
    method
        Backbone and heads; changed in place.
    backbone
        Name of the backbone.
    report
        Hears why weights of the run cannot be used.

    Returns
    -------
    str
        In words whose weights they are: ``"epoch 12"``.

    Raises
    ------
    CheckpointError
        If the initial weights cannot be used.
    """
    folder = Path(config.run)
    if folder != NOTHING and (folder / "checkpoints" / BEST_WEIGHTS).exists():
        try:
            return _load_best(folder, method, (config.method.name, backbone))
        except CheckpointError as error:
            message = f"The weights of the run are not used. {error}"
            report(Progress("warning", message))
    if config.initial_weights:
        load_initial_weights(
            method.encoder,  # type: ignore[arg-type]
            config.initial_weights,
            report,
        )
        return "initial weights, random decoder"
    return RANDOM


def _load_best(folder: Path, method: nn.Module, wanted: tuple[str, str]) -> str:
    """Load the weights of the best epoch so far, and say which it is."""
    made_by = _pair_of(folder / _CONFIG)
    if made_by != wanted:
        raise CheckpointError(
            f"'{folder}' was trained by {' on '.join(made_by)}, not by "
            f"{' on '.join(wanted)}."
        )
    path = folder / "checkpoints" / BEST_WEIGHTS
    try:
        tensors = safetensors.torch.load_file(path)
        notes = json.loads(path.with_name(BEST_NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"'{path}' cannot be read: {error}.") from None
    load_tensors(method, tensors, str(path))
    return f"epoch {notes['epoch']}"


def _pair_of(path: Path) -> tuple[str, str]:
    """Return method and backbone of a run."""
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        names = [
            choose(f"{kind}s", given[kind]).name for kind in ("method", "backbone")
        ]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        raise CheckpointError(
            f"'{path}' is not the config of a pre-training."
        ) from None
    return names[0], names[1]
