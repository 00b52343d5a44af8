from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

GRID = np.diag([2.0, 2.0, 2.0, 1.0])
GRID[:3, 3] = -40, -48, -40
OWN_GRID = np.diag([-2.0, 2.0, 2.0, 1.0])
OWN_GRID[:3, 3] = 50, -60, -30

CHECKS = {
    "randomised_network": {"correlation": 0.12},
    "patch_sizes": [
        {"patch": 9, "correlation": 0.72},
        {"patch": 12, "correlation": 0.5},
    ],
    "deletion": {
        "shares": [0.01, 0.1, 0.5],
        "outputs": [0.8, 0.3, 0.2],
        "random_outputs": [0.9, 0.88, 0.7],
        "beaten": 1.0,
    },
    "outside_share": 0.0,
    "doubts": [],
}


def save(path: Path, voxels: np.ndarray, affine: np.ndarray = GRID) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels.astype(np.float32), affine), path)
    return path


def toy_map(strength: float = 1.0) -> np.ndarray:
    """Hot at x 20, y 24, z 10 (27 voxels), cold at x -20, y -24, z 10 (8 voxels)."""
    values = np.zeros((41, 49, 41), np.float32)
    values[29:32, 35:38, 24:27] = 0.4
    values[30, 36, 25] = 0.8
    values[9:11, 11:13, 24:26] = -0.3
    values[10, 12, 25] = -0.5
    return strength * values


def head() -> np.ndarray:
    x, y, z = np.mgrid[:41, :49, :41]
    inside = ((x - 20) / 18) ** 2 + ((y - 24) / 22) ** 2 + ((z - 20) / 18) ** 2 < 1
    return np.where(inside, 100.0 + y, 0.0)


def write_run(folder: Path, model: str, strength: float = 1.0) -> Path:
    """Write what an explain job leaves; return the map on the template."""
    template_t1 = save(
        folder / "preprocessed/sub-01_space-MNI152_desc-preproc_T1w.nii.gz", head()
    )
    scan = save(folder.parent / "raw/sub-01_T1w.nii.gz", head(), OWN_GRID)
    name = "sub-01_space-MNI152_desc-{}_map.nii.gz"
    path = save(folder / name.format("occlusion"), toy_map(strength))
    own = path.with_name(path.name.replace("MNI152", "T1w"))
    save(own, toy_map(strength), OWN_GRID)
    save(folder / name.format("randomised"), 0.1 * toy_map()[::-1])
    explanation = {
        "prediction": 0.91,
        "prediction_unit": "probability",
        "unit": "probability",
        "target": "diagnosis: AD",
        "model": f"somewhere/{model}/model.safetensors",
        "scan": {"key": "sub-01", "path": str(scan)},
        "strongest_threshold": 0.2,
        "rule": "A rule.",
        "complete": True,
        "checks": CHECKS,
    }
    (folder / "sub-01_explanation.json").write_text(json.dumps(explanation))
    values = {"kind": "occlusion", "path": str(path), "t1": str(scan)}
    values["template_t1"] = str(template_t1)
    event = {"state": "result", "values": values}
    (folder / "events.jsonl").write_text(json.dumps(event) + "\n")
    return path


@pytest.fixture
def run(tmp_path) -> Path:
    """The map on the template of a toy run of the job."""
    return write_run(tmp_path / "a", "first")


@pytest.fixture
def regions(tmp_path) -> Path:
    """A label image with names: 1 at the front, 2 at the back."""
    labels = np.zeros((41, 49, 41))
    labels[:, 25:], labels[:, :25] = 1, 2
    path = save(tmp_path / "atlas.nii.gz", labels)
    rows = "index\tname\n1\tfrontal pole\n2\tcuneus\n"
    path.with_name("atlas.tsv").write_text(rows)
    return path


@pytest.fixture
def make_run():
    """Give `write_run`: (folder, model, strength) to the map on the template."""
    return write_run
