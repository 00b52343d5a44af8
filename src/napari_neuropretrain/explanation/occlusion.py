"""Occlusion sensitivity: hide a small cube, and see how the output changes.

Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks",
in three dimensions and restricted to the brain.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.progress import Progress, Report, silent

Predict: TypeAlias = Callable[[Tensor], Tensor]
"""Volumes (B, 1, X, Y, Z) to one number each (B,), in the output's units."""
Baseline: TypeAlias = Literal["mean", "black"]
Cube: TypeAlias = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class OcclusionResult:
    """What hiding each part of the brain does to the output.

    Parameters
    ----------
    map
        float32 (X, Y, Z) in the output's units. Positive: hiding the place lowers
        the output, so it speaks for it. 0 outside the brain.
    reference
        Output for the whole image.
    positions
        Positions of the cube that reach the brain.
    skipped
        Those among them that change no voxel, and so needed no network.
    """

    map: NDArray[np.float32]
    reference: float
    positions: int
    skipped: int = 0


def occlusion_map(
    predict: Predict,
    image: Tensor,
    brain_mask: Tensor,
    patch: int = 8,
    stride: int = 4,
    baseline: Baseline = "mean",
    batch_size: int = 8,
    report: Report = silent,
) -> OcclusionResult:
    """Map how much each place of the brain contributes to the output.

    The effect of a position is the output for the whole image minus the output
    with the cube hidden. A voxel gets the mean effect of the positions that cover
    it. Only voxels of the brain are replaced, so that the outline stays.

    Parameters
    ----------
    predict
        From (B, 1, X, Y, Z) to (B,), in the units of the map.
    image
        Volume (X, Y, Z), z-scored in the brain, on the device of the network.
    brain_mask
        Boolean (X, Y, Z).
    patch, stride
        Edge of the cube and step between positions, in voxels.
    baseline
        ``"mean"`` replaces by 0, the mean after z-scoring; ``"black"`` by the
        minimum in the brain.
    batch_size
        Occluded copies given to `predict` at once.
    report
        Hears of each batch, with the seconds that remain; may raise `Cancelled`.

    Raises
    ------
    ConfigError
        If the shapes differ, the mask is empty, or the stride exceeds the patch.
    """
    brain = brain_mask.to(device=image.device, dtype=torch.bool)
    _check(image, brain, patch, stride)
    value = image.new_zeros(()) if baseline == "mean" else image[brain].min()
    hidden = torch.where(brain, value, image)
    inside = brain.cpu().numpy()
    cubes = [cube for cube in _cubes(image.shape, patch, stride) if inside[cube].any()]
    # Asked of the images and not of the mask: where the scan already has the
    # baseline's value, hiding changes nothing either.
    changed = (hidden != image).cpu().numpy()
    active = [index for index, cube in enumerate(cubes) if changed[cube].any()]
    effects = np.zeros(len(cubes))
    with torch.inference_mode():
        reference = float(predict(image[None, None])[0])
        outputs = _predict_hidden(
            predict, image, hidden, [cubes[i] for i in active], batch_size, report
        )
        effects[active] = reference - outputs
    mean = _mean_over_cubes(effects, cubes, inside)
    return OcclusionResult(mean, reference, len(cubes), len(cubes) - len(active))


def starts(length: int, patch: int, stride: int) -> list[int]:
    """Return where cubes begin along one axis; the last one ends at the edge.

    Examples
    --------
    >>> starts(10, patch=4, stride=3)
    [0, 3, 6]
    >>> starts(11, patch=4, stride=3)
    [0, 3, 6, 7]
    >>> starts(3, patch=4, stride=3)
    [0]
    """
    last = max(length - patch, 0)
    regular = list(range(0, last + 1, stride))
    return regular if regular[-1] == last else [*regular, last]


def _check(image: Tensor, brain: Tensor, patch: int, stride: int) -> None:
    if image.ndim != 3 or image.shape != brain.shape:
        raise ConfigError(
            f"The image has shape {tuple(image.shape)} and the brain mask "
            f"{tuple(brain.shape)}; both must be the same (X, Y, Z)."
        )
    if not brain.any():
        raise ConfigError("The brain mask is empty; preprocess the scan again.")
    if not 1 <= stride <= patch:
        raise ConfigError(
            f"stride {stride} must be from 1 to the patch ({patch}), or voxels "
            "would be skipped."
        )


def _cubes(shape: Sequence[int], patch: int, stride: int) -> Iterator[Cube]:
    """Yield every position of the cube, edges included."""
    axes = (starts(length, patch, stride) for length in shape)
    for x, y, z in itertools.product(*axes):
        yield slice(x, x + patch), slice(y, y + patch), slice(z, z + patch)


def _predict_hidden(
    predict: Predict,
    image: Tensor,
    hidden: Tensor,
    cubes: Sequence[Cube],
    batch_size: int,
    report: Report,
) -> NDArray[np.float64]:
    """Return the output (N,) with each of the N cubes hidden in turn."""
    outputs = []
    began = time.monotonic()
    report(Progress("step", "Hiding one place after the other", 0, len(cubes)))
    for first in range(0, len(cubes), batch_size):
        some = cubes[first : first + batch_size]
        # (B, X, Y, Z), made where the image is: nothing travels to the device.
        copies = image.repeat(len(some), 1, 1, 1)
        for copy, cube in zip(copies, some, strict=True):
            copy[cube] = hidden[cube]
        outputs.append(predict(copies[:, None]).double().cpu().numpy())
        done = first + len(some)
        seconds = time.monotonic() - began
        eta = round(seconds / done * (len(cubes) - done), 1)
        values = {"eta_s": eta, "rate": round(done / max(seconds, 1e-9), 2)}
        report(Progress("step", "", done, len(cubes), values))
    return np.concatenate(outputs) if outputs else np.zeros(0)


def _mean_over_cubes(
    effects: NDArray[np.float64], cubes: Sequence[Cube], inside: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Give each brain voxel the mean effect of the cubes that cover it."""
    total = np.zeros(inside.shape)
    count = np.zeros(inside.shape)
    for effect, cube in zip(effects, cubes, strict=True):
        total[cube] += effect
        count[cube] += 1
    mean = np.divide(total, count, out=np.zeros(inside.shape), where=inside)
    return mean.astype(np.float32)
