"""The job ``train-brain-mask``: train the mask network on synthetic heads."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from napari_neuropretrain import __version__
from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.mask_training import TrainBrainMaskConfig
from napari_neuropretrain.preprocessing.brain_mask import GRID_SHAPE, GRID_SPACING_MM
from napari_neuropretrain.preprocessing.mask_network import (
    MaskNetwork,
    scale_intensities,
)
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.synthesis.label_maps import (
    HeadAtlas,
    draw_head,
    read_head_atlas,
)

WARMUP_STEPS = 50
GRADIENT_LIMIT = 1.0


class SyntheticHeads(IterableDataset[tuple[Tensor, Tensor]]):
    """An endless row of heads; head k is the same for the same seed.

    Yields a scaled volume and its brain mask, both float32 (1, X, Y, Z).
    """

    def __init__(self, atlas: HeadAtlas, seed: int, start: int) -> None:
        self._atlas = atlas
        self._seed = seed
        self._start = start

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        number = self._start
        while True:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + number)
            head = draw_head(self._atlas, generator, GRID_SHAPE, GRID_SPACING_MM)
            yield scale_intensities(head.volume)[None], head.brain_mask[None].float()
            number += 1


@dataclass
class State:
    """What is saved and taken up again."""

    network: MaskNetwork
    averaged: MaskNetwork
    optimiser: torch.optim.Optimizer
    step: int = 0

    def save(self, path: Path) -> None:
        """Write the state whole or not at all."""
        parts = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        torch.save(parts, path.with_suffix(".tmp"))
        os.replace(path.with_suffix(".tmp"), path)

    def load(self, path: Path) -> None:
        """Go on from a saved state."""
        parts = torch.load(path, weights_only=True)
        self.network.load_state_dict(parts["network"])
        self.averaged.load_state_dict(parts["averaged"])
        self.optimiser.load_state_dict(parts["optimiser"])
        self.step = int(parts["step"])


def train_brain_mask(config: TrainBrainMaskConfig, report: Report) -> Outcome:
    """Train the network and write ``brain_mask.safetensors`` with its recipe.

    Raises
    ------
    CohortError
        If the folder of label maps is incomplete.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    atlas = read_head_atlas(Path(config.label_maps), report)
    state = _start(config)
    saved = Path(config.output) / "state.pt"
    if saved.exists():
        state.load(saved)
        report(Progress("step", "Going on", state.step, config.steps))
    heads = SyntheticHeads(atlas, config.seed, state.step * config.batch_size)
    batches = iter(DataLoader(heads, batch_size=config.batch_size))
    dice = 0.0
    while state.step < config.steps:
        loss, dice = _step(state, next(batches), config)
        state.step += 1
        values = {"loss": loss, "dice": dice}
        report(Progress("step", "Training", state.step, config.steps, values))
        if state.step % config.save_every == 0:
            state.save(saved)
    state.save(saved)
    weights = _write_weights(state.averaged, config, len(atlas.heads), dice)
    return Outcome(
        f"Trained {config.steps} steps; the last batch has a Dice of {dice:.3f}.",
        results={"weights": str(weights)},
    )


def soft_dice(probability: Tensor, target: Tensor) -> Tensor:
    """Dice of each sample (B,) for probabilities and masks (B, 1, X, Y, Z).

    Milletari et al., V-Net, 3DV 2016, equation 2 without the squares.

    Examples
    --------
    >>> mask = torch.ones(1, 1, 2, 2, 2)
    >>> float(soft_dice(mask, mask))
    1.0
    """
    axes = (1, 2, 3, 4)
    shared = (probability * target).sum(axes)
    return (2 * shared + 1) / (probability.sum(axes) + target.sum(axes) + 1)


def _start(config: TrainBrainMaskConfig) -> State:
    network = MaskNetwork()
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    return State(network, deepcopy(network), optimiser)


def _step(
    state: State, batch: tuple[Tensor, Tensor], config: TrainBrainMaskConfig
) -> tuple[float, float]:
    """Take one step on a batch; return its loss and its Dice."""
    for group in state.optimiser.param_groups:
        group["lr"] = config.learning_rate * _rate(state.step, config.steps)
    volumes, masks = batch
    logits = state.network(volumes)
    loss = 1 - soft_dice(logits.sigmoid(), masks).mean()
    loss = loss + functional.binary_cross_entropy_with_logits(logits, masks)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.network.parameters(), GRADIENT_LIMIT)
    state.optimiser.step()
    decay = min(config.average, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        pairs = zip(
            state.averaged.parameters(), state.network.parameters(), strict=True
        )
        for averaged, current in pairs:
            averaged.lerp_(current, 1 - decay)
        dice = soft_dice((logits > 0).float(), masks).mean()
    return float(loss.detach()), float(dice)


def _rate(step: int, steps: int) -> float:
    """Warm-up, then a cosine down to one hundredth."""
    rise = min(1.0, (step + 1) / WARMUP_STEPS)
    fall = 0.5 * (1 + math.cos(math.pi * step / steps))
    return rise * (0.01 + 0.99 * fall)


def _write_weights(
    network: MaskNetwork, config: TrainBrainMaskConfig, heads: int, dice: float
) -> Path:
    path = Path(config.output) / "brain_mask.safetensors"
    # Half precision halves the file, and changes no voxel that matters.
    save_file({name: w.half() for name, w in network.state_dict().items()}, path)
    recipe: dict[str, Any] = {
        "widths": list(network.widths),
        "grid_shape": list(GRID_SHAPE),
        "grid_spacing_mm": GRID_SPACING_MM,
        "recipe": config.model_dump(mode="json", exclude={"label_maps", "output"}),
        "label_maps": heads,
        "label_maps_from": str(config.label_maps.name),
        "last_batch_dice": dice,
        "version": __version__,
    }
    write_text(path.with_suffix(".json"), json.dumps(recipe, indent=2) + "\n")
    return path
