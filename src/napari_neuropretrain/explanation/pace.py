"""Ask about many positions in batches, and tell how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_neuropretrain.explanation.hiders import Hider
from napari_neuropretrain.explanation.positions import Cube
from napari_neuropretrain.progress import Progress, Report

SHOW_SECONDS = 3.0
"""Time between two previews."""


class Pace:
    """Batches of positions, with progress.

    Parameters
    ----------
    hider
        Answers.
    batch_size
        Positions asked about at once; 0 for what the hider finds good.
    report
        Hears of each batch, with the seconds that remain; may raise `Cancelled`.
    """

    def __init__(self, hider: Hider, batch_size: int, report: Report) -> None:
        self._hider = hider
        self._batch_size = batch_size
        self._report = report
        self._began = time.monotonic()
        self._shown = self._began
        self._done = self._total = 0

    def expect(self, total: int) -> None:
        """Say how many positions there will be at most."""
        self._total = total
        self._report(Progress("step", "Hiding one place after the other", 0, total))

    def outputs(
        self, cubes: Sequence[Cube]
    ) -> Iterator[tuple[list[int], NDArray[np.float64]]]:
        """Yield which cubes were asked about, and the outputs with them hidden."""
        if not cubes:
            return
        order, batch = self._hider.plan(cubes)
        batch = self._batch_size or batch
        waiting = [order[i : i + batch] for i in range(0, len(order), batch)]
        while waiting:
            some = waiting.pop(0)
            try:
                outputs = self._hider.outputs([cubes[one] for one in some])
            except torch.cuda.OutOfMemoryError:
                if len(some) == 1:
                    raise
                torch.cuda.empty_cache()
                middle = len(some) // 2
                waiting[:0] = [some[:middle], some[middle:]]
                continue
            yield some, outputs.double().cpu().numpy()
            self._tell(len(some))

    def is_time_to_show(self) -> bool:
        """Say whether the last preview is old."""
        now = time.monotonic()
        if now - self._shown < SHOW_SECONDS:
            return False
        self._shown = now
        return True

    def finish(self) -> None:
        """Say that no more positions are asked about."""
        if self._done < self._total:
            self._report(Progress("step", "", self._total, self._total))

    def _tell(self, count: int) -> None:
        self._done += count
        seconds = time.monotonic() - self._began
        remaining = seconds / self._done * (self._total - self._done)
        values: dict[str, Any] = {
            "eta_s": round(remaining, 1),
            "rate": round(self._done / max(seconds, 1e-9), 2),
        }
        self._report(Progress("step", "", self._done, self._total, values))
