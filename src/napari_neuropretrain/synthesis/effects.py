"""What age and disease do to the head, by known amounts in known places.

Two kinds of change, both in template space: a displacement (a region grows or
shrinks) and an exchange of tissue for fluid (a region darkens). Their strength
is linear in a severity between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.synthesis.anatomy import CSF, FloatArray
from napari_neuropretrain.synthesis.deformation import (
    Affine,
    DisplacementField,
    lattice_points,
    pull_towards,
    refine,
    sample,
)
from napari_neuropretrain.synthesis.head import Head, build_head

YOUNGEST, OLDEST = 45.0, 85.0
"""Years at which the age effect is absent and complete."""


@dataclass(frozen=True)
class EffectSizes:
    """How much a complete effect changes: mm of displacement, share of tissue lost.

    Parameters
    ----------
    age_ventricle_mm
        How far the walls of the lateral ventricles move out at 85 years.
    age_cortex_loss
        Share of the peri-Sylvian cortex given to fluid at 85 years.
    ad_shrink_mm, ad_loss
        The same for the medial temporal lobe, hippocampus included.
    ad_horn_mm
        How far the temporal horns and the atria grow.
    pd_shrink_mm, pd_loss
        The same as for AD, for putamen and caudate.
    """

    age_ventricle_mm: float = 4.0
    age_cortex_loss: float = 0.45
    ad_shrink_mm: float = 2.0
    ad_loss: float = 0.55
    ad_horn_mm: float = 1.5
    pd_shrink_mm: float = 1.5
    pd_loss: float = 0.50


@dataclass(frozen=True)
class Severity:
    """How far each process has gone in one participant, each in [0, 1].

    Examples
    --------
    >>> Severity.of(age=65.0, diagnosis="CN", extent=0.9)
    Severity(age=0.5, ad=0.0, pd=0.0)
    """

    age: float = 0.0
    ad: float = 0.0
    pd: float = 0.0

    @classmethod
    def of(cls, age: float, diagnosis: str, extent: float) -> Severity:
        """Return the severity for an age in years and a diagnosis CN, AD or PD."""
        share = float(np.clip((age - YOUNGEST) / (OLDEST - YOUNGEST), 0, 1))
        return cls(
            age=share,
            ad=extent if diagnosis == "AD" else 0.0,
            pd=extent if diagnosis == "PD" else 0.0,
        )


@lru_cache(maxsize=2)
def _pulls(spacing_mm: float) -> dict[str, DisplacementField]:
    """Return the unit displacement of each region of the head, by name."""
    head = build_head(spacing_mm)
    step = max(1, round(3.0 / spacing_mm))
    affine = head.affine @ np.diag([step, step, step, 1.0])
    widths = {
        "ventricles": 6.0,
        "temporal_horns": 4.0,
        "medial_temporal": 5.0,
        "basal_ganglia": 5.0,
    }
    fields = {}
    for name, sigma_mm in widths.items():
        region = getattr(head.regions, name)[::step, ::step, ::step]
        fields[name] = pull_towards(region, affine, sigma_mm)
    return fields


def effect_displacement(
    spacing_mm: float, severity: Severity, sizes: EffectSizes
) -> DisplacementField:
    """Return where to look, for each point of an affected head, in the healthy one.

    Parameters
    ----------
    spacing_mm
        Voxel edge of the model head, as given to `build_head`.
    """
    pulls = _pulls(spacing_mm)
    amounts = {
        "ventricles": severity.age * sizes.age_ventricle_mm,
        "temporal_horns": severity.ad * sizes.ad_horn_mm,
        "medial_temporal": -severity.ad * sizes.ad_shrink_mm,
        "basal_ganglia": -severity.pd * sizes.pd_shrink_mm,
    }
    total = sum(np.float32(amounts[name]) * pulls[name].vectors for name in amounts)
    return DisplacementField(np.asarray(total), pulls["ventricles"].affine)


def altered_intensities(
    head: Head, severity: Severity, sizes: EffectSizes
) -> FloatArray:
    """Return the head's intensities (X, Y, Z) with tissue exchanged for fluid."""
    regions = head.regions
    shares = (
        (severity.age * sizes.age_cortex_loss, regions.ageing_cortex),
        (severity.ad * sizes.ad_loss, regions.medial_temporal),
        (severity.pd * sizes.pd_loss, regions.basal_ganglia),
    )
    t1 = head.t1
    for share, weight in shares:
        if share > 0:
            t1 = t1 - np.float32(share) * weight * np.maximum(t1 - np.float32(CSF), 0)
    return t1


def mean_effect(
    affine: Affine, shape: tuple[int, int, int], severity: Severity, sizes: EffectSizes
) -> FloatArray:
    """Return the change of intensity that a severity makes, on a template grid.

    Returns
    -------
    ndarray
        float32 of `shape`, affected minus healthy; white matter is near 0.87.
    """
    head = build_head()
    points = refine(lattice_points(shape, affine), shape)
    moved = points + effect_displacement(1.5, severity, sizes).at(points)
    affected = sample(altered_intensities(head, severity, sizes), head.affine, moved)
    return affected - sample(head.t1, head.affine, points)


def effect_regions_on(
    affine: Affine,
    shape: tuple[int, int, int],
    sizes: EffectSizes | None = None,
    threshold: float = 0.2,
) -> dict[str, NDArray[np.bool_]]:
    """Mark where each planted effect changes the brain, on any template grid.

    Parameters
    ----------
    affine
        (4, 4) voxel -> MNI RAS mm.
    shape
        Grid size.
    sizes
        Effect sizes of the cohort; the defaults when None.
    threshold
        Share of the largest change, after a blur of 3 mm that stands for what
        registration leaves, above which a voxel belongs to the region.

    Returns
    -------
    dict of ndarray
        Boolean masks under "age", "ad" and "pd".
    """
    complete = {"age": Severity(age=1), "ad": Severity(ad=1), "pd": Severity(pd=1)}
    brain = (
        sample(
            build_head().brain,
            build_head().affine,
            refine(lattice_points(shape, affine), shape),
        )
        > 0.5
    )
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(0))
    regions = {}
    for name, severity in complete.items():
        change = np.abs(mean_effect(affine, shape, severity, sizes or EffectSizes()))
        blurred = ndimage.gaussian_filter(change * brain, 3.0 / spacing)
        regions[name] = (blurred > threshold * blurred.max()) & brain
    return regions
