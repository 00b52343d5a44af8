"""Occlusion maps of one network by MONAI, by Captum and by us.

    python benchmarks/occlusion.py [--patch 12] [--stride 7] [--threads 2]
        [--model RUN --scan FILE] [--asked 0]
    python benchmarks/occlusion.py --backbones densenet121 sfcn ...
    python benchmarks/occlusion.py --exactness [--positions 24] [--backbones ...]

One DenseNet121 and one brain of 80x80x80 voxels; the same cubes, baseline and output
for all. MONAI and Captum visit every position, also where there is no brain; we skip
those that change no voxel, compute only what a cube changes, and, adaptively, go from
coarse to fine. Without `--model` the network is trained for a moment to tell how bright
a planted block is, so that its output depends on places.
Our times include planning, building and comparing with the whole network.

MONAI and Captum take equally long for each position. `--asked 150` asks them about so
many in three parts, before, between and after our maps, and counts the others as long;
0 asks about all, once. On a machine with other work processor seconds are what counts.

`--backbones` compares both of our ways, in parts and whole, on some positions for each:
neighbours, as in a batch of a map. `--exactness` takes all backbones of the catalog in
full size and positions from all over the brain, its edges included; the last column is
what counts, because networks with random weights have small effects.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from captum.attr import Occlusion
from monai.visualize import OcclusionSensitivity
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.config.options.shapes import fit_to_shape
from napari_neuropretrain.data.template import load_template
from napari_neuropretrain.explanation.adaptive import Refinement
from napari_neuropretrain.explanation.hiders import (
    CompleteHider,
    IncrementalHider,
    Predictor,
)
from napari_neuropretrain.explanation.occlusion import Manner, occlusion_map
from napari_neuropretrain.explanation.positions import Cube, Positions
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
    parser.add_argument("--asked", type=int, default=0)
    parser.add_argument("--backbones", nargs="*", default=[])
    parser.add_argument("--exactness", action="store_true")
    parser.add_argument("--positions", type=int, default=8)
    given = parser.parse_args()
    settle_process()
    warnings.filterwarnings("ignore", "Using a non-tuple sequence")  # MONAI's
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    image, brain = read_scan(given.scan)
    if given.backbones or given.exactness:
        print("| | whole, s | parts, s | times faster | difference | effect | share |")
        print("|---|---|---|---|---|---|---|")
        for name in given.backbones or [entry.name for entry in BACKBONES]:
            print(compare_ways(name, image, brain, given), flush=True)
        return
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
    peers = {
        "MONAI": Peer(lambda net: monai_map(net, image, brain, patch, stride)),
        "Captum": Peer(lambda net: captum_map(net, image, patch, stride)),
    }
    plain = copy.deepcopy(network)
    # As the job explain does on CPUs.
    network.to(memory_format=torch.channels_last_3d)
    rows: dict[str, Timed] = {}
    ask = given.asked // 3
    for name, refinement in (
        ("exact", None),
        ("adaptive", Refinement(given.correlation)),
    ):
        for peer in peers.values():
            peer.go_on(plain, ask)
        rows[name] = timed(functools.partial(ours, refinement))
    for peer in peers.values():
        peer.go_on(plain, ask)
    rows = {name: peer.result(every) for name, peer in peers.items()} | rows
    report(rows, brain.numpy())


def report(rows: dict[str, Timed], brain: NDArray[np.bool_]) -> None:
    maps = {name: one.map[brain] for name, one in rows.items() if one.map is not None}
    exact, base = maps["exact"], rows["MONAI"]
    print("| | seconds | of processors | times faster | correlation | difference |")
    print("|---|---|---|---|---|---|")
    for name, one in rows.items():
        line = f"| {name} | {one.seconds:.1f} | {one.cpu:.1f} |"
        line += f" {base.seconds / one.seconds:.2f} ({base.cpu / one.cpu:.2f}) |"
        if name in maps:
            r = np.corrcoef(maps[name], exact)[0, 1]
            off = np.abs(maps[name] - exact).max() / np.abs(exact).max()
            line += f" {r:.4f} | {off:.1e} |"
        print(line)
    r = np.corrcoef(maps["adaptive"], exact)[0, 1]
    faster = {name: base.seconds / one.seconds for name, one in rows.items()}
    print(
        f"exact={faster['exact']:.2f} adaptive={faster['adaptive']:.2f} "
        f"correlation={r:.3f}"
    )


@dataclass
class Timed:
    map: Map | None
    seconds: float
    cpu: float


def timed(make: Callable[[], Map]) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    made = make()
    return Timed(made, time.perf_counter() - wall, time.process_time() - cpu)


@torch.inference_mode()
def compare_ways(
    name: str, image: Tensor, brain: Tensor, given: argparse.Namespace
) -> str:
    """Return a line with processor seconds a position, whole and in parts."""
    options = fit_to_shape(BACKBONES[name].options(), SHAPE)
    network = BACKBONES[name].load()(options, 1).eval()
    network.to(memory_format=torch.channels_last_3d)
    hidden = torch.where(brain, 0.0, image)
    cubes = choose(brain, given)
    predict = Predictor(network, lambda outputs: outputs)
    whole = CompleteHider(predict, image, hidden)
    parts = IncrementalHider(predict, image, hidden)
    reference = whole.reference()
    found, seconds = [], []
    for hider, size in ((whole, 4), (parts, len(cubes))):
        hider.outputs(cubes[:1])
        began = time.process_time()
        batches = [cubes[i : i + size] for i in range(0, len(cubes), size)]
        found.append(torch.cat([hider.outputs(batch) for batch in batches]))
        seconds.append((time.process_time() - began) / len(cubes))
    off = float((found[0] - found[1]).abs().max())
    effect = float((found[0] - reference).abs().max())
    return (
        f"| {name} | {seconds[0]:.3f} | {seconds[1]:.3f} | "
        f"{seconds[0] / seconds[1]:.1f} | {off:.1e} | {effect:.1e} | "
        f"{off / effect:.1e} |"
    )


def choose(brain: Tensor, given: argparse.Namespace) -> list[Cube]:
    every = list(Positions(SHAPE, given.patch, given.stride).cubes())
    if given.exactness:
        cubes = [cube for cube in every if bool(brain[cube].any())]
        order = np.random.default_rng(0).permutation(len(cubes))
        return [cubes[one] for one in order[: given.positions]]
    cubes = [cube for cube in every if bool(brain[cube].all())]
    # Neighbours, as in a batch of a whole map.
    return cubes[len(cubes) // 2 :][: given.positions]


class _EnoughError(Exception):
    """A peer was asked about as many positions as wanted."""


class Counted(nn.Module):
    """A network that stops after so many volumes; 0 for never."""

    def __init__(self, network: nn.Module, most: int) -> None:
        super().__init__()
        self.network, self.most, self.asked = network, most, 0

    def forward(self, volumes: Tensor) -> Tensor:
        if 0 < self.most <= self.asked:
            raise _EnoughError
        self.asked += len(volumes)
        outputs: Tensor = self.network(volumes)
        return outputs


class Peer:
    """Somebody else's map, made in parts."""

    def __init__(self, make: Callable[[nn.Module], Map]) -> None:
        self._make = make
        self._asked = 0
        self._sum = Timed(None, 0.0, 0.0)

    def go_on(self, network: nn.Module, most: int) -> None:
        if self._sum.map is not None:
            return
        counted = Counted(network, most).eval()
        part = timed(lambda: self._try(counted))
        self._asked += counted.asked
        self._sum = Timed(
            part.map, self._sum.seconds + part.seconds, self._sum.cpu + part.cpu
        )

    def _try(self, network: nn.Module) -> Map | None:
        with contextlib.suppress(_EnoughError):
            return self._make(network)
        return None

    def result(self, positions: int) -> Timed:
        if self._sum.map is not None:
            return self._sum
        times = positions / self._asked
        return Timed(None, self._sum.seconds * times, self._sum.cpu * times)


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


def captum_map(network: nn.Module, image: Tensor, patch: int, stride: int) -> Map:
    with torch.inference_mode():
        effects = Occlusion(network).attribute(
            image[None, None],
            (1, patch, patch, patch),
            (1, stride, stride, stride),
            baselines=0.0,
            target=0,
            perturbations_per_eval=16,
        )
    return effects[0, 0].numpy()


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


def make_network(image: Tensor, steps: int = 30) -> nn.Module:
    """Return a DenseNet121 trained for a moment to tell how bright a block is."""
    network = BACKBONES["densenet121"].load()(BACKBONES["densenet121"].options(), 1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    brain = image != 0
    network.train()
    for _ in range(steps):
        amounts = 2 * torch.rand(3) - 1
        copies = (image + 0.3 * torch.randn(3, *SHAPE) * brain)[:, None]
        for one, amount in zip(copies[:, 0], amounts, strict=True):
            one[_BLOCK] += 2 * amount * brain[_BLOCK]
        loss = nn.functional.mse_loss(network(copies)[:, 0], 5 * amounts)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(f"trained for {steps} steps, last loss {loss.item():.2f}")
    return network.eval()


if __name__ == "__main__":
    main()
