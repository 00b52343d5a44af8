"""What was done to a scan before a network sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer

from napari_neuropretrain.config.base import Config

Edge = Annotated[int, Field(ge=16, le=512)]
DegreesOfFreedom: TypeAlias = Literal[6, 7, 9, 12]
MaskMethod: TypeAlias = Literal["neuropretrain", "hd-bet", "synthstrip"]
MASK_WEIGHTS = "2"
"""Version of the brain mask network's weights in this package."""


def read_shape(given: object) -> object:
    """Turn ``80``, ``"80"``, ``"80x96x80"`` or a list into three edges.

    Anything else is returned as it is, for pydantic to refuse.

    Examples
    --------
    >>> read_shape("80"), read_shape("80x96x80")
    ((80, 80, 80), (80, 96, 80))
    """
    if isinstance(given, str):
        parts = [part.strip() for part in given.replace(",", "x").lower().split("x")]
        if not all(part.isdigit() for part in parts) or len(parts) not in (1, 3):
            raise ValueError("give one edge for a cube (80) or three (80x96x80)")
        given = [int(part) for part in parts]
        given = given[0] if len(given) == 1 else given
    if isinstance(given, int):
        return (given, given, given)
    return tuple(given) if isinstance(given, list) else given


def name_shape(shape: tuple[int, int, int]) -> str:
    """Write a shape the way `read_shape` reads it.

    Examples
    --------
    >>> name_shape((80, 80, 80)), name_shape((80, 96, 80))
    ('80', '80x96x80')
    """
    return str(shape[0]) if len(set(shape)) == 1 else "x".join(map(str, shape))


Shape: TypeAlias = Annotated[tuple[Edge, Edge, Edge], BeforeValidator(read_shape)]
ShapeText: TypeAlias = Annotated[
    Shape,
    PlainSerializer(name_shape, when_used="always"),
    Field(json_schema_extra={"text": "80 or 80x96x80"}),
]


class BrainMaskParameters(Config):
    """How the brain was found."""

    method: MaskMethod = "neuropretrain"
    """Our network, or a program of the user's."""
    version: str = MASK_WEIGHTS
    """Version of our network's weights; empty for another program."""

    @classmethod
    def of(cls, method: MaskMethod) -> Self:
        """Return what the present version of this package uses."""
        ours = method == "neuropretrain"
        return cls(method=method, version=MASK_WEIGHTS if ours else "")


class BiasFieldParameters(Config):
    """How the shading was removed: N4 inside the mask."""

    method: Literal["n4"] = "n4"
    """Algorithm."""
    working_voxel_mm: Annotated[float, Field(gt=0, le=64)] = 8.0
    """The field is fitted on voxels of about this size: it is smooth over 20 mm."""
    iterations: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = (50, 50, 30, 20)
    """Most iterations at each level, coarsest first."""
    convergence: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """A level ends when the field changes by less than this."""


class RegistrationParameters(Config):
    """How the scan was aligned with the template."""

    method: Literal["least_squares"] = "least_squares"
    """Least squares on the brain's intensities (Friston 1995)."""
    dof: DegreesOfFreedom = 9
    """Degrees of freedom: 6 rigid, 7 one scale, 9 three scales, 12 with shear."""
    levels_mm: tuple[Annotated[float, Field(gt=0, le=64)], ...] = (8.0, 4.0, 2.0)
    """Voxel size of each level, coarsest first."""


class PreprocessingContract(Config):
    """The preprocessing a model was trained with and therefore insists on."""

    orientation: Literal["RAS"] = "RAS"
    """Voxel order of the volume."""
    spacing_mm: Annotated[float, Field(gt=0, le=10)] = 2.0
    """Isotropic voxel size in mm."""
    shape: Shape = (80, 80, 80)
    """Voxels along left-right, posterior-anterior, inferior-superior."""
    template: str = "MNI152NLin2009aSym"
    """Template the scan is aligned with."""
    brain_mask: BrainMaskParameters = BrainMaskParameters()
    """Brain mask."""
    bias_field: BiasFieldParameters = BiasFieldParameters()
    """Bias field correction."""
    registration: RegistrationParameters = RegistrationParameters()
    """Linear registration."""
    interpolation: Literal["cubic"] = "cubic"
    """Cubic B-spline after smoothing to the grid's resolution, once."""
    intensity: Literal["zscore_brain"] = "zscore_brain"
    """Intensity normalisation; voxels outside the brain are 0."""
    version: int = 2
    """Version of the preprocessing steps."""

    def differences(self, other: PreprocessingContract) -> list[str]:
        """List the fields that differ, as ``name: self, not other``.

        Examples
        --------
        >>> a, b = PreprocessingContract(), PreprocessingContract(shape=96)
        >>> a.differences(b)
        ['shape: (80, 80, 80), not (96, 96, 96)']
        >>> a.differences(a.replace(registration={"dof": 12}))
        ['registration.dof: 9, not 12']
        """
        mine, theirs = dict(_flat(self.model_dump())), dict(_flat(other.model_dump()))
        return [
            f"{name}: {mine[name]}, not {theirs[name]}"
            for name in mine
            if mine[name] != theirs[name]
        ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
