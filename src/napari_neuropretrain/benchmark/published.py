"""Published numbers, to be shown beside those that were found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.data.tables import MISSING_VALUES, read_table
from napari_neuropretrain.errors import ConfigError

COLUMNS = ("task", "backbone", "initialisation", "fraction", "cohort", "metric")
Place = tuple[str, str, str, float, str, str]
"""Task, backbone, initialisation, share of the training part, cohort and metric."""


@dataclass(frozen=True)
class Published:
    """A number in print.

    Parameters
    ----------
    value
        As printed.
    sd
        Over runs; NaN where none is given.
    note
        What is unclear about it.
    """

    value: float
    sd: float = math.nan
    note: str = ""

    def __str__(self) -> str:
        spread = f" ({self.sd:g})" if math.isfinite(self.sd) else ""
        return f"{self.value:g}{spread}"


def read_published(path: Path) -> Mapping[Place, Published]:
    """Read a table of published numbers; by the names that the plan uses.

    Raises
    ------
    ConfigError
        If a column is missing, or a value is no number.
    """
    if path == NOTHING:
        return {}
    rows = read_table(path)
    needed = (*COLUMNS, "value")
    if missing := [name for name in needed if not rows or name not in rows[0]]:
        raise ConfigError(
            f"published: '{path}' lacks the column {', '.join(map(repr, missing))}. It "
            f"needs {', '.join(needed)}, and may have sd and note."
        )
    found = {}
    for row in rows:
        try:
            share = float(row["fraction"])
            value = Published(
                float(row["value"]), _number(row.get("sd", "")), row.get("note", "")
            )
        except ValueError as error:
            raise ConfigError(f"published: '{path}': {error}.") from None
        task, backbone, start, _, cohort, metric = (row[name] for name in COLUMNS)
        found[task, backbone, start, share, cohort, metric] = value
    return found


def _number(text: str) -> float:
    return math.nan if text.lower() in MISSING_VALUES else float(text)
