from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManifest

from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.gui.jobs.results import load_result
from napari_neuropretrain.gui.reader import get_reader, read_layers
from napari_neuropretrain.gui.scans import layers, view


def save(path, data):
    nib.save(nib.Nifti1Image(data.astype(np.float32), np.diag([-2, 2, 2, 1])), path)
    return path


def test_scan_is_upright_and_says_it_is_oblique(oblique_scan):
    ((data, keywords, kind),) = get_reader(str(oblique_scan))(str(oblique_scan))
    assert (data.shape, kind) == ((30, 32, 20), "image")
    assert keywords["scale"] == pytest.approx((1.5, 1.5, 2.0))
    # Stored first along posterior and inferior: now last along z and y.
    assert data[-1, -1].tolist() == [9.0] * 20
    assert "oblique 12°" in keywords["name"]
    assert "12.0 degrees" in keywords["metadata"]["notes"][0]
    assert keywords["metadata"]["header"]["dim"][1] == 32
    assert keywords["metadata"]["path"] == str(oblique_scan)


def test_masks_and_maps_are_known_by_name(tmp_path):
    mask = save(
        tmp_path / "sub-01_desc-brain_mask.nii.gz", np.eye(8)[None].repeat(8, 0)
    )
    ((data, keywords, kind),) = read_layers(mask)
    assert (kind, data.dtype, data.max()) == ("labels", np.uint8, 1)
    values = np.linspace(-3, 1, 512).reshape(8, 8, 8)
    name = "sub-01_space-MNI152_desc-occlusion_map.nii.gz"
    note = tmp_path / "sub-01_explanation.json"
    note.write_text(json.dumps({"strongest_threshold": 0.75}))
    ((_, keywords, kind),) = read_layers(save(tmp_path / name, values))
    assert keywords["contrast_limits"] == pytest.approx((-3, 3))
    assert keywords["metadata"][layers.FRACTION_KEY] == pytest.approx(0.25)


def test_an_empty_map_can_be_shown(tmp_path):
    path = save(tmp_path / "a_desc-occlusion_map.nii.gz", np.zeros((4, 4, 4)))
    viewer = ViewerModel()
    view.add_layers(viewer, read_layers(path))
    assert viewer.layers[0].contrast_limits == [-1, 1]


def test_other_paths_are_left_to_others(tmp_path):
    assert get_reader(str(tmp_path)) is None
    assert get_reader(str(tmp_path / "missing")) is None
    assert get_reader("table.csv") is None
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"not an image")
    with pytest.raises(ImageError, match=r"broken\.nii\.gz"):
        get_reader(str(broken))(str(broken))


def test_manifest_names_what_exists():
    manifest = PluginManifest.from_distribution("napari-neuropretrain")
    manifest.validate_imports()
    found = manifest.contributions
    names = [widget.display_name for widget in found.widgets]
    assert {"Preprocess", "Review quality", "Fine-tune", "Predict"} <= set(names)
    assert len(set(names)) == len(names)
    assert [one.layer_types for one in found.writers] == [["image"], ["labels"]]
    assert found.readers[0].accepts_directories


def test_derivatives_are_shown_with_the_scan_they_came_from(
    tmp_path, oblique_scan, quick_edges
):
    values = np.random.default_rng(0).normal(size=(8, 8, 8))
    stem = tmp_path / "sub-01_space-MNI152_desc-preproc_T1w"
    save(stem.with_name(stem.name + ".nii.gz"), values)
    save(tmp_path / "sub-01_desc-brain_mask.nii.gz", values > 0)
    source = json.dumps({"Source": {"Path": str(oblique_scan)}})
    stem.with_name(stem.name + ".json").write_text(source)
    shown = load_result("derivatives", tmp_path, tmp_path)
    names = [keywords["name"] for _, keywords, _ in shown.layers]
    expected = ["sub-01_T1w (oblique 12°)", "sub-01_desc-brain_mask", stem.name]
    expected.append("template edges")
    assert names == expected
    assert shown.layers[2][1]["visible"] is False


def test_occlusion_is_shown_on_the_scan_if_it_is_there(tmp_path, oblique_scan):
    on_template = tmp_path / "sub-01_space-MNI152_desc-occlusion_map.nii.gz"
    own = tmp_path / "sub-01_space-T1w_desc-occlusion_map.nii.gz"
    for path in (on_template, own):
        save(path, np.random.default_rng(0).normal(size=(8, 8, 8)))
    shown = load_result("occlusion", on_template, None, {"t1": str(oblique_scan)})
    assert [Layer["name"] for _, Layer, _ in shown.layers][1] == own.name[:-7]
    shown = load_result("occlusion", on_template, None, {"t1": "", "template_t1": ""})
    assert [Layer["name"] for _, Layer, _ in shown.layers] == [on_template.name[:-7]]


def test_metrics_become_lines(tmp_path):
    metrics = {"test": {"n": 8, "mae": 4.56789, "mae_ci": [1.0, 2.0]}, "unit": "years"}
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(metrics))
    text = load_result("metrics", tmp_path).text
    assert text.splitlines() == [
        "test.n: 8",
        "test.mae: 4.568",
        "test.mae_ci: 1, 2",
        "unit: years",
    ]
