"""What a run says once an epoch, ordered into curves that belong together. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOSS = "Loss"
_NO_CURVES = ("epoch", "best", "eta_s", "metric")
_FEATURES = {"feature_rank": "Feature rank", "feature_spread": "Feature spread"}
_METRICS = {
    "mae": "mean absolute error",
    "r": "correlation",
    "auc": "AUC",
    "roc_auc": "AUC",
}
_PROBE, _VALIDATION = "probe_", "validation_"


@dataclass
class Curve:
    """One number over the epochs.

    Parameters
    ----------
    label
        For the legend.
    epochs, values
        As long as each other; epochs rise.
    """

    label: str
    epochs: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, epoch: int, value: float) -> None:
        """Add a point; one at an earlier epoch replaces what came after it."""
        while self.epochs and self.epochs[-1] >= epoch:
            self.epochs.pop()
            self.values.pop()
        self.epochs.append(epoch)
        self.values.append(value)

    def at(self, epoch: int) -> float | None:
        """Return the value of an epoch, or None where it has none."""
        known = dict(zip(self.epochs, self.values, strict=True))
        return known.get(epoch)


class Curves:
    """All curves of one run, by group and by name; feed it with `take`.

    Attributes
    ----------
    groups
        Curves that share an axis, by title; losses first.
    best
        The epoch whose weights are kept, or None.
    """

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, Curve]] = {}
        self.best: int | None = None
        self._again = False

    def begin_again(self) -> None:
        """Let the next epoch replace all that was at or after it."""
        self._again = True

    def copy(self) -> Curves:
        """Return curves that stay as they are now."""
        same = Curves()
        same.best = self.best
        same.groups = {
            title: {
                name: Curve(one.label, list(one.epochs), list(one.values))
                for name, one in group.items()
            }
            for title, group in self.groups.items()
        }
        return same

    def take(self, event: Mapping[str, Any]) -> None:
        """Note the numbers of an ``epoch`` event."""
        values = event.get("values", {})
        epoch = event.get("step") or values.get("epoch")
        if event["state"] != "epoch" or not epoch:
            return
        if self._again:
            self._cut(int(epoch))
        if values.get("best"):
            self.best = int(epoch)
        elif self.best is not None and self.best > epoch:
            self.best = None  # another training begins
        for name, value in values.items():
            if name not in _NO_CURVES and _is_number(value):
                title, label = place_of(name)
                group = self.groups.setdefault(title, {})
                group.setdefault(name, Curve(label)).add(int(epoch), float(value))

    def _cut(self, epoch: int) -> None:
        """Forget what was at or after an epoch."""
        self._again = False
        for title, group in list(self.groups.items()):
            for name, one in list(group.items()):
                kept = sum(known < epoch for known in one.epochs)
                group[name] = Curve(one.label, one.epochs[:kept], one.values[:kept])
                if not kept:
                    del group[name]
            if not group:
                del self.groups[title]


def place_of(name: str) -> tuple[str, str]:
    """Return title of the group and label of a curve.

    Examples
    --------
    >>> place_of("loss"), place_of("validation_loss")
    (('Loss', 'training'), ('Loss', 'validation'))
    >>> place_of("probe_age_mae"), place_of("probe_sex_auc")
    (('Probe: mean absolute error', 'age'), ('Probe: AUC', 'sex'))
    >>> place_of("feature_rank"), place_of("validation_variance")
    (('Feature rank', 'validation'), ('Parts of the loss', 'variance'))
    >>> place_of("learning_rate"), place_of("auc")
    (('Learning rate', ''), ('AUC', 'validation'))
    """
    if name in ("loss", "validation_loss"):
        return LOSS, "training" if name == "loss" else "validation"
    if name in _FEATURES:
        return _FEATURES[name], "validation"
    if name.startswith(_PROBE):
        label, _, metric = name.removeprefix(_PROBE).rpartition("_")
        return f"Probe: {_METRICS.get(metric, _words(metric))}", _words(label)
    if name.startswith(_VALIDATION):
        return "Parts of the loss", _words(name.removeprefix(_VALIDATION))
    if name == "learning_rate":
        return "Learning rate", ""
    words = _METRICS.get(name, _words(name))
    return words[:1].upper() + words[1:], "validation"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]
