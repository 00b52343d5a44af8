"""Errors written for the person at the screen.

Each one derives from the built-in error a caller would expect, says what was
given, what is allowed, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NeuropretrainError(Exception):
    """Anything this package can explain in a sentence; never a bug."""


class ConfigError(NeuropretrainError, ValueError):
    """A setting has a wrong name, kind or value."""


class ImageError(NeuropretrainError, ValueError):
    """A scan cannot be read, or cannot be used as a T1-weighted volume."""


class CohortError(NeuropretrainError, ValueError):
    """A participants table or dataset folder cannot be used as it is."""


class LeakageError(CohortError):
    """Someone would be tested on whom, or on whose scan, something was learned."""


class CheckpointError(NeuropretrainError, ValueError):
    """A model file is missing, damaged or of another kind."""


class ContractError(CheckpointError):
    """A scan was preprocessed differently from what the model was trained on."""


class BrainMaskError(NeuropretrainError, RuntimeError):
    """No plausible brain was found in a scan."""


class RegistrationError(NeuropretrainError, RuntimeError):
    """A scan could not be aligned with the template."""


class DeviceError(NeuropretrainError, RuntimeError):
    """The requested device is absent or has too little memory."""


class MissingDependencyError(NeuropretrainError, ImportError):
    """An optional package or a system library is not installed."""


class Cancelled(Exception):
    """The person asked the job to stop; raised by the report function."""


_MEMORY_SIGNS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "bad_alloc",
    "unable to allocate",
    "out_of_memory",
    # oneDNN keeps the reason to itself; short of memory is nearly always it.
    "could not create a primitive",
    "could not execute a primitive",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of CPU or GPU is too small.

    Only some allocators raise a class of their own; others say it in words.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    True
    >>> is_out_of_memory(KeyError("x"))
    False
    """
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | OSError)
        and any(sign in text for sign in _MEMORY_SIGNS)
    )


def unknown_name(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """Return the error of a name that is none of those known, with the nearest one.

    Examples
    --------
    >>> print(unknown_name("task", "adx", ["ad", "pd"]))
    Unknown task 'adx'. Did you mean 'ad'? Known: ad, pd.
    """
    names = list(known)
    hint = did_you_mean(name, names)
    return ConfigError(
        f"Unknown {kind} '{name}'.{hint} Known: {', '.join(names) or 'none yet'}."
    )


def did_you_mean(name: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Return a question with the nearest name, or an empty text.

    Parameters
    ----------
    name
        What was typed.
    known
        What may be typed.
    alike
        From 0 to 1: how alike both must be at least.
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=alike)
    return f" Did you mean '{near[0]}'?" if near else ""
