"""Choose an entry of a catalog, with its options, inside a job's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializeAsAny,
    ValidationError,
)

from napari_neuropretrain.config import catalog
from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.options.shapes import fit_to_shape
from napari_neuropretrain.config.registry import Entry, Registry


class Choice(Config):
    """The name of a catalog entry and the options for it."""

    catalog: str
    """Which catalog, for example ``backbones``."""
    name: str
    """Name of the entry."""
    options: SerializeAsAny[Config]
    """Options of that entry."""

    @property
    def entry(self) -> Entry:
        """The chosen entry."""
        return catalog.CATALOGS[self.catalog][self.name]

    def __str__(self) -> str:
        return self.name


def choose(kind: str, given: object) -> Choice:
    """Turn ``"name"`` or ``{"name": ..., option: value}`` into a `Choice`.

    Raises
    ------
    ValueError
        If the name is unknown or an option belongs to another entry.
    """
    if isinstance(given, Choice):
        return given
    registry: Registry = catalog.CATALOGS[kind]
    values = dict(given) if isinstance(given, Mapping) else {"name": str(given)}
    name = str(values.pop("name", ""))
    entry = registry[name]
    try:
        options = entry.options.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"option '{'.'.join(map(str, item['loc']))}': {item['msg']}"
            for item in error.errors()
        )
        known = ", ".join(entry.options.model_fields) or "none"
        raise ValueError(
            f"{registry.kind} '{name}': {problems}. Its options: {known}"
        ) from None
    return Choice(catalog=kind, name=name, options=options)


def fit_backbone(backbone: Choice, shape: tuple[int, int, int]) -> Choice:
    """Return the choice of a backbone, with options for volumes of `shape`.

    Raises
    ------
    ConfigError
        If the backbone cannot take the shape, see `fit_to_shape`.
    """
    return backbone.replace(options=fit_to_shape(backbone.options, shape))


def _dump(choice: Choice) -> str | dict[str, Any]:
    """Write the bare name where every option has its default."""
    options = choice.options.model_dump(mode="json", exclude_defaults=True)
    return {"name": choice.name, **options} if options else choice.name


def _from(kind: str) -> tuple[Any, ...]:
    return (
        BeforeValidator(lambda given: choose(kind, given)),
        PlainSerializer(_dump, when_used="always"),
        Field(json_schema_extra={"catalog": kind}),
    )


BackboneChoice: TypeAlias = Annotated[Choice, *_from("backbones")]
TaskChoice: TypeAlias = Annotated[Choice, *_from("tasks")]
MethodChoice: TypeAlias = Annotated[Choice, *_from("methods")]
TuningChoice: TypeAlias = Annotated[Choice, *_from("tunings")]
SourceChoice: TypeAlias = Annotated[Choice, *_from("sources")]
