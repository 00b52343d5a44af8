"""The command ``estimate``: watch over the process that tries a training.

That process may be killed for its memory, or take too long: this one is left, and
what was found out until then.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import TypeAlias

from napari_neuropretrain.config.estimate import (
    Estimate,
    EstimateConfig,
    PretrainEstimateConfig,
)
from napari_neuropretrain.errors import NeuropretrainError

Listen = Callable[[Estimate], None]
AnyConfig: TypeAlias = EstimateConfig | PretrainEstimateConfig

_SET_UP_S = 300.0
"""Longest time to import, to read the cohort and to look at the weights."""
_GRACE_S = 5.0
_MARK = "estimate: "
_KILLED = (
    "The trial step was killed by the system, probably out of memory. Lower "
    "batch_size, turn on checkpointing, or take a smaller backbone."
)


def estimate(config: AnyConfig, listen: Listen) -> Estimate:
    """Find out what a training would cost.

    Parameters
    ----------
    config
        Settings of the training.
    listen
        Hears of each `Estimate` as soon as more is known.

    Returns
    -------
    Estimate
        The last one. Settings that cannot be trained with are its `problem`.

    Raises
    ------
    NeuropretrainError
        If the trial ended without a word.
    """
    latest: Estimate | None = None
    with _trial(config) as (process, lines):
        limit = _SET_UP_S
        while True:
            try:
                line = lines.get(timeout=limit)
            except Empty:
                latest = _late(latest, config)
                listen(latest)
                return latest
            if line is None:
                break
            latest = Estimate.parse(json.loads(line))
            listen(latest)
            if latest.done:
                return latest
            limit = config.probe_seconds + _GRACE_S if latest.device else _SET_UP_S
        return _ended(latest, process, listen)


def say(found: Estimate) -> None:
    """Tell the watching process what is known, from inside the trial."""
    sys.__stdout__.write(_MARK + found.model_dump_json() + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


def _late(latest: Estimate | None, config: AnyConfig) -> Estimate:
    found = latest or Estimate()
    note = f"No step was done within {config.probe_seconds:g} s: time is not known."
    if found.epoch_s is not None:
        note = "The trial took too long and was ended: time and memory are rough."
    return found.replace(done=True, warnings=(*found.warnings, note))


def _ended(
    latest: Estimate | None, process: subprocess.Popen[str], listen: Listen
) -> Estimate:
    """Say why the trial ended before it was done."""
    code = process.wait()
    if latest is not None and code in (-9, 137):
        found = latest.replace(done=True, warnings=(*latest.warnings, _KILLED))
        listen(found)
        return found
    raise NeuropretrainError(
        f"The trial ended with exit code {code} and without a word. Start it again "
        "from a terminal to see why: neuropretrain estimate --config FILE"
    )


@contextmanager
def _trial(
    config: AnyConfig,
) -> Iterator[tuple[subprocess.Popen[str], Queue[str | None]]]:
    """Start the trial; give what it says, then None. It never outlives the block."""
    lines: Queue[str | None] = Queue()
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "estimate.yaml"
        config.to_file(settings)
        pretraining = isinstance(config, PretrainEstimateConfig)
        module = f"{__package__}.{'pretrain' if pretraining else 'finetune'}_trial"
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

        def read() -> None:
            for line in process.stdout or ():
                if line.startswith(_MARK):
                    lines.put(line.removeprefix(_MARK))
            lines.put(None)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            yield process, lines
        finally:
            process.kill()
            process.wait()
            reader.join()
            if process.stdout:
                process.stdout.close()
