"""Types of settings that several jobs share, with their bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field


def split_names(value: object) -> object:
    """Return the names of a text that lists them with commas; else the value itself.

    Examples
    --------
    >>> split_names("site, sex,"), split_names(("age",))
    (['site', 'sex'], ('age',))
    """
    if not isinstance(value, str):
        return value
    return [name.strip() for name in value.split(",") if name.strip()]


Names = Annotated[tuple[str, ...], BeforeValidator(split_names)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Count = Annotated[int, Field(ge=1, le=64)]
Spacing = Annotated[float, Field(ge=0.5, le=8)]
Fraction = Annotated[float, Field(gt=0, lt=0.9)]
InputPath = Annotated[Path, Field(json_schema_extra={"path": "input"})]
NOTHING = Path("-")
"""An input that need not be given, and is not."""
OutputFolder = Annotated[Path, Field(json_schema_extra={"path": "output"})]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]

Devices = Annotated[int, Field(ge=1, le=64)]
Nodes = Annotated[int, Field(ge=1, le=1024)]
Minutes = Annotated[float, Field(ge=0, le=1440)]
Decay = Annotated[float, Field(ge=0, le=0.9999)]
GradientNorm = Annotated[float, Field(ge=0, le=1000)]
Optimiser = Literal["adamw", "adam", "sgd", "lars"]
Momentum = Annotated[float, Field(ge=0, le=0.999)]
Trackers = Annotated[
    tuple[Literal["tensorboard", "mlflow"], ...], BeforeValidator(split_names)
]
InitialWeights = Annotated[
    str, Field(json_schema_extra={"weights": "initial", "short": "init"})
]
