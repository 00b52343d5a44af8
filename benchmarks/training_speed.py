"""Volumes per second of each backbone: forward, training step, and our loop.

    python benchmarks/training_speed.py [--backbones densenet121 swin_t] [--edge 80]
        [--batch-size 2] [--steps 10] [--device cpu] [--precision auto] [--threads 2]

The loop of the job ``finetune`` (Lightning, plan, reports, checkpoints) is timed
beside a bare PyTorch loop on the same network, batches and optimiser; both in turn,
`--rounds` times, and the fastest round of each counts. Overhead should stay under
5 %. Augmentation and validation are left out of both.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from napari_neuropretrain.config.catalog import BACKBONES, TUNINGS
from napari_neuropretrain.config.options.shapes import fit_to_shape
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.progress import silent
from napari_neuropretrain.training.batches import ordered_loader, training_loader
from napari_neuropretrain.training.callbacks import ReportProgress
from napari_neuropretrain.training.distributed import alone
from napari_neuropretrain.training.fit import fit
from napari_neuropretrain.training.fit_settings import FitSettings, Loaders
from napari_neuropretrain.training.memory import Pace
from napari_neuropretrain.training.module import Schedule
from napari_neuropretrain.training.speed import choose_precision
from napari_neuropretrain.training.task_module import TaskModule
from napari_neuropretrain.training.volumes import VolumeDataset
from napari_neuropretrain.weights.device import find_device

TASK: Any = SimpleNamespace(loss=functional.l1_loss)
"""The loss is all that is timed of a task."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--backbones", nargs="*", default=[one.name for one in BACKBONES]
    )
    parser.add_argument("--edge", type=int, default=80)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--tuning", default="full")
    parser.add_argument("--channels-last", action="store_true")
    given = parser.parse_args()
    settle_process()
    torch.set_num_threads(given.threads)
    device = find_device(given.device)
    print(
        f"{device}, {given.edge}^3, batch of {given.batch_size}, {given.tuning}, "
        f"{choose_precision(given.precision, device)}; volumes/s"
    )
    names = ("forward", "bare loop", "our loop", "overhead")
    print(f"{'backbone':<16}" + "".join(f"{one:>11}" for one in names))
    for name in given.backbones:
        print(row(name, given, device), flush=True)


def row(name: str, given: argparse.Namespace, device: torch.device) -> str:
    """Time one backbone; one that cannot take the shape says so."""
    try:
        build(name, given)
    except ValueError as error:
        return f"{name:<16}{str(error).splitlines()[-1].strip()}"
    bare, ours = [], []
    for _ in range(given.rounds):
        bare.append(bare_loop(name, given, device))
        ours.append(our_loop(name, given, device))
    slow, fast = min(ours), min(bare)
    volumes = given.steps * given.batch_size
    rates = [given.batch_size / forward(name, given, device)]
    rates += [volumes / fast, volumes / slow]
    shown = "".join(f"{rate:>11.3g}" for rate in rates)
    return f"{name:<16}{shown}{slow / fast - 1:>11.1%}"


def build(name: str, given: argparse.Namespace) -> nn.Module:
    torch.manual_seed(0)
    options = fit_to_shape(BACKBONES[name].options(), (given.edge,) * 3)
    network: nn.Module = BACKBONES[name].load()(options)
    if given.channels_last:
        network.to(memory_format=torch.channels_last_3d)
    return network


def dataset(given: argparse.Namespace) -> VolumeDataset:
    count = given.steps * given.batch_size
    volumes = torch.randn(count, 1, *(given.edge,) * 3)
    return VolumeDataset(list(volumes), torch.zeros(count))


def autocast(given: argparse.Namespace, device: torch.device) -> Any:
    precision = choose_precision(given.precision, device)
    if precision == "32-true":
        return contextlib.nullcontext()
    kind = torch.bfloat16 if precision.startswith("bf16") else torch.float16
    return torch.autocast(device.type, kind)


def seconds(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def forward(name: str, given: argparse.Namespace, device: torch.device) -> float:
    """Return the seconds of a forward pass without gradients."""
    network = build(name, given).to(device).eval()
    images = torch.randn(given.batch_size, 1, *(given.edge,) * 3, device=device)
    times = []
    with torch.inference_mode(), autocast(given, device):
        for _ in range(max(3, given.steps // 2)):
            began = seconds(device)
            network(images)
            times.append(seconds(device) - began)
    return min(times)


def bare_loop(name: str, given: argparse.Namespace, device: torch.device) -> float:
    """Return the seconds of an epoch, the first one left out, as one writes it."""
    network = build(name, given).to(device).train()
    plan = TUNINGS[given.tuning].load()(network, TUNINGS[given.tuning].options())
    plan.begin(0)
    optimiser = torch.optim.AdamW(
        [p for group in plan.groups for p in group.parameters]
    )
    loader = training_loader(dataset(given), given.batch_size, seed=0)
    scaler = torch.amp.GradScaler(
        device.type, enabled=choose_precision(given.precision, device) == "16-mixed"
    )
    for _ in range(2):
        began = seconds(device)
        for images, targets in loader:
            optimiser.zero_grad()
            with autocast(given, device):
                logits = network(images.to(device)).squeeze(1).float()
                loss = functional.l1_loss(logits, targets.to(device))
            scaler.scale(loss).backward()
            scaler.step(optimiser)
            scaler.update()
    return seconds(device) - began


class Stopwatch(ReportProgress):
    """Reports as the job does, and keeps the seconds of each epoch's batches."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(silent, lambda logits: ("mae", 0.0), epochs=2)
        self.device = device
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.epoch_began = seconds(self.device)

    def on_train_batch_end(self, *given: Any) -> None:
        super().on_train_batch_end(*given)
        if given[0].is_last_batch:
            self.epoch_ended = seconds(self.device)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        self.seconds.append(self.epoch_ended - self.epoch_began)


def our_loop(name: str, given: argparse.Namespace, device: torch.device) -> float:
    """Return the seconds of an epoch of the job's loop, the first one left out."""
    plan = TUNINGS[given.tuning].load()(
        build(name, given), TUNINGS[given.tuning].options()
    )
    module = TaskModule(plan, TASK, Schedule(1e-3, 1e-2, 0, 2 * given.steps))
    data = dataset(given)
    few = VolumeDataset(data.sources[:2], data.targets[:2])
    watch = Stopwatch(device)
    with tempfile.TemporaryDirectory() as folder:
        settings = FitSettings(
            Path(folder),
            epochs=2,
            patience=9,
            pace=Pace(given.batch_size),
            processes=alone(device),
            precision=choose_precision(given.precision, device),
        )

        def loaders(batch_size: int) -> Loaders:
            train = training_loader(data, batch_size, seed=0)
            return Loaders(train, ordered_loader(few, 2), ordered_loader(few, 2))

        fit(module, loaders, settings, watch)
    return watch.seconds[-1]


if __name__ == "__main__":
    main()
