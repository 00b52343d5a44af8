"""What a card says of one prediction, from ``predictions.json``. No Qt here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.catalog import TASKS
from napari_neuropretrain.errors import ConfigError

Notes = Mapping[str, Any]
_MEANS = {
    "conformal": "calibrated on {scans} validation scans",
    "ensemble": "spread of {samples} models",
    "dropout": "spread of {samples} predictions with dropout",
    "tta": "spread of {samples} slightly changed copies of the scan",
}


def read_report(path: Path) -> dict[str, Any]:
    """Read ``predictions.json``.

    Raises
    ------
    ConfigError
        If it is missing or was not written by the job ``predict``.
    """
    file = path / "predictions.json" if path.is_dir() else path
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        known = isinstance(found, dict) and {"models", "predictions"} <= set(found)
    except (OSError, ValueError):
        known = False
    if not known:
        raise ConfigError(
            f"'{file}' holds no predictions. Give the output folder of a finished "
            "neuropretrain predict."
        )
    report: dict[str, Any] = found
    return report


def title_of(task: str) -> str:
    """Return what a task is called.

    Examples
    --------
    >>> title_of("brain_age"), title_of("other_task")
    ('Age in years', 'other task')
    """
    try:
        return str(TASKS[task].title)
    except ConfigError:
        return task.replace("_", " ")


def say_value(notes: Notes) -> str:
    """Return value and unit, or the group and its probability.

    Examples
    --------
    >>> say_value({"prediction": 67.04, "unit": "years"})
    '67.0 years'
    >>> say_value({"prediction": 0.953, "unit": "probability", "label": "AD"})
    'AD, probability 0.95'
    """
    value, unit = float(notes["prediction"]), notes["unit"]
    if notes.get("label"):
        return f"{notes['label']}, probability {value:.2f}"
    return f"{value:.1f} {unit}".strip()


def say_interval(notes: Notes, model: Notes, kind: str = "interval") -> str:
    """Say an interval and what it was made from; empty if there is none.

    Parameters
    ----------
    notes, model
        Of the prediction, and of its model.
    kind
        ``interval`` for the one to show, ``spread`` for the other.
    """
    found = notes.get(kind)
    if not found:
        return ""
    digits = 2 if notes.get("label") else 1
    ends = f"{found['low']:.{digits}f} to {found['high']:.{digits}f}"
    scans, samples = model.get("validation_scans", 0), notes.get("samples", 0)
    means = _MEANS[found["kind"]].format(scans=scans, samples=samples)
    return f"{100 * found['level']:.0f} % interval: {ends} ({means})."


def say_spread(notes: Notes, model: Notes) -> str:
    """Say the spread, where another interval is shown."""
    spread, shown = notes.get("spread"), notes.get("interval")
    if not spread or (shown and shown["kind"] == spread["kind"]):
        return ""
    return say_interval(notes, model, "spread").replace("interval", "spread", 1)


def say_percentiles(notes: Notes, model: Notes) -> str:
    """Say how many of the training scans have a lower value.

    Examples
    --------
    >>> say_percentiles({"percentile_by_group": {"all": 77.2}}, {"trained_on": 92})
    'Higher than the outputs for 77 % of the 92 people of the training.'
    """
    groups = notes.get("percentile_by_group") or {}
    if not groups:
        return "The model file does not tell what it gave its training scans."
    people = model.get("trained_on") or 0
    if list(groups) == ["all"]:
        who = f"the {people} people" if people else "the people"
        share = f"{groups['all']:.0f} % of {who}"
        return f"Higher than the outputs for {share} of the training."
    each = ", ".join(f"{rank:.0f} % of {name}" for name, rank in groups.items())
    return f"Higher than the outputs for {each} in the training."


def people_of(report: Notes) -> list[str]:
    """Return the scans of a report, each once, in their order."""
    return list(dict.fromkeys(str(one["participant"]) for one in report["predictions"]))
