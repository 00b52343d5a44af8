"""What is dropped on the canvas of the real viewer, and saved from it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from npe2 import PluginManifest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent

from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.gui.scans.layers import OCCLUSION_KEY

pytestmark = [pytest.mark.gl, pytest.mark.usefixtures("no_gl")]

PLUGIN = "napari-neuropretrain"
OBLIQUE = np.array(
    [[0, 0, 2.0, -20], [-1.4, 0.3, 0, 30], [-0.3, -1.4, 0, 25], [0, 0, 0, 1.0]]
)
COPY, LEFT = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton


@pytest.fixture
def viewer(make_napari_viewer: Any, npe2pm: Any) -> Any:
    npe2pm.register(PluginManifest.from_distribution(PLUGIN))
    return make_napari_viewer(show=True)


def drop(viewer: Any, path: Path) -> None:
    """Drop a file or folder on the canvas, as the system tells Qt of it."""
    data, keys = QMimeData(), Qt.KeyboardModifier.NoModifier
    data.setUrls([QUrl.fromLocalFile(str(path))])
    canvas = viewer.window._qt_viewer
    entering = QDragEnterEvent(QPoint(90, 90), COPY, data, LEFT, keys)
    canvas.dragEnterEvent(entering)
    assert entering.isAccepted()
    canvas.dropEvent(QDropEvent(QPointF(90, 90), COPY, data, LEFT, keys))


def saved(layer: Any, path: Path) -> Any:
    (written,) = layer.save(str(path), plugin=PLUGIN)
    return nib.load(written)


@pytest.mark.parametrize("name", ["sub-07_T1w.nii.gz", "brain.mgz"])
def test_scans_come_back_as_they_were(viewer: Any, tmp_path: Path, name: str) -> None:
    voxels = np.random.default_rng(0).integers(0, 99, (8, 9, 10)).astype(np.int16)
    kind = nib.MGHImage if name.endswith(".mgz") else nib.Nifti1Image
    image = kind(voxels, OBLIQUE)
    if kind is nib.Nifti1Image:
        image.header["descrip"] = b"by hand"
        image.set_qform(OBLIQUE, 2)
    nib.save(image, tmp_path / name)
    drop(viewer, tmp_path / name)
    (layer,) = viewer.layers
    before, after = nib.load(tmp_path / name), saved(layer, tmp_path / f"saved-{name}")
    np.testing.assert_array_equal(np.asarray(after.dataobj), voxels)
    np.testing.assert_array_equal(after.affine, before.affine)
    assert after.header == before.header
    # What is painted on it lies where the scan does.
    viewer._new_labels()
    viewer.layers[-1].data[layer.data > 80] = 2
    drawn = saved(viewer.layers[-1], tmp_path / "labels.nii.gz")
    painted = np.where(voxels > 80, 2, 0)
    np.testing.assert_array_equal(np.asarray(drawn.dataobj), painted)
    np.testing.assert_allclose(drawn.affine, before.affine, atol=1e-4)


def write_slices(folder: Path) -> Path:
    """Ten slices of one series, 1 x 1 x 2 mm."""
    folder.mkdir()
    for number in range(10):
        rng = np.random.default_rng(number)
        plane = rng.integers(0, 900, (1, 14, 12)).astype(np.int16)
        image = sitk.GetImageFromArray(plane)
        image.SetOrigin((-6.0, -7.0, 2.0 * number))
        image.SetSpacing((1.0, 1.0, 2.0))
        for key, value in {
            "0008|0060": "MR",
            "0020|000d": "1.2.3",
            "0020|000e": "1.2.3.1",
            "0020|0013": str(number + 1),
            "0020|0032": f"-6\\-7\\{2 * number}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            image.SetMetaData(key, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{number:02d}.dcm"))
        writer.Execute(image)
    return folder


def test_a_dicom_folder_is_one_scan(viewer: Any, tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "dicom")
    drop(viewer, folder)
    (layer,) = viewer.layers
    scan, after = read_volume(folder), saved(layer, tmp_path / "scan.nii.gz")
    assert after.header.get_zooms() == (1.0, 1.0, 2.0)
    np.testing.assert_allclose(after.affine, scan.native_affine, atol=1e-5)
    again = read_volume(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(again.data, scan.data)


def write_run(folder: Path, job: str) -> Path:
    """A run folder as the command line leaves it."""
    folder.mkdir()
    events = [
        {"state": "started", "values": {"job": job, "pid": 2**22 + 7}},
        {"state": "epoch", "values": {"epoch": 1, "loss": 1.0}, "message": "Epoch 1"},
        {"state": "finished", "message": "MAE 5.1.", "values": {}},
    ]
    lines = [json.dumps({"time": 1e9, "seconds": 1.0, **one}) for one in events]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_an_occlusion_result_is_an_overlay(viewer: Any, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "explain", "explain")
    voxels = np.random.default_rng(1).normal(0, 3, (8, 9, 10)).astype(np.float32)
    path = folder / "sub-01_space-MNI152_desc-occlusion_map.nii.gz"
    nib.save(nib.Nifti1Image(voxels, OBLIQUE), path)
    drop(viewer, path)
    (layer,) = viewer.layers
    low, high = layer.contrast_limits
    assert low == -high
    assert OCCLUSION_KEY in layer.metadata
    after = saved(layer, tmp_path / "map.nii.gz")
    np.testing.assert_array_equal(np.asarray(after.dataobj), voxels)
    viewer.layers.clear()
    drop(viewer, folder)  # the whole run: the same map
    assert [OCCLUSION_KEY in one.metadata for one in viewer.layers] == [True]


def test_a_run_and_a_model_open_their_panels(
    viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    run = write_run(tmp_path / "age", "finetune")
    drop(viewer, run)
    panel = viewer.window.dock_widgets["Runs (NeuroPretrain)"]
    qtbot.waitUntil(lambda: bool(panel.tree.records()), timeout=20_000)
    assert panel.tree.records()[0].folder == run
    card = {"format": "napari-neuropretrain encoder", "title": "tiny by simclr"}
    card |= {"backbone": {"name": "tiny_densenet"}, "licence": "BSD"}
    (tmp_path / "tiny.json").write_text(json.dumps(card))
    (tmp_path / "tiny.safetensors").write_bytes(b"not looked at")
    drop(viewer, tmp_path / "tiny.safetensors")
    shown = viewer.window.dock_widgets["Encoder: tiny"]
    assert "simclr" in shown.text.toPlainText()
    assert not viewer.layers
