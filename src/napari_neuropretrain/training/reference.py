"""Describe the training cohort for the model file: outputs, errors, images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.preprocessing.derivatives import read_sidecar
from napari_neuropretrain.training.results import Scored
from napari_neuropretrain.training.study import Study
from napari_neuropretrain.training.task import Task
from napari_neuropretrain.training.volumes import VolumeDataset
from napari_neuropretrain.weights.reference import (
    Reference,
    intensity_profile,
    summarise_profiles,
    thin,
)

_SCALES = ("scale_x", "scale_y", "scale_z")
MEASURES = ("dice", "correlation", "coverage", "cut_cm2", "rotation_degrees", *_SCALES)
"""How a scan lies on the template."""
MOST_IMAGES = 500
ALL = "all"


def gather_reference(study: Study, scored: Sequence[Scored], task: Task) -> Reference:
    """Return what new scans will be compared with.

    Parameters
    ----------
    study
        The volumes; only those of the training part are described.
    scored
        Label and prediction of every scan. The errors are those of the validation
        part, whose scans no weight was fitted to.
    task
        Numbers, or two groups.
    """
    trained = [one for one in scored if one.part == "train"]
    profile, distances = summarise_profiles(_profiles(study))
    if task.kind == "regression":
        held = [one for one in scored if one.part == "validation"]
        errors = [abs(one.prediction - one.label) for one in held]
        groups = {ALL: [one.prediction for one in trained]}
        labels = thin([one.label for one in trained])
        residuals = tuple(sorted(float(f"{error:.5g}") for error in errors))
    else:
        negative, positive = task.options.negative[0], task.options.positive[0]
        groups = {
            name: [one.prediction for one in trained if int(one.label) == value]
            for value, name in enumerate((negative, positive))
        }
        labels, residuals = (), ()
    return Reference(
        outputs={name: thin(values) for name, values in groups.items()},
        labels=labels,
        residuals=residuals,
        profile=profile,
        profile_distances=distances,
        quality=_quality(trained),
    )


def _profiles(study: Study) -> list[np.ndarray]:
    """Return the intensity profiles of the training volumes, evenly of many."""
    dataset: VolumeDataset = study.dataset("train")
    step = max(1, len(dataset) // MOST_IMAGES)
    return [
        intensity_profile(dataset[index][0].float().numpy())
        for index in range(0, len(dataset), step)
    ]


def _quality(trained: Sequence[Scored]) -> dict[str, tuple[float, float]]:
    """Return the range of each measure of the registration."""
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    for one in trained:
        for name, value in quality_of(one.scan.path).items():
            found[name].append(value)
    return {name: (min(all_), max(all_)) for name, all_ in found.items() if all_}


def quality_of(image: Path) -> dict[str, float]:
    """Return the measures of the registration in the JSON of a preprocessed scan."""
    try:
        noted = read_sidecar(image).get("Quality")
    except ImageError:
        return {}
    given = noted if isinstance(noted, dict) else {}
    return {
        name: float(given[name])
        for name in MEASURES
        if isinstance(given.get(name), int | float)
    }
