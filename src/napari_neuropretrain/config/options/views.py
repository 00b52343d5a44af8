"""Options of the random views that contrastive methods compare."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from napari_neuropretrain.config.base import Config


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the smallest value comes first, then the largest")
    return pair


Chance = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[float, Field(gt=0, le=10)]
_Share = Annotated[float, Field(gt=0, le=1)]
PositiveRange = Annotated[tuple[_Positive, _Positive], AfterValidator(_ordered)]
ShareRange = Annotated[tuple[_Share, _Share], AfterValidator(_ordered)]


class ViewOptions(Config):
    """How views of a volume differ; each volume draws its own values.

    The defaults are those of y-aware contrastive learning (Dufumier et al. 2021),
    with a small affine motion and a change of intensity besides.
    """

    flip_probability: Chance = 0.5
    """Chance of mirroring, for each axis of `flip_axes`."""
    flip_axes: tuple[Literal["x", "y", "z"], ...] = ("x",)
    """Axes to mirror; x is left-right, the only one that leaves an anatomy."""
    affine_probability: Chance = 0.5
    """Chance of rotation, scaling and translation."""
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 10.0
    """Largest rotation about each axis, in degrees."""
    scaling: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Largest relative change of size along each axis."""
    translation_voxels: Annotated[float, Field(ge=0, le=64)] = 3.0
    """Largest shift along each axis, in voxels."""
    crop_probability: Chance = 0.5
    """Chance of taking a part and enlarging it to the whole."""
    crop_extent: ShareRange = (0.75, 1.0)
    """Smallest and largest edge of that part, as a share of the volume's."""
    blur_probability: Chance = 0.5
    """Chance of Gaussian blur."""
    blur_sigma: PositiveRange = (0.1, 1.0)
    """Smallest and largest standard deviation of the blur, in voxels."""
    intensity_probability: Chance = 0.5
    """Chance of another contrast and brightness."""
    gain: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Largest relative change of the contrast."""
    shift: Annotated[float, Field(ge=0, le=10)] = 0.1
    """Largest change of the brightness, in standard deviations of the brain."""
    gamma: PositiveRange = (0.8, 1.25)
    """Smallest and largest power of the intensities between their extremes."""
    noise_probability: Chance = 0.5
    """Chance of Gaussian noise."""
    noise_sigma: PositiveRange = (0.1, 1.0)
    """Smallest and largest deviation of the noise, in that of the brain."""
    cutout_probability: Chance = 0.5
    """Chance of a box set to background."""
    cutout_extent: ShareRange = (0.25, 0.25)
    """Smallest and largest edge of the box, as a share of the volume's."""
