"""Label maps of real brains, placed on the template, with structures that move."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.synthesis.anatomy import FloatArray
from napari_neuropretrain.synthesis.deformation import (
    Affine,
    DisplacementField,
    pull_towards,
)
from napari_neuropretrain.synthesis.head import build_head
from napari_neuropretrain.synthesis.label_maps import (
    CEREBROSPINAL_FLUID,
    OUTSIDE_BRAIN,
    close_brain,
)

STRUCTURES = {
    "ventricles": ((4, 43), 6.0),
    "temporal_horns": ((5, 44), 4.0),
    "medial_temporal": ((17, 18, 53, 54), 5.0),
    "basal_ganglia": ((11, 12, 50, 51), 5.0),
}
"""FreeSurfer labels of what age and disease change, and the width of the smooth
deformation around it in mm."""
_STEP = 2


@dataclass(frozen=True, eq=False)
class LabelledBrain:
    """A label map on the template.

    Parameters
    ----------
    labels
        int16 (X, Y, Z), RAS order.
    brain
        Soft brain mask with closed sulci, every second voxel.
    affine
        (4, 4) voxel of `labels` -> MNI mm: boxes around the brains coincide.
    pulls
        For each of `STRUCTURES`, the displacement that lets it grow by 1 mm.
    """

    labels: NDArray[np.int16]
    brain: FloatArray
    affine: Affine
    pulls: dict[str, DisplacementField]

    @property
    def coarse_affine(self) -> Affine:
        """(4, 4) voxel of `brain` -> MNI mm."""
        return np.asarray(self.affine @ np.diag([_STEP, _STEP, _STEP, 1.0]))


def find_label_maps(folder: Path) -> tuple[Path, ...]:
    """Return the label maps (``*.nii.gz``) in a folder.

    Raises
    ------
    CohortError
        If there are none.
    """
    paths = tuple(sorted(folder.glob("*.nii.gz"))) if folder.is_dir() else ()
    if not paths:
        raise CohortError(
            f"There is no label map in '{folder}'. Give a folder of FreeSurfer label "
            "maps (*.nii.gz), such as the training label maps of SynthSeg."
        )
    return paths


@lru_cache(maxsize=32)
def read_labelled_brain(path: Path) -> LabelledBrain:
    """Read a FreeSurfer label map and place it on the template.

    Raises
    ------
    CohortError
        If it lacks a structure that effects need.
    """
    image = nib.as_closest_canonical(nib.load(path))
    labels = np.asarray(image.dataobj).astype(np.int16)
    labels[labels >= OUTSIDE_BRAIN] = 0
    tissue = (labels > 0) & (labels != CEREBROSPINAL_FLUID)
    for name, (numbers, _) in STRUCTURES.items():
        if not np.isin(labels, numbers).any():
            raise CohortError(
                f"'{path}' has no voxel of {name.replace('_', ' ')} (labels "
                f"{', '.join(map(str, numbers))}). Give label maps with FreeSurfer's "
                "numbers."
            )
    box = ndimage.find_objects(tissue.astype(np.int8))[0]
    labels = np.pad(labels[box], 4)
    tissue = np.pad(tissue[box], 4)
    affine = _onto_template(labels.shape)
    coarse = affine @ np.diag([_STEP, _STEP, _STEP, 1.0])
    few = labels[::_STEP, ::_STEP, ::_STEP]
    spacing = float(coarse[0, 0])
    brain = close_brain(tissue[::_STEP, ::_STEP, ::_STEP], spacing)
    pulls = {
        name: pull_towards(np.isin(few, numbers).astype(np.float32), coarse, width)
        for name, (numbers, width) in STRUCTURES.items()
    }
    return LabelledBrain(labels, brain.astype(np.float32), affine, pulls)


def _onto_template(shape: tuple[int, ...]) -> Affine:
    """Return the map from a padded box of brain to the template's brain."""
    head = build_head()
    inside = np.argwhere(head.brain > 0.5)
    low, high = (
        (head.affine @ [*corner, 1.0])[:3] for corner in (inside.min(0), inside.max(0))
    )
    scale = (high - low) / (np.array(shape) - 9)
    affine = np.diag([*scale, 1.0])
    affine[:3, 3] = low - 4 * scale
    return affine
