"""The source ``label_maps``: T1s painted on label maps, with planted atrophy.

As in SynthSeg (Billot et al., Medical Image Analysis 2023), each volume draws a label
map, a deformation, a Gaussian for each tissue, a bias field, slices and noise. Age
widens the ventricles, "AD" shrinks hippocampus and amygdala, "PD" putamen and caudate,
by deforming these structures and what lies around them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.config.options.sources import (
    LabelMapsOptions,
    TemplateCohortOptions,
)
from napari_neuropretrain.data.template import template_grid
from napari_neuropretrain.progress import Report
from napari_neuropretrain.synthesis.acquisition import coil_field, magnitude_noise
from napari_neuropretrain.synthesis.anatomy import FloatArray
from napari_neuropretrain.synthesis.deformation import (
    apply_affine,
    lattice_points,
    random_displacement,
    refine,
    sample,
)
from napari_neuropretrain.synthesis.effects import Severity
from napari_neuropretrain.synthesis.label_atlas import (
    LabelledBrain,
    find_label_maps,
    read_labelled_brain,
)
from napari_neuropretrain.synthesis.label_intensities import (
    acquire_in_slices,
    draw_intensities,
)
from napari_neuropretrain.synthesis.participants import SyntheticParticipant
from napari_neuropretrain.synthesis.template_source import (
    LEAST_DISEASE,
    TemplateSource,
)

if TYPE_CHECKING:
    from torch import Tensor


class LabelMapsSource(TemplateSource):
    """Synthetic T1s from label maps; see `VolumeSource`.

    Participants and their labels are those of `TemplateSource`.

    Parameters
    ----------
    options
        Label maps, how many participants, the grid, effects and the seed.

    Raises
    ------
    CohortError
        If there is no label map.
    """

    id_prefix = "sub-labelmaps"

    def __init__(self, options: LabelMapsOptions) -> None:
        shared = set(TemplateCohortOptions.model_fields)
        super().__init__(TemplateCohortOptions(**options.model_dump(include=shared)))
        self._paths = find_label_maps(options.path)
        self._options = options

    def volume(self, index: int) -> Tensor:
        """Return a brain, float32 (1, X, Y, Z), z-scored, 0 outside."""
        import torch

        options = self._options
        rng, atlas, points = self._place(self.people[index])
        drawn = draw_intensities(rng, int(atlas.labels.max()) + 1, options.contrast)
        # Linear between voxels of 1 mm: what a voxel of 2 mm holds of each tissue.
        t1 = sample(drawn.means[atlas.labels], atlas.affine, points)
        spread = sample(drawn.deviations[atlas.labels], atlas.affine, points)
        t1 = t1 + spread * rng.standard_normal(t1.shape, dtype=np.float32)
        t1 = np.asarray(ndimage.gaussian_filter(t1, rng.uniform(0.2, 0.6)))
        t1 = t1 * coil_field(rng, self.shape, rng.uniform(0, options.bias_field))
        t1 = acquire_in_slices(rng, t1, options.spacing_mm, options.thickest_mm)
        t1 = magnitude_noise(rng, t1, deviation=rng.uniform(0.01, 0.04))
        inside = sample(atlas.brain, atlas.coarse_affine, points) > 0.5
        scored = (t1 - t1[inside].mean()) / t1[inside].std()
        volume = np.where(inside, scored, 0).astype(np.float32)
        return torch.from_numpy(volume)[None]

    def labels_of(self, index: int) -> NDArray[np.int16]:
        """Return the truth that a volume was painted on: labels (X, Y, Z)."""
        _, atlas, points = self._place(self.people[index])
        voxels = apply_affine(np.linalg.inv(atlas.affine), points)
        return np.asarray(ndimage.map_coordinates(atlas.labels, voxels, order=0))

    def provenance(self) -> dict[str, Any]:
        """Return what tells the label maps apart from others."""
        digest = hashlib.sha256()
        for path in self._paths:
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        return {"LabelMaps": len(self._paths), "LabelMapsDigest": digest.hexdigest()}

    def _start(
        self, person: SyntheticParticipant
    ) -> tuple[np.random.Generator, Severity]:
        """Draw how ill somebody is, first of all."""
        rng = np.random.default_rng((self.seed, 5, person.index))
        extent = rng.uniform(LEAST_DISEASE, 1)
        return rng, Severity.of(person.age, person.diagnosis, extent)

    def _place(
        self, person: SyntheticParticipant
    ) -> tuple[np.random.Generator, LabelledBrain, FloatArray]:
        """Draw a label map and where each voxel looks in it, (3, X, Y, Z) MNI mm."""
        options = self._options
        rng, severity = self._start(person)
        atlas = read_labelled_brain(self._paths[rng.integers(len(self._paths))])
        points = lattice_points(
            self.shape, template_grid(self.shape, options.spacing_mm)
        )
        low = points.min((1, 2, 3)).astype(float)
        size = points.max((1, 2, 3)).astype(float) - low
        anatomy = random_displacement(rng, low, size, options.anatomy_mm)
        points = points + anatomy.at(points)
        amounts = {
            "ventricles": severity.age * options.age_ventricle_mm,
            "temporal_horns": severity.ad * options.ad_shrink_mm / 2,
            "medial_temporal": -severity.ad * options.ad_shrink_mm,
            "basal_ganglia": -severity.pd * options.pd_shrink_mm,
        }
        moved = sum(
            np.float32(amount) * atlas.pulls[name].at(points)
            for name, amount in amounts.items()
        )
        return rng, atlas, refine(points + moved, self.shape)


def open_label_maps(options: LabelMapsOptions, report: Report) -> LabelMapsSource:
    """Open a synthetic cohort on label maps; none is read yet.

    Raises
    ------
    CohortError
        If there is no label map.
    """
    return LabelMapsSource(options)
