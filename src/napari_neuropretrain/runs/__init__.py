"""Runs: recorded in a folder, started, followed, paused, stopped, found again."""

from napari_neuropretrain.runs.execution import execute, ranks_of
from napari_neuropretrain.runs.failures import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_STOPPED,
    EXIT_USAGE,
    explain_exit,
    explain_failure,
)
from napari_neuropretrain.runs.folder import (
    CONFIG,
    EVENTS,
    LOG,
    STOP,
    check_inputs,
    read_events,
    request_stop,
)

__all__ = [
    "CONFIG",
    "EVENTS",
    "EXIT_DONE",
    "EXIT_FAILED",
    "EXIT_STOPPED",
    "EXIT_USAGE",
    "LOG",
    "STOP",
    "check_inputs",
    "execute",
    "explain_exit",
    "explain_failure",
    "ranks_of",
    "read_events",
    "request_stop",
]
