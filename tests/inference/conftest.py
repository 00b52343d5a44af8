"""A model whose answer can be worked out, and scans for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.derivatives import write_derivative
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.weights.model_card import ModelCard, Part, summarise_cohort
from napari_neuropretrain.weights.model_file import save_model

EDGE = 32
CONTRACT = PreprocessingContract(shape=(EDGE, EDGE, EDGE))
TOY = Part(
    catalog="backbones",
    name="tiny_densenet",
    options={"init_features": 4, "growth_rate": 4, "block_config": [2, 2]},
)


def save_derivative(
    root: Path, name: str, seed: int, contract: PreprocessingContract = CONTRACT
) -> Path:
    """Write a preprocessed volume of noise."""
    noise = np.random.default_rng(seed).normal(0, 1, contract.shape)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    brain = noise < 3  # any mask that is not the whole grid
    done = Preprocessed(noise.astype(np.float32), affine, brain, brain, np.eye(4), {})
    raw = Volume.from_native(noise, affine)
    scan = Scan(name, None, Path("raw.nii.gz"))
    return write_derivative(root, scan, raw, done, contract, {"Path": "raw.nii.gz"})


@pytest.fixture
def write_volume() -> Callable[..., Path]:
    """``write_volume(root, name, seed, contract)`` writes one derivative."""
    return save_derivative


@pytest.fixture
def network() -> nn.Module:
    """A toy network with fixed weights."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    built: nn.Module = TOY.build()
    return built.eval()


@pytest.fixture
def age_model(tmp_path: Path, network: nn.Module) -> Path:
    """A model of age that has seen sub-1."""
    card = ModelCard(
        backbone=TOY,
        task=Part(catalog="tasks", name="brain_age"),
        kind="regression",
        label="age",
        unit="years",
        contract=CONTRACT,
        cohort=summarise_cohort([("sub-1", "train", {}), ("sub-2", "test", {})]),
        label_mean=60.0,
        label_sd=10.0,
    )
    return save_model(tmp_path / "age", network, card).parent


@pytest.fixture
def ad_model(tmp_path: Path, network: nn.Module) -> Path:
    """A model of two groups with its threshold at 0.4."""
    card = ModelCard(
        backbone=TOY,
        task=Part(
            catalog="tasks", name="ad", options={"positive": ["AD"], "negative": ["CN"]}
        ),
        kind="binary",
        label="diagnosis",
        unit="probability",
        contract=CONTRACT,
        threshold=0.4,
    )
    return save_model(tmp_path / "ad", network, card).parent
