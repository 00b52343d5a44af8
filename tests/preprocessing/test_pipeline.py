"""All steps together, on a scan whose place is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.template import load_template
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import BrainMaskError, Cancelled
from napari_neuropretrain.preprocessing import pipeline
from napari_neuropretrain.preprocessing.pipeline import STEPS, preprocess_scan
from napari_neuropretrain.progress import Progress, silent

pytestmark = pytest.mark.usefixtures("cheap")
WriteBrain = Callable[..., Path]


def test_a_moved_brain_comes_back_to_the_template(
    tmp_path: Path, write_brain: WriteBrain, contract: PreprocessingContract
) -> None:
    volume = read_volume(write_brain(tmp_path / "t1.nii.gz"))
    seen: list[Progress] = []

    done = preprocess_scan(volume, contract, seen.append)

    template = load_template(contract.shape, contract.spacing_mm)
    assert done.image.shape == (32, 32, 32)
    assert done.image.dtype == np.float32
    np.testing.assert_allclose(done.affine, template.affine)
    assert done.image[done.brain_mask].mean() == pytest.approx(0, abs=1e-4)
    assert done.image[done.brain_mask].std() == pytest.approx(1, abs=1e-4)
    assert not done.image[~done.brain_mask].any()
    both = done.brain_mask & template.brain_mask
    assert np.corrcoef(done.image[both], template.data[both])[0, 1] > 0.9
    assert done.scan_mask.shape == volume.data.shape
    assert done.details["mask_ml"] == pytest.approx(1880, rel=0.15)
    assert done.details["dice"] > 0.95
    assert tuple(done.details["seconds"]) == STEPS
    assert [one.message for one in seen] == list(STEPS)


def test_the_same_scan_gives_the_same_bytes(
    tmp_path: Path, write_brain: WriteBrain, contract: PreprocessingContract
) -> None:
    volume = read_volume(write_brain(tmp_path / "t1.nii.gz"))
    once, twice = (preprocess_scan(volume, contract, silent) for _ in range(2))
    assert once.image.tobytes() == twice.image.tobytes()
    assert once.transform.tobytes() == twice.transform.tobytes()


def test_an_impossible_brain_is_refused(
    tmp_path: Path,
    write_brain: WriteBrain,
    contract: PreprocessingContract,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    volume = read_volume(write_brain(tmp_path / "t1.nii.gz"))

    def specks(data: Any, affine: Any, threads: int = 1) -> Any:
        return data > data.max() * 0.98

    monkeypatch.setattr(pipeline, "segment_brain", specks)
    with pytest.raises(BrainMaskError, match=r"t1.nii.gz' has \d+ mL"):
        preprocess_scan(volume, contract, silent)


def test_it_stops_between_two_steps(
    tmp_path: Path, write_brain: WriteBrain, contract: PreprocessingContract
) -> None:
    volume = read_volume(write_brain(tmp_path / "t1.nii.gz"))

    def stop(progress: Progress) -> None:
        if progress.message == "bias field":
            raise Cancelled

    with pytest.raises(Cancelled):
        preprocess_scan(volume, contract, stop)
