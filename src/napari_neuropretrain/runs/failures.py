"""Why a job ended badly: a sentence, and a likely cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from napari_neuropretrain.errors import is_out_of_memory

Cause: TypeAlias = Literal["", "memory", "disk", "bug", "killed", "crash"]
"""What lies behind a failure; empty where the sentence says it all."""

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_STOPPED = 0, 1, 2, 3
KILLED = (-9, 137)
_SHORT = 0.1
"""Share of a machine's memory under which it is short."""


def cause_of(error: BaseException) -> Cause:
    """Return what lies behind an exception.

    Examples
    --------
    >>> cause_of(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    'memory'
    >>> cause_of(KeyError("x"))
    'bug'
    """
    below: BaseException | None = error
    while below is not None:
        if is_out_of_memory(below):
            return "memory"
        below = below.__cause__ or below.__context__
    if isinstance(error, OSError) and error.errno == 28:
        return "disk"
    return "bug"


def explain_failure(error: BaseException) -> str:
    """Turn an unforeseen exception into a sentence with advice.

    Examples
    --------
    >>> explain_failure(RuntimeError("CUDA out of memory."))
    'Out of memory: CUDA out of memory. Lower batch_size (or workers), take a smaller \
backbone, or run with --device cpu.'
    >>> explain_failure(OSError(12, "Cannot allocate memory"))
    'Out of memory: [Errno 12] Cannot allocate memory. Lower batch_size (or workers), \
or take a smaller backbone.'
    """
    text = str(error).strip() or type(error).__name__
    cause = cause_of(error)
    if cause == "memory":
        first = text.splitlines()[0].rstrip(".")
        on_gpu = any(sign in text for sign in ("CUDA", "HIP", "MPS"))
        advice = ", take a smaller backbone, or run with --device cpu"
        if not on_gpu:
            advice = ", or take a smaller backbone"
        return f"Out of memory: {first}. Lower batch_size (or workers){advice}."
    if cause == "disk" and isinstance(error, OSError):
        return f"The disk is full: '{error.filename}'. Free some space and run again."
    return (
        f"Unexpected {type(error).__name__}: {text}. This is a bug in "
        "napari-neuropretrain; please report it with the run.log of the run folder."
    )


def explain_exit(code: int | None, memory: Mapping[str, Any] | None = None) -> str:
    """Turn the exit code of a job's process into a sentence.

    Parameters
    ----------
    code
        None where nobody was there to see it.
    memory
        The values of the last ``heartbeat``, if there was one.

    Examples
    --------
    >>> explain_exit(-9, {"rss_peak_mib": 3072, "free_mib": 205})
    'Killed by the system (signal 9), most likely because the memory ran out: it held \
3.0 GiB at its peak, and 0.2 GiB of the machine were free.'
    >>> explain_exit(77)
    'Ended with exit code 77: see run.log.'
    >>> explain_exit(-9, {"rss_peak_mib": 1024, "free_mib": 8192, "total_mib": 16384})
    'Killed (signal 9), by somebody or by a limit of its memory: it held 1.0 GiB at \
its peak, and 8.0 GiB of the machine were free.'
    """
    if code in KILLED and _much_free(memory):
        words = "Killed (signal 9), by somebody or by a limit of its memory"
        return f"{words}{_say_memory(memory)}"
    if code in KILLED:
        words = "Killed by the system (signal 9), most likely because the memory ran "
        return f"{words}out{_say_memory(memory)}"
    if code is None:
        words = "Its process is gone, and left no word: it was killed, or the machine "
        return f"{words}was switched off{_say_memory(memory)}"
    known = {
        EXIT_DONE: "Done.",
        EXIT_FAILED: "Failed, or part of the cohort failed: see the list.",
        EXIT_USAGE: "Wrong usage or settings.",
        EXIT_STOPPED: "Stopped on request.",
        -15: "Ended from outside.",
        -6: "Given up by a library (abort): see console.log and run.log.",
        -11: "Crashed in native code (segmentation fault): see run.log.",
    }
    return known.get(code, f"Ended with exit code {code}: see run.log.")


def cause_of_exit(code: int | None, memory: Mapping[str, Any] | None = None) -> Cause:
    """Return what lies behind a process that ended without a word.

    Examples
    --------
    >>> cause_of_exit(-9), cause_of_exit(None), cause_of_exit(-11)
    ('memory', 'killed', 'crash')
    >>> cause_of_exit(None, {"free_mib": 100, "total_mib": 4000})
    'memory'
    >>> cause_of_exit(-9, {"rss_peak_mib": 1000, "free_mib": 9000, "total_mib": 16000})
    'killed'
    """
    if code in KILLED and _much_free(memory):
        return "killed"
    found = memory or {}
    free, total = found.get("free_mib"), found.get("total_mib")
    short = bool(free is not None and total and free < _SHORT * total)
    if code in KILLED or short:
        return "memory"
    return "killed" if code is None else "crash"


def _much_free(memory: Mapping[str, Any] | None) -> bool:
    """Whether the machine had room for twice what a run held: it was not short."""
    found = memory or {}
    free, total, held = (found.get(f"{n}_mib") for n in ("free", "total", "rss_peak"))
    if free is None or total is None or held is None:
        return False
    return bool(free > max(held, 2 * _SHORT * total))


def _say_memory(memory: Mapping[str, Any] | None) -> str:
    if not memory or "rss_peak_mib" not in memory:
        return "."
    text = f": it held {memory['rss_peak_mib'] / 1024:.1f} GiB at its peak"
    if "free_mib" in memory:
        text += f", and {memory['free_mib'] / 1024:.1f} GiB of the machine were free"
    return text + "."
