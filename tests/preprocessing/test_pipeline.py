"""All steps together, on a scan whose place is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

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
    assert done.details["coverage"] == 1.0
    # The scan was made with 5 and 3 degrees and scales of 1, 1.05 and 0.95.
    assert done.details["rotation_degrees"] == pytest.approx(5.83, abs=1)
    scales = [done.details[f"scale_{axis}"] for axis in "xyz"]
    np.testing.assert_allclose(scales, (1, 1 / 1.05, 1 / 0.95), rtol=0.02)
    numbers = {name: value for name, value in done.details.items() if name != "seconds"}
    assert all(type(value) is float for value in numbers.values())
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

    def specks(data: Any, *_: Any) -> Any:
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


def test_the_image_is_interpolated_once(
    tmp_path: Path,
    write_brain: WriteBrain,
    contract: PreprocessingContract,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One call, with the corrected scan and the composed transform."""
    calls: list[tuple[Any, ...]] = []
    resample = pipeline.resample

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return resample(*args, **kwargs)

    monkeypatch.setattr(pipeline, "resample", counted)
    volume = read_volume(write_brain(tmp_path / "t1.nii.gz"))
    done = preprocess_scan(volume, contract, silent)
    (call,) = calls
    np.testing.assert_array_equal(call[2], done.transform)
    # The input lies on the scan's own voxels: a box of them, not a new grid.
    np.testing.assert_array_equal(call[1][:3, :3], volume.affine[:3, :3])
    first = np.linalg.solve(
        volume.affine[:3, :3], call[1][:3, 3] - volume.affine[:3, 3]
    )
    np.testing.assert_allclose(first, first.round(), atol=1e-9)


@pytest.mark.parametrize("shape", [(24, 32, 28), (33, 40, 37)])
def test_any_shape_shows_the_same_brain(
    tmp_path: Path, write_brain: WriteBrain, shape: tuple[int, int, int]
) -> None:
    volume = read_volume(write_brain(tmp_path / "t1.nii.gz"))
    contract = PreprocessingContract(shape=shape, spacing_mm=6.0)
    done = preprocess_scan(volume, contract, silent)
    assert done.image.shape == done.brain_mask.shape == shape
    template = load_template(shape, 6.0)
    np.testing.assert_allclose(done.affine, template.affine)
    both = done.brain_mask & template.brain_mask
    assert np.corrcoef(done.image[both], template.data[both])[0, 1] > 0.9


def test_the_degrees_of_freedom_are_those_of_the_contract(
    tmp_path: Path, write_brain: WriteBrain, contract: PreprocessingContract
) -> None:
    volume = read_volume(write_brain(tmp_path / "t1.nii.gz"))
    rigid = contract.replace(registration={"dof": 6})
    done = preprocess_scan(volume, rigid, silent)
    np.testing.assert_allclose(
        done.transform[:3, :3] @ done.transform[:3, :3].T, np.eye(3), atol=1e-9
    )
    assert done.details["scale_x"] == 1.0


def test_a_change_outside_the_brain_changes_nothing(
    tmp_path: Path,
    write_brain: WriteBrain,
    contract: PreprocessingContract,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """N4, the fit and the scores see the brain only."""
    volume = read_volume(write_brain(tmp_path / "t1.nii.gz"))
    mask = pipeline.segment_brain(volume.data, volume.affine, 1)
    monkeypatch.setattr(pipeline, "segment_brain", lambda *args: mask)
    noise = np.random.default_rng(0).uniform(0, 900, volume.data.shape)
    loud = replace(volume, data=np.where(mask, volume.data, noise).astype(np.float32))
    quiet, other = (preprocess_scan(v, contract, silent) for v in (volume, loud))
    np.testing.assert_array_equal(quiet.transform, other.transform)
    np.testing.assert_array_equal(quiet.brain_mask, other.brain_mask)
    inside = ndimage.binary_erosion(quiet.brain_mask, iterations=2)
    assert np.corrcoef(quiet.image[inside], other.image[inside])[0, 1] > 0.995
