"""From the panel Explain to both spaces: real runs of a small model, by clicks."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from npe2 import PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_neuropretrain.config.catalog import TASKS
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import JOBS, ExplainConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import read_volume, write_image
from napari_neuropretrain.gui.explanation.explanation_widget import ExplanationWidget
from napari_neuropretrain.gui.explanation.places import shown_map
from napari_neuropretrain.gui.explanation.slices import value_at
from napari_neuropretrain.gui.reader import read_layers
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.scans.layers import look_of
from napari_neuropretrain.preprocessing.derivatives import write_derivative
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.runs import process
from napari_neuropretrain.weights.model_card import ModelCard, Part
from napari_neuropretrain.weights.model_file import save_model

pytestmark = [pytest.mark.gl, pytest.mark.usefixtures("no_gl")]

LEFT = Qt.MouseButton.LeftButton
WAIT = {"timeout": 60_000}
CONTRACT = PreprocessingContract(shape=(40, 40, 40), spacing_mm=4.0)
SCAN_MAP = "sub-01_space-T1w_desc-occlusion_map"
TEMPLATE_MAP = "sub-01_space-MNI152_desc-occlusion_map"


def tilted(degrees: float, spacing: float, shape: tuple[int, ...]) -> np.ndarray:
    """Return a grid around 0 mm, turned about x, stored from front to back."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.eye(4)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    affine[:3, :3] = spacing * turn @ np.diag([1, -1, 1])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2) + [4, -6, 9]
    return affine


TRANSFORM = tilted(-9, 1.0, (1, 1, 1)) @ np.diag([1.1, -1.05, 0.95, 1])
"""Scan to template: turned, moved and of another size."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the run be as important as the test, on a machine with other work."""
    monkeypatch.setattr(process, "NICENESS", 0)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A small model, and an oblique scan with its derivatives."""
    import torch

    folder = tmp_path_factory.mktemp("study")
    options = {"init_features": 4, "growth_rate": 2, "block_config": [1, 1]}
    backbone = Part(catalog="backbones", name="tiny_densenet", options=options)
    task = TASKS["ad"].options().model_dump(mode="json")
    torch.manual_seed(3)
    card = ModelCard(
        backbone=backbone,
        task=Part(catalog="tasks", name="ad", options=task),
        kind="binary",
        label="diagnosis",
        unit="probability",
        contract=CONTRACT,
    )
    save_model(folder / "model", backbone.build(), card)
    rng = np.random.default_rng(0)
    shape = (34, 40, 36)
    raw_grid = tilted(14, 6.0, shape)
    raw = write_image(folder / "raw/sub-01_T1w.nii.gz", head(shape, rng), raw_grid)
    grid = np.diag([4.0, 4.0, 4.0, 1.0])
    grid[:3, 3] = -78
    image = head(CONTRACT.shape, rng)
    brain = image > 0
    volume = read_volume(raw)
    own_brain = np.ones(volume.data.shape, bool)
    done = Preprocessed(image, grid, brain, own_brain, TRANSFORM, {})
    source = {"Path": str(raw)}
    scan = Scan("sub-01", None, raw)
    write_derivative(folder / "derivatives", scan, volume, done, CONTRACT, source)
    return folder


def head(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    edges = np.indices(shape) - (np.array(shape)[:, None, None, None] - 1) / 2
    radius = np.sqrt(sum(np.square(edge) for edge in edges))
    inside = radius < 0.4 * min(shape)
    bright = rng.random(shape) + (edges[1] > 0)
    return np.where(inside, bright, 0).astype(np.float32)


def settings(study: Path, output: Path, **changes: object) -> dict[str, object]:
    (image,) = (study / "derivatives").rglob("*preproc_T1w.nii.gz")
    values = {"model": study / "model", "input": image, "output": output}
    values |= {"patch": 12, "stride": 1, "checks": False, "threads": 1}
    # One at a time, or it is over before somebody could press Cancel.
    return values | {"device": "cpu", "batch_size": 1} | changes


@pytest.fixture(scope="module")
def explained(study) -> Path:
    """A finished run; return its map on the template."""
    from napari_neuropretrain.runs.execution import execute

    labels = np.indices(CONTRACT.shape)[1] // 20 + 1  # 1 behind, 2 in front
    grid = np.diag([4.0, 4.0, 4.0, 1.0])
    grid[:3, 3] = -78
    atlas = write_image(study / "halves.nii.gz", labels.astype(np.float32), grid)
    names = "index\tname\n1\tback\n2\tfront\n"
    atlas.with_name("halves.tsv").write_text(names, encoding="utf-8")
    values = settings(study, study / "run", stride=6, regions=str(atlas))
    made = execute(JOBS, "explain", ExplainConfig(**values)).results["map"]
    return Path(made)


@pytest.fixture
def viewer(make_napari_viewer, npe2pm):
    npe2pm.register(PluginManifest.from_distribution("napari-neuropretrain"))
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1500, 950)
    return viewer


def panel_of(viewer) -> ExplanationWidget:
    docked = list(viewer.window.dock_widgets.values())
    (panel,) = (one for one in docked if isinstance(one, ExplanationWidget))
    return panel


def type_into(qtbot, field, text: object) -> None:
    edit = field.line_edit.native
    edit.setFocus()
    edit.selectAll()
    qtbot.keyClicks(edit, str(text))
    qtbot.keyClick(edit, Qt.Key.Key_Return)


def test_a_real_run_refines_the_map_and_cancel_keeps_it(qtbot, viewer, study, tmp_path):
    # As from the menu: it is given a proxy of the viewer.
    _, explain = viewer.window.add_plugin_dock_widget("napari-neuropretrain", "Explain")
    values = settings(study, tmp_path / "out")
    for name in ("model", "input", "output"):
        type_into(qtbot, explain.form.widgets[name], values.pop(name))
    explain.form.propose(values)
    view.add_layers(viewer, read_layers(study / "raw/sub-01_T1w.nii.gz"))
    known, endings, finished = [], [], []
    explain.live_map.refined.connect(
        lambda layer: known.append(int(np.count_nonzero(layer.data)))
    )
    explain.ended.connect(endings.append)
    explain.shown.connect(finished.append)
    assert explain.start_button.isEnabled(), explain.problem.text()
    qtbot.mouseClick(explain.start_button, LEFT)
    qtbot.waitUntil(lambda: len(known) > 0, **WAIT)
    layer = explain.live_map.layer
    assert layer.name == f"{TEMPLATE_MAP} (so far)"
    raw, preproc = viewer.layers[:2]  # in other spaces: only one is shown
    assert (raw.visible, preproc.visible, layer.visible) == (False, True, True)
    # What people do meanwhile: open the panel, look elsewhere, set a threshold.
    qtbot.mouseClick(explain.open_button, LEFT)
    panel = panel_of(viewer)
    qtbot.waitUntil(panel.parts.look.isEnabled, **WAIT)
    assert not panel.parts.space.isEnabled()
    viewer.dims.point = (-10, 2, 18)
    viewer.scene.camera.zoom *= 1.5
    seen = tuple(viewer.dims.point), viewer.scene.camera.zoom
    panel.parts.look.slider.setValue(200)
    threshold = look_of(layer).threshold
    before = known[-1]
    qtbot.waitUntil(lambda: known[-1] > before, **WAIT)
    explain.show()
    qtbot.mouseClick(explain.cancel_button, LEFT)
    qtbot.waitUntil(lambda: bool(endings and finished), **WAIT)
    (ending,) = endings
    assert ending.state == "stopped"
    said = explain.panel.state.text()
    assert (
        said == f"Stopped. The map so far stays, here and as '{TEMPLATE_MAP}.nii.gz'."
    )
    # The layer is the same one, and holds what the file does.
    assert layer in viewer.layers
    assert [one.name for one in viewer.layers if "map" in one.name] == [TEMPLATE_MAP]
    written = nib.load(tmp_path / "out" / f"{TEMPLATE_MAP}.nii.gz").get_fdata()
    np.testing.assert_allclose(layer.data, written.transpose(2, 1, 0), atol=1e-7)
    assert np.count_nonzero(layer.data) >= known[-1] > before
    noted = tmp_path / "out/sub-01_explanation.json"
    note = json.loads(noted.read_text(encoding="utf-8"))
    assert note["complete"] is False
    assert (tuple(viewer.dims.point), viewer.scene.camera.zoom) == seen
    assert look_of(layer).threshold == pytest.approx(threshold)
    # What the run left beside it is found.
    qtbot.waitUntil(panel.parts.space.isEnabled, **WAIT)
    assert "not complete" in panel.parts.trust.words.text()
    choose(qtbot, panel.parts.space, 1)
    qtbot.waitUntil(lambda: SCAN_MAP in viewer.layers, **WAIT)
    shown = [raw.visible, preproc.visible, layer.visible]
    assert (shown, len(viewer.layers)) == ([True, False, False], 4)


def choose(qtbot, box, row: int) -> None:
    """Open a combo box and click one of its rows."""
    qtbot.waitUntil(box.isEnabled, **WAIT)
    qtbot.mouseClick(box, LEFT)
    rows = box.view()
    qtbot.waitUntil(rows.isVisible, **WAIT)
    # Sooner, Qt takes it for the second half of a double click.
    qtbot.wait(QApplication.doubleClickInterval() + 50)
    at = rows.visualRect(box.model().index(row, 0)).center()
    qtbot.mouseClick(rows.viewport(), LEFT, pos=at)


def test_the_space_is_switched_at_the_same_place(qtbot, viewer, study, explained):
    (image,) = (study / "derivatives").rglob("*preproc_T1w.nii.gz")
    view.add_layers(viewer, [*read_layers(image), *read_layers(explained)])
    _, panel = viewer.window.add_plugin_dock_widget(
        "napari-neuropretrain", "Explanation"
    )
    parts, template = panel.parts, viewer.layers[TEMPLATE_MAP]
    qtbot.waitUntil(parts.space.isEnabled, **WAIT)
    qtbot.waitUntil(lambda: "halves" in viewer.layers, **WAIT)
    place = (-10, 22, 18)  # the centre of a voxel
    viewer.dims.point = place
    choose(qtbot, parts.space, 1)
    qtbot.waitUntil(lambda: SCAN_MAP in viewer.layers, **WAIT)
    own = viewer.layers[SCAN_MAP]
    qtbot.waitUntil(lambda: shown_map(viewer) is own, **WAIT)
    shown = {one.name for one in viewer.layers if one.visible}
    assert shown == {SCAN_MAP, "sub-01_T1w (oblique 14°)"}
    # The crosshair: template mm, to scan mm, to voxels, to where the voxel is drawn.
    x, y, z = np.linalg.inv(TRANSFORM)[:3] @ [*place[::-1], 1]
    image_of_own = nib.as_closest_canonical(
        nib.load(explained.with_name(f"{SCAN_MAP}.nii.gz"))
    )
    voxel = np.linalg.inv(image_of_own.affine)[:3] @ [x, y, z, 1]
    expected = own.data_to_world(voxel[::-1])
    step = own.scale
    assert np.all(np.abs(np.subtract(viewer.dims.point, expected)) <= step / 2 + 1e-3)
    there = value_at(own, viewer.dims.point)
    assert there == pytest.approx(value_at(template, place), rel=0.35)
    # The same region, though its image is on the template.
    qtbot.waitUntil(lambda: "right front" in parts.crosshair.text(), **WAIT)
    # And back.
    choose(qtbot, parts.space, 0)
    qtbot.waitUntil(lambda: shown_map(viewer) is template, **WAIT)
    assert np.all(np.abs(np.subtract(viewer.dims.point, place)) <= 4)
    assert not own.visible
    assert not viewer.layers["sub-01_T1w (oblique 14°)"].visible


def test_every_voxel_of_the_own_map_lies_where_the_transform_says(explained):
    from napari.layers import Layer
    from scipy.ndimage import map_coordinates

    from napari_neuropretrain.gui.explanation.spaces import (
        TO_TEMPLATE_KEY,
        in_own_space,
        in_template,
    )

    template = Layer.create(*read_layers(explained)[0])
    own = Layer.create(*read_layers(explained.with_name(f"{SCAN_MAP}.nii.gz"))[0])
    assert in_template(own, (0, 0, 0)) is None
    own.metadata[TO_TEMPLATE_KEY] = TRANSFORM
    rng = np.random.default_rng(1)
    for index in rng.integers(0, own.data.shape, (200, 3)):
        drawn = own.data_to_world(index)
        place = in_template(own, drawn)
        found = map_coordinates(
            template.data, np.array(template.world_to_data(place))[:, None], order=1
        )
        assert own.data[tuple(index)] == pytest.approx(found[0], abs=1e-4)
        assert in_own_space(own, place, TRANSFORM) == pytest.approx(drawn, abs=1e-6)
