"""Volume shapes that a backbone can take."""

from __future__ import annotations

from typing import TypeVar

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.contract import name_shape
from napari_neuropretrain.errors import ConfigError

AnyOptions = TypeVar("AnyOptions", bound=Config)


def fit_to_shape(options: AnyOptions, shape: tuple[int, int, int]) -> AnyOptions:
    """Return the options of a backbone for volumes of `shape`.

    Backbones whose weights depend on the shape have an option ``shape``. Where it has
    its default, it is filled in; options without it come back as they are.

    Raises
    ------
    ConfigError
        If the backbone cannot take the shape, naming shapes it can take; or if
        another shape was chosen.

    Examples
    --------
    >>> from napari_neuropretrain.config.options.backbones import NiTOptions
    >>> fit_to_shape(NiTOptions(), (96, 96, 96)).shape
    (96, 96, 96)
    """
    chosen = getattr(options, "shape", shape)
    if chosen == shape:
        return options
    if chosen != type(options).model_fields["shape"].default:
        raise ConfigError(
            f"The backbone is set to volumes of {name_shape(chosen)} voxels, but "
            f"these have {name_shape(shape)}. Leave out its option 'shape', or give "
            f"volumes of {name_shape(chosen)}."
        )
    changed = options.model_dump() | {"shape": shape}
    return type(options).parse(changed, "the backbone's options for this data")


def check_multiple(shape: tuple[int, int, int], step: int) -> tuple[int, int, int]:
    """Return `shape` if `step` divides every edge.

    Raises
    ------
    ValueError
        If not, naming the nearest shapes that would do.

    Examples
    --------
    >>> check_multiple((80, 96, 80), 16)
    (80, 96, 80)
    """
    if not any(edge % step for edge in shape):
        return shape
    low = tuple(max(edge // step * step, step) for edge in shape)
    high = tuple(-(-edge // step) * step for edge in shape)
    near = " or ".join(dict.fromkeys("x".join(map(str, one)) for one in (low, high)))
    raise ValueError(f"each edge must be a multiple of {step}; near are {near}")
