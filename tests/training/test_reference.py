"""What a training leaves in the model file for comparisons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.options.tasks import AdOptions, BrainAgeOptions
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.preprocessing.derivatives import sidecar
from napari_neuropretrain.tasks.classification import BinaryClassification
from napari_neuropretrain.tasks.regression import Regression
from napari_neuropretrain.training.reference import gather_reference
from napari_neuropretrain.training.results import Scored
from napari_neuropretrain.training.study import Study
from napari_neuropretrain.training.task import Task
from napari_neuropretrain.training.volumes import Volumes
from napari_neuropretrain.weights.reference import (
    intensity_profile,
    summarise_profiles,
)

PARTS: tuple[Part, ...] = ("train", "train", "validation", "test", "train")
LABELS = (50.0, 60.0, 70.0, 80.0, 40.0)
PREDICTIONS = (53.0, 58.0, 66.5, 0.0, 41.0)


def make_study(tmp_path: Path, labels: tuple[float, ...], task: Task) -> Study:
    """Five scans of noise with Dice 0.90 to 0.94 in their JSON."""
    scans = []
    for number in range(5):
        image = tmp_path / f"sub-{number}_space-MNI152_desc-preproc_T1w.nii.gz"
        notes = {
            "Quality": {"dice": [0.90, 0.91, 0.92, 0.93, 0.94][number], "seconds": {}}
        }
        sidecar(image).write_text(json.dumps(notes))
        scans.append(Scan(f"sub-{number}", None, image))
    generator = torch.Generator().manual_seed(0)
    sources = tuple(torch.randn(1, 6, 6, 6, generator=generator) for _ in scans)
    volumes = Volumes(tuple(scans), sources, PreprocessingContract(), ())
    known = {scan.key: label for scan, label in zip(scans, labels, strict=True)}
    parts = {scan.key: part for scan, part in zip(scans, PARTS, strict=True)}
    train = [one for one, part in zip(labels, PARTS, strict=True) if part == "train"]
    return Study(volumes, known, parts, task.fit_scale(torch.tensor(train)), ())


def score(study: Study, predictions: tuple[float, ...]) -> list[Scored]:
    return [
        Scored(scan, study.parts[scan.key], study.labels[scan.key], prediction)
        for scan, prediction in zip(study.volumes.scans, predictions, strict=True)
    ]


def test_numbers_keep_validation_errors_and_training_outputs(tmp_path: Path) -> None:
    task = Regression(BrainAgeOptions())
    study = make_study(tmp_path, LABELS, task)
    found = gather_reference(study, score(study, PREDICTIONS), task)
    assert found.outputs == {"all": (41.0, 53.0, 58.0)}
    assert found.labels == (40.0, 50.0, 60.0)
    assert found.residuals == (3.5,)
    assert found.quality == {"dice": (0.90, 0.94)}
    trained = [torch.as_tensor(study.volumes.sources[index]) for index in (0, 1, 4)]
    profiles = [intensity_profile(one.numpy()) for one in trained]
    mean, distances = summarise_profiles(profiles)
    assert found.profile == pytest.approx(mean, abs=1e-4)
    assert found.profile_distances == pytest.approx(distances)


def test_groups_keep_their_outputs_apart(tmp_path: Path) -> None:
    task = BinaryClassification(AdOptions())
    study = make_study(tmp_path, (0.0, 1.0, 0.0, 1.0, 0.0), task)
    found = gather_reference(study, score(study, (0.2, 0.9, 0.5, 0.5, 0.1)), task)
    assert found.outputs == {"CN": (0.1, 0.2), "AD": (0.9,)}
    assert found.residuals == found.labels == ()
