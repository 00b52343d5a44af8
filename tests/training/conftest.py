"""A derivatives folder of tiny volumes with a planted signal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_neuropretrain.config.contract import PreprocessingContract

EDGE = 32
TINY = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}


def save_derivative(root: Path, name: str, seed: int, strength: float) -> Path:
    """Write one volume: noise in a ball, brighter in its left half by `strength`."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(EDGE)] * 3, indexing="ij")) - EDGE / 2
    brain = (grid**2).sum(0) < (EDGE / 2 - 4) ** 2
    centre = (grid**2).sum(0) < 5**2
    image = random.normal(0, 1, brain.shape) + strength * centre
    image = np.where(brain, image, 0).astype(np.float32)
    folder = root / name / "anat"
    folder.mkdir(parents=True)
    stem = f"{name}_space-MNI152_desc-"
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    path = folder / f"{stem}preproc_T1w.nii.gz"
    nib.save(nib.Nifti1Image(image, affine), path)
    mask = nib.Nifti1Image(brain.astype(np.uint8), affine)
    nib.save(mask, folder / f"{stem}brain_mask.nii.gz")
    contract = PreprocessingContract(shape=(EDGE, EDGE, EDGE))
    notes = {
        "Contract": contract.model_dump(mode="json"),
        "Transform": np.eye(4).tolist(),
    }
    (folder / f"{stem}preproc_T1w.json").write_text(json.dumps(notes))
    return path


@pytest.fixture
def write_derivative() -> Callable[..., Path]:
    """``write_derivative(root, name, seed, strength)`` writes one volume."""
    return save_derivative


@pytest.fixture
def derivatives(tmp_path: Path) -> Path:
    """Twenty people of 32^3; disease and age brighten the centre."""
    root = tmp_path / "derivatives"
    lines = ["participant_id\tage\tsex\tdiagnosis\tsite"]
    for number in range(20):
        name, ill = f"sub-{number:02d}", number % 2
        age = 40 + 2 * number
        save_derivative(root, name, number, 3.0 * ill + 0.05 * number)
        group = "AD" if ill else "CN"
        lines.append(f"{name}\t{age}\t{'MF'[number // 2 % 2]}\t{group}\tA")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    description = {"Name": "toy", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    return root
