"""Predictions beside their labels: what every evaluation starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.evaluation.age_bias import AgeBias

Kind: TypeAlias = Literal["binary", "regression"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one model said of one cohort, and what is true.

    Parameters
    ----------
    model, cohort
        Their names, for tables and sentences.
    kind
        Probabilities of the positive group, or values in `unit`.
    scans
        (N,) key of each scan.
    participants
        (N,) whose it is.
    labels
        (N,), 1 and 0 for groups.
    values
        (N,) what was predicted.
    columns
        Text (N,) by column name: age, sex, site, as far as it is known.
    threshold
        Probability from which a scan is called positive, fitted to the validation of
        the model.
    bias
        Age bias on the validation of the model; None where there is none.
    unit
        Of the values.
    """

    model: str
    cohort: str
    kind: Kind
    scans: NDArray[np.str_]
    participants: NDArray[np.str_]
    labels: NDArray[np.float64]
    values: NDArray[np.float64]
    columns: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    threshold: float = 0.5
    bias: AgeBias | None = None
    unit: str = ""

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Predictions:
        """Return some of the scans."""
        return replace(
            self,
            scans=self.scans[chosen],
            participants=self.participants[chosen],
            labels=self.labels[chosen],
            values=self.values[chosen],
            columns={name: texts[chosen] for name, texts in self.columns.items()},
        )

    @property
    def n_participants(self) -> int:
        """How many people the scans are of."""
        return len(np.unique(self.participants))
