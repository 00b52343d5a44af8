"""An estimate in a process of its own: start, listen, end. No Qt here."""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import psutil

from napari_neuropretrain.config.estimate import (
    ESTIMATES,
    Estimate,
    EstimateConfig,
    PretrainEstimateConfig,
)
from napari_neuropretrain.errors import ConfigError

AnyEstimateConfig: TypeAlias = EstimateConfig | PretrainEstimateConfig

_RUNNING: set[EstimateProcess] = set()


class EstimateProcess:
    """An estimate that is being made.

    Parameters
    ----------
    config
        Settings of the training.
    command
        Run this in place of the package's command line; for tests.
    """

    def __init__(
        self, config: AnyEstimateConfig, command: Sequence[str] | None = None
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="neuropretrain-estimate-"))
        settings, self._said = self._folder / "estimate.yaml", self._folder / "said"
        self._complaint = self._folder / "complaint"
        config.to_file(settings)
        module = [sys.executable, "-m", "napari_neuropretrain"]
        name = next(one.name for one in ESTIMATES if one.options is type(config))
        words = [*(command or module), name, "--config", str(settings), "--json"]
        with self._said.open("wb") as said, self._complaint.open("wb") as complaint:
            self._process = psutil.Popen(
                words, stdin=subprocess.DEVNULL, stdout=said, stderr=complaint
            )
        _RUNNING.add(self)

    def poll(self) -> tuple[Estimate | None, bool]:
        """Return the newest estimate, and whether it is the last one."""
        ended = self._process.poll() is not None
        found = self._newest()
        if ended and (found is None or not found.done):
            text = self._complaint.read_text(encoding="utf-8", errors="replace")
            problem = text.strip() or "The estimate ended without a word."
            found = (found or Estimate()).replace(done=True, problem=problem[-600:])
        return found, ended

    def end(self) -> None:
        """End the process with all its descendants, and remove its files."""
        _RUNNING.discard(self)
        try:
            family = [*self._process.children(recursive=True), self._process]
        except psutil.NoSuchProcess:
            family = []
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _newest(self) -> Estimate | None:
        data = self._said.read_bytes()
        lines = data[: data.rfind(b"\n") + 1].splitlines()
        if not lines:
            return None
        try:
            values = json.loads(lines[-1])
            known = {n: values[n] for n in Estimate.model_fields if n in values}
            return Estimate.parse(known)
        except (ValueError, TypeError, ConfigError):
            return None


@atexit.register
def end_all() -> None:
    """Leave no estimate behind when the viewer closes."""
    for process in tuple(_RUNNING):
        process.end()
