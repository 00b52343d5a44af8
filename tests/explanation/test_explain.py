"""The explain job on a small network and a scan preprocessed by hand."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.interpolate import interpn

from napari_neuropretrain.config.catalog import TASKS
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import JOBS, ExplainConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import read_volume, write_image
from napari_neuropretrain.errors import Cancelled, ConfigError
from napari_neuropretrain.explanation.explain import explain, predictor
from napari_neuropretrain.explanation.occlusion import occlusion_map
from napari_neuropretrain.preprocessing.derivatives import (
    read_derivative,
    write_derivative,
)
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.weights.model_card import ModelCard, Part
from napari_neuropretrain.weights.model_file import load_model, save_model

CONTRACT = PreprocessingContract(shape=(16, 16, 16), spacing_mm=10.0)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def write_model(folder: Path, task: str) -> Path:
    options = {"init_features": 4, "growth_rate": 2, "block_config": [1, 1]}
    backbone = Part(catalog="backbones", name="tiny_densenet", options=options)
    torch.manual_seed(3)
    network = backbone.build()
    regression = task == "brain_age"
    card = ModelCard(
        backbone=backbone,
        task=Part(
            catalog="tasks",
            name=task,
            options=TASKS[task].options().model_dump(mode="json"),
        ),
        kind="regression" if regression else "binary",
        label="age" if regression else "diagnosis",
        unit="years" if regression else "probability",
        contract=CONTRACT,
        label_mean=60.0 if regression else 0.0,
        label_sd=12.0 if regression else 1.0,
    )
    save_model(folder, network, card)
    return folder


def write_scan(folder: Path) -> tuple[Path, Path]:
    """Write a raw scan in an odd voxel order, and its derivative."""
    rng = np.random.default_rng(0)
    # Stored as inferior, right, posterior: no axis is where it is in RAS.
    affine = np.array(
        [[0, 9.0, 0, -70], [0, 0, -8.0, 70], [-7.0, 0, 0, 75], [0, 0, 0, 1]]
    )
    raw = write_image(folder / "sub-01_T1w.nii.gz", rng.random((21, 17, 19)), affine)
    volume = read_volume(raw)
    template = np.diag([10.0, 10.0, 10.0, 1.0])
    template[:3, 3] = -75
    x, y, z = np.indices(CONTRACT.shape) - 7.5
    brain = x**2 + y**2 + z**2 < 6**2
    image = (rng.standard_normal(CONTRACT.shape) * brain).astype(np.float32)
    transform = np.eye(4)
    transform[:3, 3] = [5.0, -10.0, 15.0]
    scan_mask = np.ones(volume.data.shape, dtype=bool)
    done = Preprocessed(image, template, brain, scan_mask, transform, {})
    source = {"Path": str(raw)}
    scan = Scan("sub-01", None, raw)
    return raw, write_derivative(
        folder / "derivatives", scan, volume, done, CONTRACT, source
    )


def make_config(folder: Path, task: str = "ad", **changes: object) -> ExplainConfig:
    _, preprocessed = write_scan(folder)
    values = {
        "model": write_model(folder / "model", task),
        "input": preprocessed,
        "output": folder / "out",
        "patch": 4,
        "stride": 2,
        "device": "cpu",
        "checks": False,
        "threads": 1,
    }
    return ExplainConfig(**(values | changes))


@pytest.mark.parametrize(
    ("task", "unit"), [("ad", "probability"), ("brain_age", "years")]
)
def test_the_job_writes_the_map_of_the_model(tmp_path, task, unit):
    config = make_config(tmp_path, task)
    outcome = explain(config, silent)
    network, card = load_model(config.model)
    derivative = read_derivative(config.input)
    expected = occlusion_map(
        predictor(network, card, torch.device("cpu")),
        torch.tensor(derivative.image),
        torch.tensor(derivative.brain_mask),
        patch=4,
        stride=2,
    )
    written = nib.load(outcome.results["map"])
    tolerance = 1e-4 * np.abs(expected.map).max()
    np.testing.assert_allclose(written.get_fdata(), expected.map, atol=tolerance)
    np.testing.assert_allclose(written.affine, derivative.affine)
    described = json.loads(Path(outcome.results["explanation"]).read_text())
    assert described["unit"] == unit
    assert described["prediction"] == pytest.approx(expected.reference, rel=1e-5)
    if unit == "years":
        assert 20 < described["prediction"] < 100
        # A change is in years too: 12 times the change of the standardised output.
        with torch.inference_mode():
            logit = float(network(torch.tensor(derivative.image)[None, None]))
        assert described["prediction"] == pytest.approx(60 + 12 * logit, rel=1e-4)
    assert (described["patch_mm"], described["stride_mm"]) == (40, 20)
    assert described["model_sha256"] == card.sha256
    strongest = max(
        abs(described[peak]["value"])
        for peak in ("peak_positive", "peak_negative")
        if described[peak]
    )
    assert strongest == pytest.approx(np.abs(expected.map).max(), rel=1e-4)
    inside = np.abs(expected.map[derivative.brain_mask])
    share = (inside >= described["strongest_threshold"] * (1 - 1e-4)).mean()
    assert share == pytest.approx(0.05, abs=0.03)


def test_the_map_lies_on_the_scan_in_its_own_voxel_order(tmp_path):
    config = make_config(tmp_path)
    outcome = explain(config, silent)
    template = nib.load(outcome.results["map"])
    own = nib.load(outcome.results["scan_map"])
    raw = nib.load(tmp_path / "sub-01_T1w.nii.gz")
    assert own.shape == raw.shape
    np.testing.assert_allclose(own.affine, raw.affine, atol=1e-5)
    # Follow each voxel of the file by hand: index, scan mm, template mm, index.
    chain = np.linalg.inv(template.affine) @ read_derivative(config.input).transform
    indices = np.indices(raw.shape).reshape(3, -1)
    places = (chain @ raw.affine @ np.vstack([indices, np.ones(indices[0].size)]))[:3]
    values, axis = template.get_fdata(), np.arange(16)
    expected = interpn(
        (axis, axis, axis), values, places.T, bounds_error=False, fill_value=0
    )
    found = own.get_fdata().ravel()
    assert np.count_nonzero(expected) > 200
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(values).max())


def test_a_viewer_is_told_what_to_show(tmp_path):
    config = make_config(tmp_path)
    heard: list[Progress] = []
    explain(config, heard.append)
    (shown,) = [
        event.values
        for event in heard
        if event.state == "result" and event.values["kind"] == "occlusion"
    ]
    for name in ("path", "scan_map", "t1", "template_t1"):
        assert Path(shown[name]).is_file()
    steps = [e for e in heard if e.state == "step" and e.total]
    assert steps[-1].step == steps[-1].total


def test_a_scan_that_is_gone_leaves_the_map_on_the_template(tmp_path):
    config = make_config(tmp_path)
    (tmp_path / "sub-01_T1w.nii.gz").unlink()
    heard: list[Progress] = []
    outcome = explain(config, heard.append)
    assert "scan_map" not in outcome.results
    (warning,) = [e.message for e in heard if e.state == "warning"]
    assert "template only" in warning
    assert "sub-01_T1w.nii.gz" in warning


def test_stopping_keeps_what_is_there(tmp_path):
    config = make_config(tmp_path)

    def stop(progress: Progress) -> None:
        if progress.step:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        explain(config, stop)
    (template,) = config.output.glob("*_space-MNI152_desc-occlusion_map.nii.gz")
    assert np.count_nonzero(nib.load(template).get_fdata()) > 0
    (written,) = config.output.glob("*_explanation.json")
    described = json.loads(written.read_text())
    assert not described["complete"]
    assert 0 < described["computed_positions"] < described["positions"]


def test_other_models_are_compared_with(tmp_path):
    config = make_config(tmp_path, checks=True)
    same = write_model(tmp_path / "same", "ad")
    outcome = explain(config.replace(others=str(same)), silent)
    checks = json.loads(Path(outcome.results["explanation"]).read_text())["checks"]
    found = checks["other_models"]
    assert found["models"] == [{"model": str(same), "correlation": 1.0}]
    assert (found["mean_correlation"], found["overlap"]) == (1, 1)
    age = write_model(tmp_path / "age", "brain_age")
    with pytest.raises(ConfigError, match=r"others: .*age.* predicts age"):
        explain(config.replace(others=str(age)), silent)


def test_checks_and_regions_lie_beside_the_map(tmp_path):
    config = make_config(tmp_path, checks=True)
    derivative = read_derivative(config.input)
    atlas = np.zeros(CONTRACT.shape)
    atlas[4:12, 4:8, 4:8] = 3
    path = write_image(tmp_path / "atlas.nii.gz", atlas, derivative.affine)
    outcome = explain(config.replace(regions=str(path)), silent)
    described = json.loads(Path(outcome.results["explanation"]).read_text())
    checks = described["checks"]
    assert -1 <= checks["randomised_network"]["correlation"] <= 1
    assert [one["patch"] for one in checks["patch_sizes"]] == [6, 8]
    assert len(checks["deletion"]["outputs"]) == len(checks["deletion"]["shares"])
    assert checks["outside_share"] == 0  # outside is 0 already
    (random,) = config.output.glob("*_desc-randomised_map.nii.gz")
    assert nib.load(random).shape == CONTRACT.shape
    rows = Path(outcome.results["regions"]).read_text().splitlines()
    assert len(rows) == 1 + 2
    values = nib.load(outcome.results["map"]).get_fdata()
    corner = (slice(4, 8),) * 3  # x below 0 mm
    left = values[corner][derivative.brain_mask[corner]].mean()
    table = [row.split("\t") for row in rows[1:]]
    found = next(float(row[5]) for row in table if row[2] == "left")
    assert found == pytest.approx(left, rel=1e-4)
    peaks = Path(outcome.results["peaks"]).read_text().splitlines()
    assert peaks[0].split("\t")[4:] == ["size_mm3", "sign", "region"]
    page = (config.output / "report.html").read_text("utf-8")
    assert "region 3" in page
    assert "randomised network: correlation" in page


def test_a_run_ends_with_a_panel_and_a_page(tmp_path):
    outcome = explain(make_config(tmp_path, "brain_age"), silent)
    assert Path(outcome.results["panel"]).name == "sub-01_panel.png"
    assert Path(outcome.results["panel"]).with_suffix(".svg").is_file()
    page = Path(outcome.results["report"]).read_text()
    assert page.count("data:image/png;base64,") == 1
    assert outcome.message in page
    assert "No checks were made" in page
    assert "neuropretrain explain --model" in page
    described = json.loads(Path(outcome.results["explanation"]).read_text())
    peak = described["peak_positive"] or described["peak_negative"]
    assert f"<td>{peak['x_mm']}</td>" in page
    assert described["model_sha256"] in page


@pytest.mark.parametrize("method", ["integrated_gradients", "smooth_grad", "grad_cam"])
def test_other_methods_write_the_same_files(tmp_path, method):
    outcome = explain(make_config(tmp_path, "brain_age", method=method), silent)
    name = Path(outcome.results["map"]).name
    assert name == f"sub-01_space-MNI152_desc-{method.replace('_', '')}_map.nii.gz"
    described = json.loads(Path(outcome.results["explanation"]).read_text())
    assert (described["method"], described["unit"]) == (method, "years")
    assert Path(outcome.results["scan_map"]).is_file()
    assert Path(outcome.results["peaks"]).is_file()
    assert np.abs(nib.load(outcome.results["map"]).get_fdata()).max() > 0
    assert ("Feature map 2 of 3" in described["rule"]) is (method == "grad_cam")


def test_a_feature_map_that_names_no_place_is_warned_of(tmp_path):
    heard = []
    config = make_config(tmp_path, method="grad_cam", stage=3)
    explain(config, heard.append)
    (said,) = [one.message for one in heard if one.state == "warning"]
    assert "only 2x2x2 cells" in said


def test_the_logit_is_a_target_of_its_own(tmp_path):
    config = make_config(tmp_path, target="logit")
    outcome = explain(config, silent)
    described = json.loads(Path(outcome.results["explanation"]).read_text())
    network, _ = load_model(config.model)
    image = torch.tensor(read_derivative(config.input).image)
    with torch.inference_mode():
        logit = float(network(image[None, None]))
    assert described["unit"] == "logit"
    assert described["prediction"] == pytest.approx(logit, rel=1e-4)
    with pytest.raises(ConfigError, match="predicts age in years"):
        explain(make_config(tmp_path / "age", "brain_age", target="logit"), silent)


def test_a_sure_network_still_has_a_map(tmp_path):
    """In single precision a probability of 1 - 1e-9 would make every effect 0."""
    config = make_config(tmp_path)
    _, card = load_model(config.model)

    def sure(volumes: torch.Tensor) -> torch.Tensor:
        return 25.0 + volumes.mean((1, 2, 3, 4))[:, None]

    module = torch.nn.Module()
    module.forward = sure
    predict = predictor(module, card, torch.device("cpu"))
    high, low = torch.ones(1, 1, 4, 4, 4), torch.zeros(1, 1, 4, 4, 4)
    assert float(predict(high)) > float(predict(low))


def test_the_job_is_the_one_in_the_table_of_jobs():
    assert JOBS["explain"].load() is explain
