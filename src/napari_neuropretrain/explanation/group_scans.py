"""The map of each scan of a cohort; those that are there already are kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import Cancelled, ConfigError
from napari_neuropretrain.explanation.group_maps import Member
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report
from napari_neuropretrain.weights.model_card import ModelCard

Explain: TypeAlias = Callable[[ExplainConfig, Scan, Report], Outcome]
"""Explains one scan into the output of its settings."""
SCANS, DONE = "scans", "done.json"
_FREE = {"input", "output", "device", "threads", "batch_size", "regions", "scans"}
_FREE |= {"group_by", "permutations", "model", "others"}
"""Settings that do not change the map of a scan."""
_BEAT_S = 2.0


@dataclass(frozen=True, eq=False)
class Explained:
    """A scan with a map.

    Parameters
    ----------
    member
        The scan, its map and what was predicted for it.
    preprocessed
        The volume that the network saw.
    """

    member: Member
    preprocessed: Path


def explain_each(
    config: ExplainConfig,
    card: ModelCard,
    scans: Sequence[Scan],
    explain: Explain,
    report: Report,
) -> tuple[list[Explained], list[Failure]]:
    """Explain what is missing; one bad scan never stops the others.

    Parameters
    ----------
    config
        How maps are made; each scan has a folder of its own in the output.
    card
        Of the model.
    scans
        Whom to explain.
    explain
        Explains one scan.
    report
        Hears of each scan; may raise `Cancelled`.

    Returns
    -------
    list of Explained, list of Failure
        Scans with a map, and those without.
    """
    found: list[Explained] = []
    failures: list[Failure] = []
    for number, scan in enumerate(scans, 1):
        own = config.replace(output=config.output / SCANS / scan.key, scans=())
        try:
            done = _results(own, card, scan)
            if done is None:
                outcome = explain(own, scan, _Quiet(report))
                done = _note(own, card, scan, outcome)
            one = _read(scan, done)
            if found and one.member.values.shape != found[0].member.values.shape:
                raise ConfigError("Its map is on another grid than those before.")
            found.append(one)
            report(Progress("item_done", scan.key, number, len(scans)))
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            failures.append(Failure(scan.key, str(error) or type(error).__name__))
            message = f"{scan.key}: {failures[-1].reason}"
            report(Progress("item_failed", message, number, len(scans)))
    return found, failures


class _Quiet:
    """Passes warnings on, and of all else only that something goes on."""

    def __init__(self, report: Report) -> None:
        self._report, self._last = report, time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if progress.state == "warning":
            self._report(progress)
        elif time.monotonic() - self._last > _BEAT_S:
            self._last = time.monotonic()
            self._report(Progress("heartbeat"))


def _settings(config: ExplainConfig, card: ModelCard, scan: Scan) -> dict[str, Any]:
    settings = config.model_dump(mode="json", exclude=_FREE)
    others = [str(one) for one in config.others]
    return settings | {
        "model_sha256": card.sha256,
        "scan": str(scan.path),
        "others": others,
    }


def _results(
    config: ExplainConfig, card: ModelCard, scan: Scan
) -> dict[str, str] | None:
    """Return the files of a scan that was explained with these settings, or None."""
    note = config.output / DONE
    if not note.is_file():
        return None
    known = json.loads(note.read_text(encoding="utf-8"))
    results: dict[str, str] = known["results"]
    there = all(Path(results[name]).is_file() for name in ("map", "preprocessed"))
    same = known["settings"] == _settings(config, card, scan)
    return results if same and there else None


def _note(
    config: ExplainConfig, card: ModelCard, scan: Scan, outcome: Outcome
) -> dict[str, str]:
    results = dict(outcome.results)
    noted = {"settings": _settings(config, card, scan), "results": results}
    write_text(config.output / DONE, json.dumps(noted, indent=2) + "\n")
    return results


def _read(scan: Scan, results: dict[str, str]) -> Explained:
    preprocessed = Path(results["preprocessed"])
    derivative = read_derivative(preprocessed)
    described = json.loads(Path(results["explanation"]).read_text(encoding="utf-8"))
    values = read_volume(results["map"]).data
    anatomy = derivative.image.astype(np.float32)
    one = Member(
        scan, values, anatomy, derivative.brain_mask, float(described["prediction"])
    )
    return Explained(one, preprocessed)
