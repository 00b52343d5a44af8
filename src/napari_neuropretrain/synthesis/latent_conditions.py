"""What a latent diffusion model is asked for: sex, age, and two volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_neuropretrain.config.options.sources import LatentDiffusionOptions

YOUNGEST, OLDEST = 44.0, 82.0
"""Years of age that 0 and 1 stand for: the range in UK Biobank."""
SEXES = ("f", "m")
"""0 and 1, as in UK Biobank (field 31)."""


@dataclass(frozen=True)
class Condition:
    """One line of the condition table.

    Parameters
    ----------
    index
        Number of the volume, from 0.
    sex
        ``"f"`` or ``"m"``.
    age
        Years.
    ventricular_volume, brain_volume
        Share of the range in UK Biobank, 0 to 1; the brain's is relative to the head.
    """

    index: int
    sex: str
    age: float
    ventricular_volume: float
    brain_volume: float

    def vector(self) -> tuple[float, float, float, float]:
        """Return what the model takes: four numbers from 0 to 1.

        Examples
        --------
        >>> Condition(0, "m", 63.0, 0.2, 0.4).vector()
        (1.0, 0.5, 0.2, 0.4)
        """
        age = (self.age - YOUNGEST) / (OLDEST - YOUNGEST)
        sex = float(SEXES.index(self.sex))
        return (sex, age, self.ventricular_volume, self.brain_volume)


def draw_conditions(options: LatentDiffusionOptions) -> tuple[Condition, ...]:
    """Draw the condition table; the first lines do not depend on how many are drawn.

    Of each two volumes one is female. Age and volumes are uniform between the given
    bounds and independent of each other and of sex.
    """
    return tuple(_draw(index, options) for index in range(options.participants))


def _draw(index: int, options: LatentDiffusionOptions) -> Condition:
    pair = np.random.default_rng((options.seed, 6, index // 2)).permutation(2)
    rng = np.random.default_rng((options.seed, 7, index))
    ventricles = (options.smallest_ventricles, options.largest_ventricles)
    brain = (options.smallest_brain, options.largest_brain)
    return Condition(
        index=index,
        sex=SEXES[pair[index % 2]],
        age=round(float(rng.uniform(options.youngest, options.oldest)), 2),
        ventricular_volume=round(float(rng.uniform(*ventricles)), 4),
        brain_volume=round(float(rng.uniform(*brain)), 4),
    )
