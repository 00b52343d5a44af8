"""How much of a network a foreign file fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from napari_neuropretrain.errors import CheckpointError

THRESHOLD = 0.95
_SHOWN = 4


@dataclass(frozen=True)
class Coverage:
    """What became of each tensor, in the file and in the network.

    Parameters
    ----------
    matched
        Names in the network that were filled, with or without reshaping.
    missing
        Names in the network that the file does not fill; they stay random.
    unexpected
        Names in the file for which the network has no place.
    reshaped
        What was done, by name in the network.
    misshapen
        Both shapes, by name in the network, where no rule could reconcile them.
    dropped
        Why, by name in the file, for what was left out on purpose.
    fresh
        Why, by name in the network, for what such files lack; not counted as missing.
    notes
        Where in the file the tensors were found.
    values_filled, values_total
        Numbers (parameters and running statistics, without the head) that were
        filled, and that there are.
    source, licence
        Where the weights are from, and their licence, where that is known.
    """

    matched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: Mapping[str, str] = field(default_factory=dict)
    misshapen: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    fresh: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    values_filled: int = 0
    values_total: int = 0
    source: str = ""
    licence: str = ""

    @property
    def tensors_total(self) -> int:
        """Tensors of the network that a file should fill, without the head."""
        return len(self.matched) + len(self.missing) + len(self.misshapen)

    @property
    def fraction(self) -> float:
        """Share that was filled: of the values or of the tensors, the smaller one.

        Of the tensors too, because normalisation layers are few numbers on which
        everything depends.
        """
        if not self.values_total or not self.tensors_total:
            return 0.0
        values = self.values_filled / self.values_total
        return min(values, len(self.matched) / self.tensors_total)

    def summary(self) -> str:
        """Say both counts in one line."""
        share = self.values_filled / max(self.values_total, 1)
        return (
            f"{self.values_filled:,} of {self.values_total:,} values ({share:.1%}) and "
            f"{len(self.matched)} of {self.tensors_total} tensors"
        )

    def describe(self) -> str:
        """Write the whole report, a few names of each kind."""
        lines = [f"Filled {self.summary()} of the network without its head."]
        lines += self.notes
        lines += _list("missing in the file", self.missing)
        lines += _list("of another shape", _pairs(self.misshapen))
        lines += _list("unexpected in the file", self.unexpected)
        lines += _grouped("reshaped", self.reshaped)
        lines += _grouped("left out on purpose", self.dropped)
        lines += _grouped("start fresh", self.fresh)
        return "\n".join(lines)

    def require(self, threshold: float, source: str, network: str = "") -> None:
        """Check the coverage.

        Raises
        ------
        CheckpointError
            If it is under `threshold`, with the whole report.
        """
        if self.fraction >= threshold:
            return
        raise CheckpointError(
            f"'{source}' does not fit the network{f' {network!r}' if network else ''}: "
            f"it would fill {self.summary()}; at least {threshold:.0%} of both are "
            f"needed. Nothing was loaded.\n{self.describe()}\n"
            "Choose the importer and the backbone the file was made with, see "
            "neuropretrain weights list."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return asdict(self)


def _pairs(values: Mapping[str, str]) -> list[str]:
    return [f"{name}: {text}" for name, text in values.items()]


def _list(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = ", …" if len(names) > _SHOWN else ""
    return [f"  {len(names)} {title}: {', '.join(names[:_SHOWN])}{more}"]


def _grouped(title: str, reasons: Mapping[str, str]) -> list[str]:
    """Write one line for each reason."""
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        groups.setdefault(reason, []).append(name)
    lines = []
    for reason, names in groups.items():
        lines += _list(f"{title} ({reason})", names)
    return lines
