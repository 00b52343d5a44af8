"""What a trial finds out, said as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_neuropretrain.config.estimate import Estimate
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.progress import Progress
from napari_neuropretrain.training.estimate import say


class Findings:
    """An `Estimate` that grows.

    Parameters
    ----------
    epochs
        Longest training.
    """

    def __init__(self, epochs: int) -> None:
        self.found = Estimate(epochs=epochs)

    def tell(self, warnings: tuple[str, ...] = (), **changes: object) -> None:
        """Say what is known now; the same warning is kept once."""
        told = tuple(dict.fromkeys([*self.found.warnings, *warnings]))
        self.found = self.found.replace(warnings=told, **changes)
        say(self.found)

    def hear(self, progress: Progress) -> None:
        """Keep the warnings of what is called."""
        if progress.state == "warning":
            self.tell((progress.message,))


def run_apart(findings: Findings, run: Callable[[], None]) -> int:
    """Run a trial in this process, which is its own; say what is wrong as well."""
    settle_process()
    _die_first()
    try:
        run()
    except NeuropretrainError as error:
        findings.tell(problem=str(error), done=True)
    return 0


def _die_first() -> None:
    """Let Linux kill this process, and not the viewer, where memory runs out."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    except OSError:
        return
