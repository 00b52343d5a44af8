"""A toy job and its runs."""

from __future__ import annotations

import sys
import time
import types
from pathlib import Path

import pytest

from napari_neuropretrain import runs
from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.fields import InputPath, OutputFolder
from napari_neuropretrain.config.registry import Registry
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.progress import Failure, Outcome, Progress


class ToyConfig(Config):
    """A toy."""

    input: InputPath
    """Something there."""
    output: OutputFolder
    """Run folder."""
    mode: str = "good"
    """How it ends."""


def toy(config: ToyConfig, report) -> Outcome:
    report(Progress("step", "working", 1, 2, {"loss": 0.5}))
    if config.mode == "stop":
        runs.request_stop(config.output)
        report(Progress("step", "still working", 2, 2))
    if config.mode == "count":
        for number in range(400):
            report(Progress("step", "", number, 400))
            time.sleep(0.01)
    if config.mode == "explained":
        raise NeuropretrainError("No brain in 'x'.")
    if config.mode == "bug":
        raise KeyError("oops")
    if config.mode == "memory":
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nmore")
    failures = (Failure("sub-02", "truncated"),) if config.mode == "part" else ()
    return Outcome("Did it.", failures, {"table": "t.tsv"})


@pytest.fixture
def run(tmp_path: Path):
    jobs = Registry("job")
    jobs.register("toy", "A toy", ToyConfig, "unused:unused")
    object.__setattr__(jobs["toy"], "target", f"{__name__}:toy")
    module = types.ModuleType(__name__)
    module.toy = toy
    sys.modules.setdefault(__name__, module)
    heard: list[Progress] = []

    def start(mode: str, **more) -> Outcome:
        config = ToyConfig(input=tmp_path, output=tmp_path / "run", mode=mode)
        return runs.execute(jobs, "toy", config, heard.append, **more)

    start.heard = heard
    start.folder = tmp_path / "run"
    start.config = ToyConfig
    return start
