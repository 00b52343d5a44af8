"""The job ``train-brain-mask``: train the mask network on synthetic heads."""

from __future__ import annotations

import json
import math
import os
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from napari_neuropretrain import __version__
from napari_neuropretrain.config.base import write_bytes, write_text
from napari_neuropretrain.config.contract import MASK_WEIGHTS
from napari_neuropretrain.config.mask_training import TrainBrainMaskConfig
from napari_neuropretrain.preprocessing.mask_network import (
    MASKS,
    MaskNetwork,
    scale_intensities,
)
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.synthesis.label_maps import (
    HeadAtlas,
    draw_head,
    read_head_atlas,
)

GRID_SHAPE = (96, 112, 112)
"""Voxels of the grid the network sees: 192 mm wide, 224 mm long and high."""
GRID_SPACING_MM = 2.0
BRAIN_PROBABILITY, RIM_VOXELS = 0.25, 2
"""When a voxel counts as brain, and how far the mask follows the fluid around it.
The only numbers that real scans had a part in: eight IXI scans with DLMUSE labels,
whose brains reach a little further out than the closed tissue of the label maps."""
WARMUP_STEPS = 50
GRADIENT_LIMIT = 1.0


class SyntheticHeads(Dataset[tuple[Tensor, Tensor]]):
    """A row of heads; head k is the same for the same seed.

    Gives a scaled volume (1, X, Y, Z) and its masks (2, X, Y, Z), both float32.
    """

    def __init__(self, atlas: HeadAtlas, seed: int, count: int) -> None:
        self._atlas = atlas
        self._seed = seed
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + number)
        head = draw_head(self._atlas, generator, GRID_SHAPE, GRID_SPACING_MM)
        return scale_intensities(head.volume)[None], head.masks.float()


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
    for batch in _batches(atlas, config, config.seed, state.step, config.steps):
        loss, dice = _step(state, batch, config)
        state.step += 1
        values = {"loss": loss, "dice": dice}
        report(Progress("step", "Training", state.step, config.steps, values))
        if state.step % config.save_every == 0:
            state.save(saved)
    state.save(saved)
    dice_of_masks = _measure(state.averaged, atlas, config, report)
    weights = _write_weights(state.averaged, config, len(atlas.heads), dice_of_masks)
    return Outcome(
        f"Trained {config.steps} steps; on {config.validation_heads} fresh synthetic "
        f"heads the brain mask has a median Dice of {dice_of_masks['brain']:.3f}.",
        results={"weights": str(weights)},
    )


def soft_dice(probability: Tensor, target: Tensor) -> Tensor:
    """Dice (B, C) of each mask for probabilities and masks (B, C, X, Y, Z).

    Milletari et al., V-Net, 3DV 2016, equation 2 without the squares.

    Examples
    --------
    >>> mask = torch.ones(1, 1, 2, 2, 2)
    >>> float(soft_dice(mask, mask))
    1.0
    """
    axes = (2, 3, 4)
    shared = (probability * target).sum(axes)
    return (2 * shared + 1) / (probability.sum(axes) + target.sum(axes) + 1)


def _batches(
    atlas: HeadAtlas, config: TrainBrainMaskConfig, seed: int, first: int, last: int
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches `first` to `last` of the heads of a seed, for any number of workers."""
    size = config.batch_size
    heads = SyntheticHeads(atlas, seed, last * size)
    order = range(first * size, last * size)
    return DataLoader(heads, batch_size=size, sampler=order, num_workers=config.workers)


def _measure(
    network: MaskNetwork, atlas: HeadAtlas, config: TrainBrainMaskConfig, report: Report
) -> dict[str, float]:
    """Median Dice of each mask over heads of another seed."""
    count = math.ceil(config.validation_heads / config.batch_size)
    scores = []
    for index, batch in enumerate(_batches(atlas, config, config.seed + 1, 0, count)):
        report(Progress("step", "Measuring", index, count))
        volumes, masks = batch
        with torch.inference_mode():
            scores.append(soft_dice((network(volumes) > 0).float(), masks))
    medians = torch.cat(scores).median(dim=0).values
    return {mask: float(dice) for mask, dice in zip(MASKS, medians, strict=True)}


def _start(config: TrainBrainMaskConfig) -> State:
    network = MaskNetwork()
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    return State(network, deepcopy(network), optimiser)


def _step(
    state: State, batch: tuple[Tensor, Tensor], config: TrainBrainMaskConfig
) -> tuple[float, float]:
    """Take one step on a batch; return its loss and the Dice of the brain."""
    for group in state.optimiser.param_groups:
        group["lr"] = config.learning_rate * _rate(state.step, config.steps)
    volumes, masks = batch
    mixed = config.precision == "bfloat16"
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        logits = state.network(volumes)
    logits = logits.float()
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
        dice = soft_dice((logits[:, :1] > 0).float(), masks[:, :1]).mean()
    return float(loss.detach()), float(dice)


def _rate(step: int, steps: int) -> float:
    """Warm-up, then a cosine down to one hundredth."""
    rise = min(1.0, (step + 1) / WARMUP_STEPS)
    fall = 0.5 * (1 + math.cos(math.pi * step / steps))
    return rise * (0.01 + 0.99 * fall)


def _write_weights(
    network: MaskNetwork,
    config: TrainBrainMaskConfig,
    heads: int,
    dice_of_masks: dict[str, float],
) -> Path:
    path = Path(config.output) / "brain_mask.safetensors"
    # Half precision halves the file, and changes no voxel that matters.
    write_bytes(
        path, save({name: w.half() for name, w in network.state_dict().items()})
    )
    recipe: dict[str, Any] = {
        "weights_version": MASK_WEIGHTS,
        "widths": list(network.widths),
        "grid_shape": list(GRID_SHAPE),
        "grid_spacing_mm": GRID_SPACING_MM,
        "threshold": BRAIN_PROBABILITY,
        "rim_voxels": RIM_VOXELS,
        "recipe": config.model_dump(mode="json", exclude={"label_maps", "output"}),
        "label_maps": heads,
        "masks": list(MASKS),
        "synthetic_heads": config.validation_heads,
        "synthetic_dice_median": dice_of_masks,
        "version": __version__,
    }
    write_text(path.with_suffix(".json"), json.dumps(recipe, indent=2) + "\n")
    return path
