"""Options of the tasks: which column holds the label, and how to read it."""

from __future__ import annotations

from napari_neuropretrain.config.base import Config


class BinaryTaskOptions(Config):
    """Tell two groups apart; loss: binary cross-entropy."""

    label: str = "diagnosis"
    """Column of the participants table."""
    positive: tuple[str, ...] = ("1",)
    """Values of the positive group; upper and lower case are the same."""
    negative: tuple[str, ...] = ("0",)
    """Values of the negative group; rows with any other value are left out."""


class AdOptions(BinaryTaskOptions):
    """Alzheimer's disease (positive) against controls."""

    positive: tuple[str, ...] = ("AD", "Alzheimer", "Dementia", "1")
    """Values that mean Alzheimer's disease."""
    negative: tuple[str, ...] = ("CN", "HC", "NC", "Control", "0")
    """Values that mean control."""


class PdOptions(BinaryTaskOptions):
    """Parkinson's disease (positive) against controls."""

    positive: tuple[str, ...] = ("PD", "Parkinson", "1")
    """Values that mean Parkinson's disease."""
    negative: tuple[str, ...] = ("CN", "HC", "NC", "Control", "0")
    """Values that mean control."""


class SexOptions(BinaryTaskOptions):
    """Sex, with male as the positive group."""

    label: str = "sex"
    """Column of the participants table."""
    positive: tuple[str, ...] = ("M", "Male", "1")
    """Values that mean male."""
    negative: tuple[str, ...] = ("F", "Female", "0", "2")
    """Values that mean female."""


class RegressionTaskOptions(Config):
    """Predict a number; loss: L1."""

    label: str = "value"
    """Column of the participants table."""
    unit: str = ""
    """Unit of the number."""


class BrainAgeOptions(RegressionTaskOptions):
    """Age in years."""

    label: str = "age"
    """Column of the participants table."""
    unit: str = "years"
    """Unit of the number."""
