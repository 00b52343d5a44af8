"""A report that cannot be made must not lose what it is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_neuropretrain.errors import Cancelled
from napari_neuropretrain.progress import Progress, Report


def write_safely(write: Callable[[], Path], report: Report) -> Path | None:
    """Write a report after the results; if that fails, warn and go on.

    Parameters
    ----------
    write
        Writes the page and returns its path.
    report
        Hears of the page, or of the reason why there is none.
    """
    try:
        path = write()
    except Cancelled:
        raise
    except Exception as error:  # noqa: BLE001 - the results are written already
        reason = f"{type(error).__name__}: {error}"
        report(Progress("warning", f"The page could not be written ({reason})."))
        return None
    report(Progress("result", values={"kind": "report", "path": str(path)}))
    return path
