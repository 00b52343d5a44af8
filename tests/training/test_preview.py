"""What a preview of a pre-training writes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_neuropretrain.config.base import write_bytes
from napari_neuropretrain.config.options.methods import MaeOptions
from napari_neuropretrain.config.preview import PreviewConfig
from napari_neuropretrain.config.trainings import PretrainConfig
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.methods.mae import Mae
from napari_neuropretrain.methods.masking import normalise_blocks
from napari_neuropretrain.methods.simmim import SimMim
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.training import checkpoints, preview_source, preview_weights
from napari_neuropretrain.training.preview import preview
from napari_neuropretrain.weights.model_file import tensors_to_bytes

SIMMIM = {"name": "simmim", "block": 8}
NIT: dict[str, Any] = {"name": "nit", "layers": 1}


def make(output: Path, **settings: Any) -> tuple[dict[str, Any], list[Progress]]:
    """Run a preview; return its notes and what it said."""
    said: list[Progress] = []
    values = {"output": output, "device": "cpu", "threads": 1} | settings
    outcome = preview(PreviewConfig.parse(values), said.append)
    return json.loads(Path(outcome.results["preview"]).read_text()), said


def voxels(folder: Path, name: str) -> NDArray[Any]:
    return np.asarray(nib.load(folder / f"{name}.nii.gz").dataobj)


def names(notes: dict[str, Any]) -> list[str]:
    return [image["name"] for image in notes["images"]]


def test_methods_that_compare_views_show_two(derivatives: Path, tmp_path: Path) -> None:
    notes, said = make(tmp_path / "a", cohort=derivatives, method="simclr", index=3)
    assert names(notes) == ["original", "view 1", "view 2"]
    assert (notes["volumes"], notes["id"], notes["weights"]) == (20, "sub-03", "")
    scan = nib.load(read_cohort(derivatives).scans[3].path)
    original = nib.load(tmp_path / "a/original.nii.gz")
    assert np.array_equal(original.dataobj, np.asarray(scan.dataobj))
    assert original.header.get_zooms() == (2, 2, 2)
    first, second = voxels(tmp_path / "a", "view-1"), voxels(tmp_path / "a", "view-2")
    assert first.shape == (32, 32, 32)
    assert not np.allclose(first, second)
    result = [one.values for one in said if one.state == "result"]
    path = str(tmp_path / "a/preview.json")
    assert result == [{"kind": "preview", "path": path, "volumes": 20}]
    make(tmp_path / "b", cohort=derivatives, method="simclr", index=3)
    assert np.array_equal(first, voxels(tmp_path / "b", "view-1"))


def test_hidden_blocks_are_masked_and_restored(
    derivatives: Path, tmp_path: Path
) -> None:
    notes, _ = make(tmp_path, cohort=derivatives, method="mae", backbone=NIT)
    masked, restored = "masked (75%)", "restored (random weights)"
    assert names(notes) == ["original", masked, restored]
    original, hidden = voxels(tmp_path, "original"), voxels(tmp_path, "hidden") > 0
    assert hidden.mean() == 0.75
    assert not voxels(tmp_path, "masked")[hidden].any()
    for name in ("masked", "restored"):
        assert np.array_equal(voxels(tmp_path, name)[~hidden], original[~hidden])
    assert voxels(tmp_path, "restored")[hidden].std() > 0


def test_an_autoencoder_restores_everything(derivatives: Path, tmp_path: Path) -> None:
    backbone = {"name": "tiny_densenet", "init_features": 4, "growth_rate": 4}
    method = "reconstruction"
    notes, _ = make(tmp_path, cohort=derivatives, method=method, backbone=backbone)
    assert names(notes) == ["original", "restored (random weights)"]
    brain = voxels(tmp_path, "original") != 0
    difference = voxels(tmp_path, "restored") - voxels(tmp_path, "original")
    assert np.all(difference[brain] != 0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder whose weights restore everything as 0.5."""
    folder = tmp_path / "run"
    config = PretrainConfig.parse(
        {"source": "template_cohort", "output": folder}
        | {"method": SIMMIM, "backbone": NIT | {"shape": 32}}
    )
    backbone = config.backbone.entry.load()(config.backbone.options)
    method = SimMim(config.method.options, backbone)  # type: ignore[arg-type]
    torch.nn.init.zeros_(method.decoder.weight)
    torch.nn.init.constant_(method.decoder.bias, 0.5)
    (folder / "checkpoints").mkdir(parents=True)
    config.to_file(folder / "config.yaml")
    best = folder / "checkpoints/best.safetensors"
    write_bytes(best, tensors_to_bytes(method.state_dict()))
    best.with_suffix(".json").write_text('{"epoch": 7, "validation_loss": 0.2}')
    return folder


def test_the_best_weights_so_far_restore(
    derivatives: Path, tmp_path: Path, run: Path
) -> None:
    settings = {"cohort": derivatives, "method": SIMMIM, "backbone": NIT, "run": run}
    notes, said = make(tmp_path / "a", **settings)
    assert notes["weights"] == "epoch 7"
    assert names(notes)[-1] == "restored (epoch 7)"
    hidden = voxels(tmp_path / "a", "hidden") > 0
    assert np.all(voxels(tmp_path / "a", "restored")[hidden] == 0.5)
    assert not [one for one in said if one.state == "warning"]
    notes, said = make(tmp_path / "b", **settings | {"method": "mae"})
    assert notes["weights"] == "random weights"
    (warning,) = [one.message for one in said if one.state == "warning"]
    assert "was trained by simmim on nit, not by mae on nit" in warning
    notes, said = make(tmp_path / "c", **settings | {"backbone": NIT | {"layers": 2}})
    assert notes["weights"] == "random weights"
    assert "do not fit" in next(one.message for one in said if one.state == "warning")


def test_files_of_a_run_have_the_same_names() -> None:
    for name in ("BEST_WEIGHTS", "BEST_NOTES"):
        assert getattr(preview_weights, name) == getattr(checkpoints, name)


def test_true_mean_and_deviation_are_put_back() -> None:
    volumes = torch.randn(2, 1, 8, 8, 8) * 3 + 1
    normalised = normalise_blocks(volumes, (4, 4, 4))
    mae = object.__new__(Mae)
    mae.__dict__ |= {"block": (4, 4, 4), "options": MaeOptions()}
    again = mae.undo_normalisation(normalised, volumes)
    assert torch.allclose(again, volumes, atol=1e-5)
    mae.__dict__["options"] = MaeOptions(normalise_blocks=False)
    assert mae.undo_normalisation(normalised, volumes) is normalised


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"index": 20}, "no volume 20; the source has 20, numbered from 0 to 19"),
        ({"method": "mae"}, "mae does not work with DenseNet"),
    ],
)
def test_what_cannot_be_shown_is_said(
    derivatives: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make(tmp_path, cohort=derivatives, **changes)


def test_one_scan_of_a_raw_cohort_is_preprocessed(
    six_participants: Path,
    derivatives: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Path] = []

    def preprocess(path: Path, *others: Callable[..., Any]) -> Any:
        asked.append(path)
        return read_cohort(derivatives)

    monkeypatch.setattr(preview_source, "preprocessed_cohort", preprocess)
    values = {"cohort": six_participants, "output": tmp_path / "a", "index": 2}
    config = PreviewConfig.parse(values)
    source, index, count = preview_source.open_one(config, silent)
    assert [one.name for one in asked] == ["sub-03_T1w.nii.gz"]
    assert (index, count) == (0, 6)
    assert source.shape == (32, 32, 32)
    # What a run has preprocessed already is not done again.
    shutil.copytree(derivatives, tmp_path / "run/preprocessed")
    values |= {"run": tmp_path / "run", "shape": "32"}
    again, index, count = preview_source.open_one(PreviewConfig.parse(values), silent)
    assert len(asked) == 1
    assert (again.ids[index], count) == ("sub-03", 6)
    values |= {"shape": "48"}
    preview_source.open_one(PreviewConfig.parse(values), silent)
    assert len(asked) == 2
