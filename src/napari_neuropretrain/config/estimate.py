"""Settings of the commands that estimate a training, and what they find out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.options.sources import CohortOptions
from napari_neuropretrain.config.registry import Registry
from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig

Span = tuple[float, float]


class EstimateConfig(FinetuneConfig):
    """Say what a fine-tuning would cost, with all its settings; nothing is written."""

    cohort: Annotated[Path, Field(json_schema_extra={"path": "input"})] = NOTHING
    """The cohort of the fine-tuning; -, for none, only counts parameters."""
    output: Annotated[Path, Field(json_schema_extra={"path": "output"})] = Path(
        "not-written"
    )
    """Not used; here so that the settings file of a fine-tuning can be given."""
    probe_seconds: Annotated[float, Field(ge=0, le=3600)] = 60.0
    """Longest time for the training steps that are tried; 0 tries none."""
    json_lines: bool = False
    """Print JSON, a line each time more is known; --json is the same."""


class PretrainEstimateConfig(PretrainConfig):
    """Say what a pre-training would cost, with all its settings; nothing is written."""

    output: Annotated[Path, Field(json_schema_extra={"path": "output"})] = Path(
        "not-written"
    )
    """Not used; here so that the settings file of a pre-training can be given."""
    probe_seconds: Annotated[float, Field(ge=0, le=3600)] = 60.0
    """Longest time for the training steps that are tried; 0 tries none."""
    json_lines: bool = False
    """Print JSON, a line each time more is known; --json is the same."""

    @field_validator("source")
    @classmethod
    def _one_source(cls, value: Choice, info: object) -> Choice:
        """Without a cohort, only parameters are counted."""
        return value

    @property
    def has_source(self) -> bool:
        """Whether it is known where the volumes come from."""
        return self.cohort != NOTHING or self.source.options != CohortOptions()


class Estimate(Config):
    """What a fine-tuning would cost, as far as it is known."""

    done: bool = False
    """Whether nothing more will follow."""
    problem: str = ""
    """Why these settings cannot be trained with; empty if they can."""
    warnings: tuple[str, ...] = ()
    """What a person should know before starting."""
    parameters: int = 0
    """Numbers in the network."""
    trainable: int = 0
    """Numbers that learn, low-rank updates included."""
    shape: tuple[int, int, int] | None = None
    """Voxels of the volumes."""
    scans: dict[str, int] = Field(default_factory=dict)
    """Scans with a label, by part."""
    people: dict[str, str] = Field(default_factory=dict)
    """How many, of which groups and how old, by part; in words."""
    raw_scans: int = 0
    """Scans that would be preprocessed first; their time is not counted."""
    device: str = ""
    """Where the steps were tried."""
    batch_size: int = 0
    """Volumes per step that were tried last."""
    epochs: int = 0
    """Longest training."""
    epoch_s: Span | None = None
    """Shortest and longest time of an epoch, in seconds."""
    memory_mib: int = 0
    """Peak memory, in MiB: of the GPU, or of the process."""
    free_mib: int = 0
    """Memory of that kind that was free before, in MiB."""
    total_mib: int = 0
    """Memory of that kind that the device has, in MiB."""

    @property
    def too_large(self) -> bool:
        """Whether the memory is not enough."""
        return bool(self.memory_mib) and self.memory_mib > self.free_mib

    def facts(self) -> list[str]:
        """Say what is known, one fact each."""
        found = [self._say_parameters(), self._say_time(), self._say_memory()]
        if self.scans:
            found.append(" / ".join(f"{n} {part}" for part, n in self.scans.items()))
        if self.raw_scans:
            found.append(f"{self.raw_scans} raw scans are preprocessed first")
        return [fact for fact in found if fact]

    def who(self) -> list[str]:
        """Say on whom it would be trained, a line for each part."""
        return [f"{part}: {words}" for part, words in self.people.items()]

    def _say_parameters(self) -> str:
        if not self.parameters:
            return ""
        if self.trainable == self.parameters:
            return f"{say_count(self.parameters)} parameters, all trained"
        text = f"{say_count(self.parameters)} parameters"
        trained = f", {say_count(self.trainable)} trained" if self.trainable else ""
        return text + trained

    def _say_time(self) -> str:
        if self.epoch_s is None:
            return ""
        low, high = self.epoch_s
        middle = (low + high) / 2
        whole = say_seconds(middle * self.epochs)
        return (
            f"about {say_seconds(middle)} an epoch ({say_seconds(low)} to "
            f"{say_seconds(high)}), at most {whole} in all"
        )

    def _say_memory(self) -> str:
        if not self.memory_mib:
            return ""
        kind = "GPU memory" if self.device.startswith("cuda") else "memory"
        return f"about {_gib(self.memory_mib)} of {_gib(self.total_mib)} GiB {kind}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, and the facts in words."""
        words: dict[str, Any] = {"facts": self.facts(), "who": self.who()}
        words["too_large"] = self.too_large
        return self.model_dump(mode="json") | words


def say_count(number: int) -> str:
    """Write a number of parameters.

    Examples
    --------
    >>> say_count(11_243_649), say_count(12_345), say_count(97)
    ('11.2 M', '12.3 k', '97')
    """
    for size, unit in ((10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def say_seconds(seconds: float) -> str:
    """Write a duration, roughly.

    Examples
    --------
    >>> say_seconds(0.42), say_seconds(25.4), say_seconds(750), say_seconds(20_000)
    ('0.4 s', '25 s', '12 min', '5.6 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def _gib(mib: int) -> str:
    return f"{mib / 1024:.1f}" if mib < 100 * 1024 else f"{mib / 1024:.0f}"


ESTIMATES = Registry("command")
ESTIMATES.register(
    "estimate",
    "Say what a fine-tuning would cost: parameters, time, memory",
    EstimateConfig,
    "napari_neuropretrain.training.estimate:estimate",
)
ESTIMATES.register(
    "estimate-pretrain",
    "Say what a pre-training would cost: parameters, time, memory",
    PretrainEstimateConfig,
    "napari_neuropretrain.training.estimate:estimate",
)
