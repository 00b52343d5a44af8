"""What to change so that a run that failed may work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.runs.failures import Cause

Pace: TypeAlias = tuple[int, int] | tuple[()]
"""Volumes per step and steps per update; empty: as in the settings."""

RESUME = "Resume"
_LEAST_BATCH = 2
_LEAST_MEMORY_GIB = 1.0


def pace_of(event: Mapping[str, Any]) -> Pace:
    """Return the smaller batch that an event tells of; empty if it does not.

    Examples
    --------
    >>> values = {"batch_size": 4, "accumulate": 2}
    >>> pace_of({"state": "warning", "values": values}), pace_of({"state": "step"})
    ((4, 2), ())
    """
    values = event.get("values", {})
    if event["state"] == "warning" and {"batch_size", "accumulate"} <= values.keys():
        return int(values["batch_size"]), int(values["accumulate"])
    return ()


@dataclass(frozen=True)
class Remedy:
    """A change of settings.

    Parameters
    ----------
    title
        For a button.
    why
        What it does, in a sentence.
    config
        The changed settings.
    """

    title: str
    why: str
    config: Config


def remedies(
    config: Config, cause: Cause, on_gpu: bool = False, tried: Pace = ()
) -> list[Remedy]:
    """Return what may help, the best first; nothing where nothing is known to.

    Parameters
    ----------
    config
        Settings of the run that failed.
    cause
        What lies behind the failure.
    on_gpu
        Whether it was on a GPU, where the settings say ``auto``.
    tried
        Batch size and accumulation that the training came down to by itself.

    Examples
    --------
    >>> from napari_neuropretrain.config.trainings import FinetuneConfig
    >>> config = FinetuneConfig(cohort="a", output="b", batch_size=8, device="cuda")
    >>> [one.title for one in remedies(config, "memory")]
    ['Retry with half the batch', 'Retry with checkpointing', 'Retry on the CPU']
    >>> remedies(config, "memory")[0].config.accumulate
    2
    >>> [one.title for one in remedies(config, "killed")]
    ['Resume', 'Retry with half the batch', 'Retry with checkpointing', \
'Retry on the CPU']
    >>> [one.title for one in remedies(config, "crash")]
    ['Resume']
    """
    if hasattr(config, "checkpoint_minutes"):
        # A second try is to go on at the checkpoints of the first.
        config = config.replace(overwrite=False)
    found: list[Remedy | None] = []
    if cause in ("killed", "crash"):
        why = "Go on at the last checkpoint, or with what is missing."
        found.append(Remedy(RESUME, why, config))
    if cause in ("memory", "killed"):
        if tried and hasattr(config, "accumulate"):
            config = config.replace(batch_size=tried[0], accumulate=tried[1])
        found += [remedy(config) for remedy in _FOR_MEMORY]
        found.append(_on_cpu(config, on_gpu))
    return [one for one in found if one is not None]


def _half_batch(config: Config) -> Remedy | None:
    size = getattr(config, "batch_size", 0)
    if size < 2 * _LEAST_BATCH:
        return None
    half = size // 2
    changes: dict[str, Any] = {"batch_size": half}
    why = f"{half} volumes per step instead of {size}"
    if hasattr(config, "accumulate"):
        # As `Pace.halved` of the training does, so that it goes on where it was.
        changes["accumulate"] = max(1, size * config.accumulate // half)
        why += ", and more steps per update, so that it learns alike"
    return Remedy("Retry with half the batch", why + ".", config.replace(**changes))


def _checkpointing(config: Config) -> Remedy | None:
    if getattr(config, "checkpointing", True):  # on already, or no such setting
        return None
    why = "Feature maps are computed again instead of kept: slower, less memory."
    changed = config.replace(checkpointing=True)
    return Remedy("Retry with checkpointing", why, changed)


def _fewer_workers(config: Config) -> Remedy | None:
    workers = getattr(config, "workers", 1)
    if workers < 2 or hasattr(config, "batch_size"):
        return None
    half = workers // 2
    why = f"{half} scans at the same time instead of {workers}."
    return Remedy("Retry with fewer workers", why, config.replace(workers=half))


def _on_cpu(config: Config, on_gpu: bool) -> Remedy | None:
    device = str(getattr(config, "device", "cpu"))
    if not device.startswith(("cuda", "mps")) and not (on_gpu and device == "auto"):
        return None
    changes: dict[str, Any] = {"device": "cpu"}
    if hasattr(config, "devices"):
        changes["devices"] = 1
    why = "The machine has more memory than its GPU, but it takes much longer."
    return Remedy("Retry on the CPU", why, config.replace(**changes))


_FOR_MEMORY: tuple[Callable[[Config], Remedy | None], ...] = (
    _half_batch,
    _fewer_workers,
    _checkpointing,
)
