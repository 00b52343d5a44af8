"""The training job at toy size: the loss falls, a stopped job goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from napari_neuropretrain.config.mask_training import TrainBrainMaskConfig
from napari_neuropretrain.errors import Cancelled, CohortError
from napari_neuropretrain.preprocessing import train_brain_mask as job
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.synthesis.label_maps import HeadAtlas


@pytest.fixture
def toy_atlas(monkeypatch: pytest.MonkeyPatch) -> HeadAtlas:
    """One head: a ball of brain (class 1) within scalp (class 2), on a small grid."""
    axis = torch.arange(160.0) - 79.5
    distance = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()
    head = torch.zeros((160, 160, 160), dtype=torch.uint8)
    head[distance < 78] = 2
    head[distance < 60] = 1 + 128 + 64
    means = torch.tensor([[0.0, 100.0, 40.0], [0.0, 5.0, 5.0]])
    atlas = HeadAtlas((head,), means, torch.ones(2, 3))
    monkeypatch.setattr(job, "read_head_atlas", lambda folder, report: atlas)
    monkeypatch.setattr(job, "GRID_SHAPE", (32, 32, 32))
    monkeypatch.setattr(job, "GRID_SPACING_MM", 6.0)
    return atlas


def settings(output: Path, steps: int) -> TrainBrainMaskConfig:
    return TrainBrainMaskConfig(
        label_maps=Path("maps"),
        output=output,
        steps=steps,
        save_every=2,
        threads=1,
        workers=0,
        validation_heads=2,
    )


def test_a_few_steps_lower_the_loss(toy_atlas: HeadAtlas, tmp_path: Path) -> None:
    events: list[Progress] = []
    config = settings(tmp_path, 24)
    tmp_path.mkdir(exist_ok=True)
    outcome = job.train_brain_mask(config, events.append)
    losses = [e.values["loss"] for e in events if "loss" in e.values]
    assert len(losses) == 24
    assert sum(losses[-4:]) < 0.85 * sum(losses[:4])
    weights = load_file(outcome.results["weights"])
    assert set(weights) == set(job.MaskNetwork().state_dict())
    recipe = json.loads((tmp_path / "brain_mask.json").read_text(encoding="utf-8"))
    assert recipe["recipe"]["steps"] == 24
    assert "maps" not in json.dumps(recipe["recipe"])


def test_a_stopped_job_ends_as_an_unbroken_one(
    toy_atlas: HeadAtlas, tmp_path: Path
) -> None:
    def stop_after_three(progress: Progress) -> None:
        if progress.message == "Training" and progress.step == 3:
            raise Cancelled

    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    job.train_brain_mask(settings(tmp_path / "whole", 4), silent)
    config = settings(tmp_path / "stopped", 4)
    with pytest.raises(Cancelled):
        job.train_brain_mask(config, stop_after_three)
    job.train_brain_mask(config, silent)
    whole, stopped = (
        load_file(tmp_path / name / "brain_mask.safetensors")
        for name in ("whole", "stopped")
    )
    for key in whole:
        assert torch.allclose(whole[key], stopped[key], atol=1e-5), key


def test_dice_matches_a_count_by_hand() -> None:
    mask = torch.zeros(1, 1, 4, 4, 4)
    mask[..., :2] = 1
    other = torch.zeros(1, 1, 4, 4, 4)
    other[..., 1:3] = 1
    expected = (2 * 16 + 1) / (32 + 32 + 1)
    assert float(job.soft_dice(other, mask)) == pytest.approx(expected)


def test_missing_label_maps_are_an_error_that_names_them(tmp_path: Path) -> None:
    config = settings(tmp_path / "run", 1)
    with pytest.raises(CohortError, match=r"generation_labels\.npy"):
        job.train_brain_mask(config, silent)
