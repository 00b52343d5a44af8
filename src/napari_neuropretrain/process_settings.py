"""Settings of a process that computes; they must precede the import of torch."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
"""Libraries read these once, when they are loaded."""


def settle_worker(threads: int) -> None:
    """Do as `settle_process`, and let each library use so many threads.

    It holds for libraries that are loaded afterwards, and for child processes.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    settle_process()


def settle_process() -> None:
    """Make the most of a CPU that has other work, too.

    OpenMP's threads sleep while they wait for each other: spinning, the default,
    makes a step many times slower as soon as another process wants the cores.
    Child processes inherit it. Freed memory is kept, see `keep_freed_memory`.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()


def keep_freed_memory(top_pad_mib: int = 64) -> bool:
    """Let malloc reuse large blocks instead of giving them back to the system.

    By default glibc maps each large tensor anew and unmaps it when freed, so that
    every step of a network pays for zeroing and faulting in fresh pages. With 3D
    feature maps on a CPU that can take longer than the arithmetic.

    Returns
    -------
    bool
        Whether it was done; only glibc (Linux) has these settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {
        _MMAP_MAX: 0,
        _TRIM_THRESHOLD: 2**31 - 1,
        _TOP_PAD: top_pad_mib * 2**20,
    }
    return all(mallopt(name, value) == 1 for name, value in settings.items())


def peak_memory_mib() -> float | None:
    """Return the most memory this process has held in RAM so far, in MiB.

    None where the system does not tell.

    Examples
    --------
    >>> 5 < peak_memory_mib() < 1e6
    True
    """
    try:
        # Not getrusage, in which a child starts with the peak of its parent.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    except (OSError, ValueError, IndexError):
        pass
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
