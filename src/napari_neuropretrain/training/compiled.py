"""Functions that Numba turns into machine code at their first call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

_Given = ParamSpec("_Given")
_Back = TypeVar("_Back")

# Sums in any order and fused products, so that loops use wide registers; not the
# rules by which NaN or infinity would be assumed away.
_ARITHMETIC = {"reassoc", "contract", "arcp", "nsz"}


def compiled(function: Callable[_Given, _Back]) -> Callable[_Given, _Back]:
    """Compile a function on arrays and numbers; it runs without Python's lock.

    The machine code is kept beside the module, or in the user's cache folder when
    the module's cannot be written. It is made anew when the module changes; not when
    another module does, whose functions it calls.
    """
    kept = numba.njit(nogil=True, fastmath=_ARITHMETIC, error_model="numpy")(function)
    with contextlib.suppress(RuntimeError):  # no folder can be written
        kept.enable_caching()
    return kept
