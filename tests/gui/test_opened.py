"""What is dropped on the viewer: scans, runs, models; and layers saved from it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from napari.components import ViewerModel

from napari_neuropretrain.config.jobs import DemoConfig
from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.gui import opened
from napari_neuropretrain.gui.models.card import read_card
from napari_neuropretrain.gui.reader import NO_LAYERS, get_reader, is_map, read_layers
from napari_neuropretrain.gui.scans import layers

PLUGIN = "napari-neuropretrain"
AFFINE = np.array(
    [[0, 0, 2.0, -20], [-1.4, 0.3, 0, 30], [-0.3, -1.4, 0, 25], [0, 0, 0, 1.0]]
)


def save(path, data=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    data = rng.normal(9, 3, (8, 9, 10)) if data is None else data
    nib.save(nib.Nifti1Image(data.astype(np.float32), AFFINE), path)
    return path


def write_run(folder, job, message="Done.", results=(), epochs=()):
    """A run folder as the command line leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = DemoConfig(output=folder)
    header = f"# napari-neuropretrain 0.1.0: neuropretrain {job}\n"
    (folder / "config.yaml").write_text(header + config.to_yaml())
    now = time.time()
    events = [{"state": "started", "values": {"job": job, "pid": 2**22 + 7}}]
    events += [{"state": "epoch", "values": one, "message": "E"} for one in epochs]
    events += [{"state": "result", "values": one} for one in results]
    events.append({"state": "finished", "message": message, "values": {}})
    lines = [json.dumps({"time": now, "seconds": 1.0, **one}) for one in events]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def explained(tmp_path):
    """An explanation with the map on the template and on the scan."""
    folder = tmp_path / "explain"
    scan = save(tmp_path / "raw" / "sub-01_T1w.nii.gz")
    preproc = save(tmp_path / "p" / "sub-01_space-MNI152_desc-preproc_T1w.nii.gz")
    maps = [
        save(folder / f"sub-01_space-{space}_desc-occlusion_map.nii.gz")
        for space in ("MNI152", "T1w")
    ]
    note = {"strongest_threshold": 1.0, "model": "m", "scan": {"path": str(scan)}}
    (folder / "sub-01_explanation.json").write_text(json.dumps(note))
    result = {"kind": "occlusion", "path": str(maps[0]), "t1": str(scan)}
    result["template_t1"] = str(preproc)
    return write_run(folder, "explain", results=[result])


@pytest.fixture
def model_file(tmp_path):
    """A model's weights, of which nothing is read, and its card."""
    card = {
        "format": "napari-neuropretrain encoder",
        "title": "tiny pre-trained by simclr",
        "backbone": {"name": "tiny_densenet"},
        "licence": "BSD",
    }
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "tiny.json").write_text(json.dumps(card))
    (folder / "tiny.safetensors").write_bytes(b"not looked at")
    return folder / "tiny.safetensors"


def test_an_explanation_shows_its_map_over_the_scan(explained):
    found = get_reader(str(explained))(str(explained))
    names = [keywords["name"] for _, keywords, _ in found]
    assert names[0].startswith("sub-01_T1w")
    assert names[1].startswith("sub-01_space-T1w_desc-occlusion_map")
    assert layers.OCCLUSION_KEY in found[1][1]["metadata"]
    # The scan was moved since: the template's space is shown.
    (explained.parent / "raw" / "sub-01_T1w.nii.gz").unlink()
    names = [one[1]["name"] for one in opened.open_run(explained)]
    assert [name.split("_desc-")[1][:9] for name in names] == ["preproc_T", "occlusion"]


def test_a_renamed_map_is_known_by_the_note_beside_it(explained, tmp_path):
    path = explained / "sub-01_mine_map.nii.gz"
    (explained / "sub-01_space-T1w_desc-occlusion_map.nii.gz").rename(path)
    assert is_map(path)
    ((_, keywords, _),) = read_layers(path)
    low, high = keywords["contrast_limits"]
    assert low == -high
    assert keywords["metadata"]["explanation"]["model"] == "m"
    assert not is_map(save(tmp_path / "elsewhere" / "sub-01_mine_map.nii.gz"))


def test_other_runs_have_no_layers_but_a_sentence(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("napari.utils.notifications.show_info", said.append)
    folder = write_run(tmp_path / "age", "finetune", "MAE 5.1 years.")
    assert get_reader(str(folder))(str(folder)) is NO_LAYERS
    assert said == ["age (finetune, finished): MAE 5.1 years."]
    assert get_reader(str(tmp_path)) is None


def test_preprocessing_shows_a_participant(derivatives, quick_edges):
    write_run(derivatives, "preprocess")
    names = [one[1]["name"] for one in opened.open_run(derivatives)]
    assert any(name.startswith("sub-01") for name in names)


def test_a_model_without_its_card_is_refused(model_file):
    model_file.with_suffix(".json").unlink()
    read = get_reader(str(model_file))
    with pytest.raises(CheckpointError, match=r"tiny\.json' is missing"):
        read(str(model_file))


def test_cards_load_neither_torch_nor_weights(model_file):
    assert read_card(model_file).kind == "encoder"
    assert "simclr" in read_card(model_file).text
    code = (
        "import sys; from pathlib import Path\n"
        "from napari_neuropretrain.gui.models.card import read_card\n"
        f"read_card(Path({str(model_file)!r}))\n"
        "import napari_neuropretrain.weights.card_text\n"
        "print([m for m in ('torch', 'monai', 'safetensors') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def write_dicom(folder):
    """Ten slices of one series, 1 x 1 x 2 mm."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        plane = rng.integers(0, 900, (1, 14, 12)).astype(np.int16)
        image = sitk.GetImageFromArray(plane)
        image.SetOrigin((-6.0, -7.0, 2.0 * number))
        image.SetSpacing((1.0, 1.0, 2.0))
        tags = {
            "0008|0060": "MR",
            "0008|103e": "t1",
            "0020|000d": "1.2.3",
            "0020|000e": "1.2.3.1",
            "0020|0013": str(number + 1),
            "0020|0032": f"-6\\-7\\{2 * number}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{number:02d}.dcm"))
        writer.Execute(image)
    return folder


def test_a_dicom_folder_is_saved_as_nifti(tmp_path):
    from napari.layers import Layer

    from napari_neuropretrain.data.volumes import read_volume
    from napari_neuropretrain.gui.writer import write_image

    folder = write_dicom(tmp_path / "dicom")
    (found,) = get_reader(str(folder))(str(folder))
    layer = Layer.create(*found)
    data, attributes, _ = layer.as_layer_data_tuple()
    write_image(str(tmp_path / "a.nii.gz"), data, attributes)
    scan, after = read_volume(folder), read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(after.data, scan.data)
    np.testing.assert_allclose(after.native_affine, scan.native_affine, atol=1e-5)


@pytest.mark.gl
@pytest.mark.usefixtures("no_gl")
def test_the_real_viewer_opens_and_saves(
    make_napari_viewer, tmp_path, explained, model_file, qtbot, monkeypatch
):
    viewer = make_napari_viewer(show=True)
    raw = np.random.default_rng(0).integers(0, 99, (8, 9, 10)).astype(np.int16)
    image = nib.Nifti1Image(raw, AFFINE)
    image.header["descrip"] = b"by hand"
    nib.save(image, tmp_path / "scan.nii.gz")
    viewer.open(str(tmp_path / "scan.nii.gz"), plugin=PLUGIN)
    (path,) = viewer.layers[0].save(str(tmp_path / "saved.nii.gz"), plugin=PLUGIN)
    again = nib.load(path)
    assert np.asarray(again.dataobj).tobytes() == raw.tobytes()
    np.testing.assert_array_equal(
        again.affine, nib.load(tmp_path / "scan.nii.gz").affine
    )
    assert bytes(again.header["descrip"]).startswith(b"by hand")
    # New labels by the viewer's own button take the oblique affine of the scan.
    viewer._new_labels()
    labels = viewer.layers[-1]
    assert labels.data.shape == viewer.layers[0].data.shape
    labels.data[viewer.layers[0].data > 90] = 3
    (path,) = labels.save(str(tmp_path / "labels.mgz"), plugin=PLUGIN)
    expected = np.where(raw > 90, 3, 0)
    np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), expected)
    np.testing.assert_allclose(nib.load(path).affine, again.affine, atol=1e-4)
    viewer.layers.clear()
    viewer.open(str(explained), plugin=PLUGIN)
    assert len(viewer.layers) == 2
    assert viewer.layers[1].rendering == "translucent"
    epochs = [{"epoch": e, "loss": 1 / e, "validation_loss": 1 / e} for e in (1, 2)]
    run = write_run(tmp_path / "age", "finetune", "MAE 5.1.", epochs=epochs)
    viewer.open(str(run), plugin=PLUGIN)
    runs = viewer.window.dock_widgets["Runs (NeuroPretrain)"]
    qtbot.waitUntil(lambda: bool(runs.tree.records()), timeout=20_000)
    assert runs.tree.records()[0].folder == run
    assert "MAE 5.1." in runs.details.words.text()
    viewer.open(str(model_file), plugin=PLUGIN)
    panel = viewer.window.dock_widgets["Encoder: tiny"]
    assert "simclr" in panel.text.toPlainText()
    panel.button.click()
    form = viewer.window.dock_widgets["Fine-tune (NeuroPretrain)"].form
    assert form.widgets["initial_weights"].value == str(model_file)
    assert len(viewer.layers) == 2


def test_without_a_window_nothing_is_opened(model_file, tmp_path):
    viewer = ViewerModel()
    opened.open_model(model_file, viewer)
    run = write_run(tmp_path / "age", "finetune")
    assert opened.open_run(run, viewer) == []
