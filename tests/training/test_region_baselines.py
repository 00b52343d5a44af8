"""Linear models of region volumes, trained beside a network and used elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from napari_neuropretrain.cli.main import main
from napari_neuropretrain.data.cohort import Scan

ILL = [f"sub-{number:02d}" for number in range(1, 20, 2)]
WELL = [f"sub-{number:02d}" for number in range(0, 20, 2)]


def write_maps(folder: Path, ill: Sequence[str], well: Sequence[str]) -> Path:
    """Write label maps in which region 48 is smaller in the ill, as is the whole."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in (*ill, *well):
        labels = np.zeros(1000, np.uint8)
        whole = int(random.integers(600, 900))
        share = (0.2 if name in ill else 0.3) + random.normal(0, 0.02)
        labels[:whole] = 4
        labels[: int(whole * share)] = 48
        image = nib.Nifti1Image(labels.reshape(10, 10, 10), np.eye(4))
        nib.save(image, folder / f"{name.removeprefix('sub-')}_T1_labels.nii.gz")
    return folder


def run(job: str, **values: Any) -> int:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    return main([job, *flags])


@pytest.fixture
def elsewhere(tmp_path: Path, write_volume: Callable[..., Path]) -> Path:
    root = tmp_path / "elsewhere"
    lines = ["participant_id\tdiagnosis"]
    for number in range(12):
        scan = Scan(f"sub-X{number:02d}", None, Path("x"))
        write_volume(root, scan, 100 + number, 1.5 * (number % 2))
        lines.append(f"{scan.participant}\t{('CN', 'AD')[number % 2]}")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    return root


def test_they_are_trained_and_tested_here_and_elsewhere(
    derivatives: Path, elsewhere: Path, tmp_path: Path
) -> None:
    model = tmp_path / "ours"
    backbone = "{name: tiny_densenet, init_features: 4, growth_rate: 4, "
    backbone += "block_config: [2, 2]}"
    values: dict[str, Any] = {"device": "cpu", "threads": 1}
    code = run(
        "finetune",
        cohort=derivatives,
        task="ad",
        output=model,
        epochs=1,
        backbone=backbone,
        regions=write_maps(tmp_path / "maps", ILL, WELL),
        **values,
    )
    assert code == 0
    beside = json.loads((model / "metrics.json").read_text())["baselines"]
    names = ["logistic_voxels", "logistic_regions", "logistic_voxels_regions"]
    assert list(beside) == names
    assert beside["logistic_regions"]["roc_auc"] == 1
    people = {one: [f"sub-X{n:02d}" for n in range(one, 12, 2)] for one in (0, 1)}
    maps = write_maps(tmp_path / "there", people[1], people[0])
    (maps / "X00_T1_labels.nii.gz").unlink()
    values |= {"model": model, "cohorts": elsewhere, "bootstraps": 0}
    values |= {"permutations": 0}
    assert run("evaluate", output=tmp_path / "a", **values) == 0
    found = models_of(tmp_path / "a")
    assert set(found["ours/logistic_voxels"]) == {"test", "elsewhere"}
    assert set(found["ours/logistic_regions"]) == {"test"}
    # One of twelve has no map: it is a failure, and the others are judged.
    assert run("evaluate", output=tmp_path / "b", regions=maps, **values) == 1
    found = models_of(tmp_path / "b")
    assert found["ours/logistic_voxels"]["elsewhere"]["n"] == 12
    for name in names[1:]:
        assert found[f"ours/{name}"]["elsewhere"]["n"] == 11
        assert found[f"ours/{name}"]["elsewhere"]["roc_auc"] == 1
        threshold = found[f"ours/{name}"]["test"]["threshold"]
        assert found[f"ours/{name}"]["elsewhere"]["threshold"] == threshold


def models_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())["models"]
    return found
