"""Random changes that a label survives, on whole batches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_neuropretrain.methods.gather import (
    RowGenerator,
    rand_rows,
    randint_rows,
)
from napari_neuropretrain.training.batches import epoch_seed


class Augmentation:
    """Flip left and right, shift by whole voxels, vary the intensity.

    Drawn from its own generator on the CPU, so that the same seed gives the same
    changes on every device. `begin` makes them follow from seed and epoch alone.

    Parameters
    ----------
    seed
        Of the generator.
    flip_probability
        Of mirroring left and right.
    max_shift
        Largest shift along each axis, in voxels.
    max_scale, max_offset
        Largest relative change of the contrast and largest change of the
        brightness, in standard deviations of the brain; the background stays 0.
    """

    def __init__(
        self,
        seed: int,
        flip_probability: float = 0.5,
        max_shift: int = 2,
        max_scale: float = 0.1,
        max_offset: float = 0.1,
    ) -> None:
        self.seed = seed
        self.generator = RowGenerator()
        self.generator.manual_seed(seed)
        self.flip_probability = flip_probability
        self.max_shift = max_shift
        self.max_scale = max_scale
        self.max_offset = max_offset

    def begin(self, epoch: int) -> None:
        """Draw the changes of this epoch, whatever was drawn before."""
        self.generator.manual_seed(epoch_seed(self.seed, epoch, 1))

    def __call__(self, images: Tensor) -> Tensor:
        """Return changed copies of images (B, 1, X, Y, Z)."""
        count, generator = images.shape[0], self.generator
        flips = rand_rows(count, generator=generator) < self.flip_probability
        reach = 2 * self.max_shift + 1
        shifts = randint_rows(reach, count, 3, generator=generator)
        shifted = torch.stack(
            [
                shift_volume(image.flip(1) if flip else image, shift)
                for image, flip, shift in zip(
                    images, flips, (shifts - self.max_shift).tolist(), strict=True
                )
            ]
        )
        return self._vary_intensity(shifted)

    def _vary_intensity(self, images: Tensor) -> Tensor:
        draw = 2 * rand_rows(len(images), 2, generator=self.generator) - 1
        scale, offset = draw.T.to(images.device).reshape(2, -1, 1, 1, 1, 1)
        brain = images != 0
        changed = images * (1 + self.max_scale * scale) + self.max_offset * offset
        return torch.where(brain, changed, images)


def shift_volume(volume: Tensor, shift: list[int]) -> Tensor:
    """Move a volume (1, X, Y, Z) by whole voxels; what comes in is 0.

    Examples
    --------
    >>> row = torch.arange(1.0, 5.0).reshape(1, 4, 1, 1)
    >>> shift_volume(row, [1, 0, 0]).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    # Padding before and cropping after, from the last axis to the first; a negative
    # number crops.
    pad = [edge for by in reversed(shift) for edge in (by, -by)]
    return functional.pad(volume, pad)
