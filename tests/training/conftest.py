"""A derivatives folder of tiny volumes with planted signals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.derivatives import write_derivative
from napari_neuropretrain.preprocessing.pipeline import Preprocessed

EDGE = 32
CONTRACT = PreprocessingContract(shape=(EDGE, EDGE, EDGE))


def save_derivative(
    root: Path,
    scan: Scan,
    seed: int,
    disease: float = 0.0,
    age: float = 0.0,
    contract: PreprocessingContract = CONTRACT,
) -> Path:
    """Write noise in a ball; disease brightens its front, age darkens its back."""
    edge = contract.shape[0]
    grid = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij")) - edge / 2
    brain = (grid**2).sum(0) < (edge / 2 - 3) ** 2
    front = brain & (grid[1] > edge / 8)
    back = brain & (grid[1] < -edge / 8)
    noise = np.random.default_rng(seed).normal(0, 1, brain.shape)
    image = np.where(brain, noise + disease * front - age * back, 0)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    done = Preprocessed(image.astype(np.float32), affine, brain, brain, np.eye(4), {})
    raw = Volume.from_native(image, affine)
    return write_derivative(root, scan, raw, done, contract, {"Path": "raw.nii.gz"})


@pytest.fixture
def write_volume() -> Callable[..., Path]:
    """``write_volume(root, scan, seed, disease, age)`` writes one derivative."""
    return save_derivative


@pytest.fixture(scope="module")
def module_volume() -> Callable[..., Path]:
    """The same, for fixtures of modules."""
    return save_derivative


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def derivatives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty people of 32^3, half of them with disease, aged 40 to 78."""
    root = tmp_path_factory.mktemp("derivatives")
    lines = ["participant_id\tage\tsex\tdiagnosis\tsite"]
    for number in range(20):
        scan, ill = Scan(f"sub-{number:02d}", None, Path("raw.nii.gz")), number % 2
        save_derivative(root, scan, number, 1.5 * ill, 0.15 * (number - 10))
        sex, group = "MF"[number // 2 % 2], ("CN", "AD")[ill]
        lines.append(f"{scan.participant}\t{40 + 2 * number}\t{sex}\t{group}\tA")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    return root
