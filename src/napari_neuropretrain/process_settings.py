"""Settings of a process that computes; they must precede the import of torch."""

from __future__ import annotations

import ctypes
import os
import sys

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


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
