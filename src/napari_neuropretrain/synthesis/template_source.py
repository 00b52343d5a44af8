"""The source ``template_cohort``: synthetic participants, made when asked for.

The brains lie on the model grid as if preprocessed: registered, skull-stripped and
z-scored. That spares the pipeline, whose job is done by construction, so a cohort of
any size costs no disk. `write_cohort` writes whole raw heads instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.options.sources import TemplateCohortOptions
from napari_neuropretrain.data.template import template_grid
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Failure, Report
from napari_neuropretrain.synthesis.acquisition import (
    ANATOMY_RMS_MM,
    coil_field,
    magnitude_noise,
    model_spacing,
    vary_contrast,
)
from napari_neuropretrain.synthesis.anatomy import FloatArray
from napari_neuropretrain.synthesis.deformation import (
    lattice_points,
    random_displacement,
    refine,
    sample,
)
from napari_neuropretrain.synthesis.effects import (
    EffectSizes,
    Severity,
    altered_intensities,
    effect_displacement,
)
from napari_neuropretrain.synthesis.head import build_head
from napari_neuropretrain.synthesis.participants import (
    SyntheticParticipant,
    draw_participants,
)

if TYPE_CHECKING:
    from torch import Tensor

LEFT_BIAS = 0.05
"""Strength of the bias field that a correction leaves."""
LEAST_DISEASE = 0.75
SEVERITIES = ("age_severity", "ad_severity", "pd_severity")
"""How far each planted effect has gone, 0 to 1."""
_WORDS = {
    "sex": ("f", "m"),
    "diagnosis": ("ad", "cn", "pd"),
    "site": ("site-1", "site-2"),
}


class TemplateSource:
    """Synthetic brains on the model grid; see `VolumeSource`.

    Each volume follows from the seed and its number alone. Sex leaves no trace,
    because registration takes the size of the head away.

    Parameters
    ----------
    options
        How many, the grid, and the seed.
    sizes
        Sizes of the planted effects; the defaults when None.
    """

    failures: tuple[Failure, ...] = ()
    label_names: tuple[str, ...] = ("age", *_WORDS, *SEVERITIES)
    id_prefix = "sub-template"

    def __init__(
        self, options: TemplateCohortOptions, sizes: EffectSizes | None = None
    ) -> None:
        self.seed = options.seed
        self.people = draw_participants(options.participants, options.seed)
        self.shape = options.shape
        start = f"{self.id_prefix}{self.seed}n"
        self.ids = tuple(f"{start}{who.index + 1:06d}" for who in self.people)
        self.contract: PreprocessingContract | None = PreprocessingContract(
            shape=options.shape, spacing_mm=options.spacing_mm
        )
        self._spacing_mm = options.spacing_mm
        self._sizes = sizes or EffectSizes()

    def __len__(self) -> int:
        return len(self.people)

    def volume(self, index: int) -> Tensor:
        """Return a brain, float32 (1, X, Y, Z), z-scored, 0 outside."""
        import torch

        return torch.from_numpy(self._brain(self.people[index]))[None]

    def label(self, index: int, name: str) -> float | None:
        """Return age in years, a severity, or the number of a word.

        Words are sex, diagnosis and site; severities are ``age_severity`` and so on.

        Raises
        ------
        CohortError
            If it is another name.
        """
        words = self.classes(name)
        if name.lower() in SEVERITIES:
            severity = self.severity(index)
            return float(getattr(severity, name.lower().removesuffix("_severity")))
        value = getattr(self.people[index], name.lower())
        return float(words.index(value.lower())) if words else float(value)

    def severity(self, index: int) -> Severity:
        """Return how far age and disease have gone in a volume."""
        return self._start(self.people[index])[1]

    def classes(self, name: str) -> tuple[str, ...]:
        """Return the words of a label in alphabetical order, or () for numbers.

        Raises
        ------
        CohortError
            If there is no such label.
        """
        name = name.lower()
        if name not in self.label_names:
            raise CohortError(
                f"Synthetic participants have no label '{name}', only "
                f"{', '.join(map(repr, self.label_names))}. Give one of these."
            )
        return _WORDS.get(name, ())

    def _start(
        self, person: SyntheticParticipant
    ) -> tuple[np.random.Generator, Severity]:
        """Draw how ill somebody is, first of all."""
        rng = np.random.default_rng((self.seed, 4, person.index))
        extent = rng.uniform(LEAST_DISEASE, 1)
        return rng, Severity.of(person.age, person.diagnosis, extent)

    def _brain(self, person: SyntheticParticipant) -> FloatArray:
        rng, severity = self._start(person)
        t1, brain = self._anatomy(rng, severity)
        noisy = person.site == "site-2"
        t1 = vary_contrast(rng, t1, noisy) * coil_field(rng, self.shape, LEFT_BIAS)
        t1 = magnitude_noise(rng, t1, deviation=0.028 if noisy else 0.018)
        inside = brain > 0.5
        values = t1[inside]
        scored = (t1 - values.mean()) / values.std()
        return np.where(inside, scored, 0).astype(np.float32)

    def _anatomy(
        self, rng: np.random.Generator, severity: Severity
    ) -> tuple[FloatArray, FloatArray]:
        """Return intensities and soft brain mask (X, Y, Z), warped."""
        spacing = model_spacing(self._spacing_mm)
        head = build_head(spacing)
        affine = template_grid(self.shape, self._spacing_mm)
        points = lattice_points(self.shape, affine)
        low = points.min((1, 2, 3)).astype(float)
        extent = points.max((1, 2, 3)).astype(float) - low
        points = points + random_displacement(rng, low, extent, ANATOMY_RMS_MM).at(
            points
        )
        effect = effect_displacement(spacing, severity, self._sizes)
        points = refine(points + effect.at(points), self.shape)
        t1 = altered_intensities(head, severity, self._sizes)
        return sample(t1, head.affine, points), sample(head.brain, head.affine, points)


def open_template_cohort(
    options: TemplateCohortOptions, report: Report
) -> TemplateSource:
    """Open a synthetic cohort; nothing is drawn but who takes part."""
    return TemplateSource(options)
