"""Tiny cohorts with planted signals, and a plan for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.derivatives import write_derivative
from napari_neuropretrain.preprocessing.pipeline import Preprocessed

EDGE = 16
CONTRACT = PreprocessingContract(shape=(EDGE, EDGE, EDGE))
TOY: dict[str, Any] = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}


def write_cohort(root: Path, people: int, prefix: str, effect: float = 1.5) -> Path:
    """Half have the disease, which brightens the front; age darkens the back."""
    grid = np.stack(np.meshgrid(*[np.arange(EDGE)] * 3, indexing="ij")) - EDGE / 2
    brain = (grid**2).sum(0) < (EDGE / 2 - 1) ** 2
    front, back = brain & (grid[1] > 2), brain & (grid[1] < -2)
    lines = ["participant_id\tage\tsex\tdiagnosis\tsite"]
    for number in range(people):
        name, ill = f"sub-{prefix}{number:02d}", number % 2
        noise = np.random.default_rng((people, number)).normal(0, 1, brain.shape)
        age = 40 + 40 * number / people
        image = noise + effect * ill * front - 0.05 * (age - 60) * back
        image = np.where(brain, image, 0).astype(np.float32)
        affine = np.diag([2.0, 2.0, 2.0, 1.0])
        done = Preprocessed(image, affine, brain, brain, np.eye(4), {})
        raw = Volume.from_native(image, affine)
        scan = Scan(name, None, Path("raw.nii.gz"))
        write_derivative(root, scan, raw, done, CONTRACT, {"Path": "raw.nii.gz"})
        sex, group = "MF"[number // 2 % 2], ("CN", "AD")[ill]
        lines.append(f"{name}\t{age:.1f}\t{sex}\t{group}\tA")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="session")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """``home`` to train on, ``away`` to test on, ``other`` to pre-train on."""
    root = tmp_path_factory.mktemp("cohorts")
    return {
        "home": write_cohort(root / "home", 32, "h"),
        "away": write_cohort(root / "away", 12, "a"),
        "other": write_cohort(root / "other", 12, "o"),
    }


@pytest.fixture
def write_plan(cohorts: dict[str, Path]) -> Callable[..., Path]:
    """``write_plan(path, **changes)`` writes a plan of four cells."""

    def write(path: Path, **changes: Any) -> Path:
        plan: dict[str, Any] = {
            "cohorts": {name: str(one) for name, one in cohorts.items()},
            "tasks": {"ad": {"task": "ad", "cohort": "home", "zero_shot": ["away"]}},
            "backbones": {"tiny": TOY},
            "initialisations": {
                "scratch": {},
                "pretrained": {"cohort": "other", "pretrain": {"method": "simclr"}},
            },
            "seeds": [0, 1],
            "finetune": {"epochs": 2, "device": "cpu", "threads": 1},
            "pretrain": {"epochs": 1, "device": "cpu", "threads": 1},
        }
        plan["pretrain"] |= {"batch_size": 4, "warmup_epochs": 0, "probe": "none"}
        plan["finetune"] |= {"learning_rate": 0.01}
        explain = {"patch": 8, "stride": 8, "checks": False}
        plan["occlusion"] = {"participants": 1, "explain": explain}
        path.write_text(yaml.safe_dump(plan | changes, sort_keys=False))
        return path

    return write
