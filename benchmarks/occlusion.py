"""Occlusion maps of one network by MONAI, by Captum and by us.

    python benchmarks/occlusion.py [--patch 12] [--stride 7] [--threads 2]
        [--model RUN --scan FILE] [--captum-positions 150]

One DenseNet121 and one brain of 80x80x80 voxels; the same cubes, baseline and output
for all. MONAI and Captum visit every position, also where there is no brain; we skip
those that change no voxel, compute only what a cube changes, and, adaptively, go from
coarse to fine. Without `--model` the network has random weights, and a head fitted by
ridge regression to tell how bright a planted block is: its output depends on places.
Our times include planning, building and comparing with the whole network. Captum is
asked about a part of the positions only, since each takes as long as any other; 0 for
all.
"""

from __future__ import annotations

import argparse
import contextlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from captum.attr import Occlusion
from monai.visualize import OcclusionSensitivity
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.data.template import load_template
from napari_neuropretrain.explanation.adaptive import Refinement
from napari_neuropretrain.explanation.hiders import Predictor
from napari_neuropretrain.explanation.occlusion import Manner, occlusion_map
from napari_neuropretrain.explanation.positions import Positions
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.weights.model_file import load_model

SHAPE = (80, 80, 80)
_BLOCK = (slice(44, 60), slice(30, 46), slice(24, 40))
Map = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patch", type=int, default=12)
    parser.add_argument("--stride", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--correlation", type=float, default=0.93)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--captum-positions", type=int, default=150)
    given = parser.parse_args()
    settle_process()
    warnings.filterwarnings("ignore", "Using a non-tuple sequence")  # MONAI's
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    image, brain = read_scan(given.scan)
    network = load_model(given.model)[0] if given.model else make_network(image)
    network.eval()
    patch, stride = given.patch, given.stride
    compare(network, image, brain, patch, stride, given)


def compare(
    network: nn.Module,
    image: Tensor,
    brain: Tensor,
    patch: int,
    stride: int,
    given: argparse.Namespace,
) -> None:
    settings = (image, brain, patch, stride)

    def ours(refinement: Refinement | None) -> Map:
        predict = Predictor(network, lambda outputs: outputs)
        result = occlusion_map(predict, *settings, manner=Manner("mean", refinement))
        print(
            f"asked about {result.computed} of {result.positions} that reach the brain"
        )
        assert not result.slow_because, result.slow_because
        return result.map

    every = len(list(Positions(SHAPE, patch, stride).cubes()))
    print(f"patch {patch}, stride {stride}: {every} positions, {given.threads} threads")
    rows: dict[str, tuple[Map | None, float]] = {}
    rows["MONAI"] = timed(lambda: monai_map(network, image, brain, patch, stride))
    captum, seconds = captum_map(network, image, settings[2:], given.captum_positions)
    rows["Captum"] = captum, seconds * every
    # After MONAI, whose layout is the usual one: as the job explain does on CPUs.
    network.to(memory_format=torch.channels_last_3d)
    rows["exact"] = timed(lambda: ours(None))
    refinement = Refinement(given.correlation)
    rows["adaptive"] = timed(lambda: ours(refinement))
    report(rows, brain.numpy())


def report(rows: dict[str, tuple[Map | None, float]], brain: NDArray[np.bool_]) -> None:
    maps = {name: one[brain] for name, (one, _) in rows.items() if one is not None}
    exact, base = maps["exact"], rows["MONAI"][1]
    print("| | seconds | times faster | correlation | largest difference |")
    print("|---|---|---|---|---|")
    for name, (_, seconds) in rows.items():
        line = f"| {name} | {seconds:.1f} | {base / seconds:.2f} |"
        if name in maps:
            r = np.corrcoef(maps[name], exact)[0, 1]
            off = np.abs(maps[name] - exact).max() / np.abs(exact).max()
            line += f" {r:.4f} | {off:.1e} |"
        print(line)
    r = np.corrcoef(maps["adaptive"], exact)[0, 1]
    print(
        f"exact={base / rows['exact'][1]:.2f} "
        f"adaptive={base / rows['adaptive'][1]:.2f} correlation={r:.3f}"
    )


def timed(make: Callable[[], Map]) -> tuple[Map, float]:
    began = time.perf_counter()
    made = make()
    return made, time.perf_counter() - began


def monai_map(
    network: nn.Module, image: Tensor, brain: Tensor, patch: int, stride: int
) -> Map:
    """Return MONAI's map as an effect: output of the whole minus output hidden."""
    occlude = OcclusionSensitivity(
        network,
        mask_size=patch,
        mode=0.0,
        overlap=1 - (stride + 0.5) / patch if stride < patch else 0.0,
        activate=False,
        verbose=False,
    )
    with torch.inference_mode():
        outputs, _ = occlude(image[None, None])
        reference = network(image[None, None])
    effects = reference[0, 0] - outputs[0, 0]  # (X, Y, Z), or with classes last
    values = torch.as_tensor(effects).reshape(SHAPE).numpy()
    return values * brain.numpy()


class _EnoughError(Exception):
    """Captum was asked about as many positions as wanted."""


def captum_map(
    network: nn.Module, image: Tensor, cube: tuple[int, int], most: int
) -> tuple[Map | None, float]:
    """Return Captum's map if it was finished, and its seconds a position."""
    patch, stride = cube
    asked, began = 0, time.perf_counter()

    def count(volumes: Tensor) -> Tensor:
        nonlocal asked
        if 0 < most <= asked:
            raise _EnoughError
        asked += len(volumes)
        outputs: Tensor = network(volumes)
        return outputs

    effects: Map | None = None
    with torch.inference_mode(), contextlib.suppress(_EnoughError):
        made = Occlusion(count).attribute(
            image[None, None],
            (1, patch, patch, patch),
            (1, stride, stride, stride),
            baselines=0.0,
            target=0,
            perturbations_per_eval=16,
        )
        effects = made[0, 0].numpy()
    return effects, (time.perf_counter() - began) / asked


def read_scan(path: Path | None) -> tuple[Tensor, Tensor]:
    """Return a preprocessed scan, or the template with some noise, z-scored."""
    if path is not None:
        derivative = read_derivative(path)
        return torch.tensor(derivative.image), torch.tensor(derivative.brain_mask)
    template = load_template(SHAPE)
    mask = template.brain_mask
    values = template.data + np.random.default_rng(0).normal(0, 2, SHAPE)
    values = (values - values[mask].mean()) / values[mask].std() * mask
    return torch.tensor(values, dtype=torch.float32), torch.tensor(mask)


def make_network(image: Tensor) -> nn.Module:
    """Return a DenseNet121 that tells how bright a block of the brain is."""
    network = BACKBONES["densenet121"].load()(BACKBONES["densenet121"].options(), 1)
    draw = np.random.default_rng(0)
    copies, amounts = [], draw.uniform(-1, 1, 48)
    for amount in amounts:
        copy = image + 0.3 * torch.randn(SHAPE) * (image != 0)
        copy[44:60, 30:46, 24:40] += (
            2 * float(amount) * (image != 0)[44:60, 30:46, 24:40]
        )
        copies.append(copy)
    batches = torch.stack(copies)[:, None].split(8)
    with torch.no_grad():
        network.train()  # the normalisation learns what scans look like
        for module in network.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.momentum = None
        for batch in batches[:2]:
            network(batch)
        network.eval()
        features = torch.cat([network.encode(one).features for one in batches]).double()
        middle = features.mean(0)
        centred = features - middle
        gram = centred @ centred.T + 1e-2 * centred.var() * torch.eye(len(centred))
        weights = centred.T @ torch.linalg.solve(gram, torch.tensor(amounts * 5))
        head = network.get_submodule(network.head_name)
        head.weight.copy_(weights[None])
        head.bias.fill_(-float(middle @ weights))
    return network


if __name__ == "__main__":
    main()
