from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest


@pytest.fixture
def oblique_scan(tmp_path) -> Path:
    """A scan stored as (P, I, R), tilted by 12 degrees, bright at its front top."""
    c, s = np.cos(np.radians(12)), np.sin(np.radians(12))
    affine = np.array(
        [[0, 0, 2.0, -20], [-1.5 * c, 1.5 * s, 0, 30], [-1.5 * s, -1.5 * c, 0, 25]]
    )
    affine = np.vstack([affine, [0, 0, 0, 1]])
    data = np.ones((32, 30, 20), np.float32)
    data[0, 0, :] = 9
    path = tmp_path / "sub-01_T1w.nii.gz"
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


@pytest.fixture
def no_gl() -> None:
    """Skip where no real window can be drawn."""
    offscreen = os.environ.get("QT_QPA_PLATFORM") in ("offscreen", "minimal")
    headless = sys.platform == "linux" and not os.environ.get("DISPLAY")
    if offscreen or headless:
        pytest.skip("No display with OpenGL: run under xvfb-run to test the viewer.")


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory, monkeypatch):
    """Keep the settings of whoever runs the tests out of them, and safe from them."""
    from napari import settings

    folder = tmp_path_factory.mktemp("settings")
    settings._clear_plugin_settings_cache()
    monkeypatch.setattr(settings, "_CFG_PATH", str(folder / "settings.yaml"))
    yield
    settings._clear_plugin_settings_cache()


GRID = np.diag([2.0, 2.0, 2.0, 1.0])


def save_scan(path: Path, voxels: np.ndarray, affine: np.ndarray = GRID) -> Path:
    """Write voxels as NIfTI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels.astype(np.float32), affine), path)
    return path


@pytest.fixture
def derivatives(tmp_path) -> Path:
    """A derivatives folder of three toy scans with a quality table."""
    root = tmp_path / "out"
    x, y, z = np.mgrid[:20, :24, :20]
    brain = ((x - 10) / 7) ** 2 + ((y - 12) / 9) ** 2 + ((z - 10) / 7) ** 2 < 1
    verdicts = {"01": "keep", "02": "look", "03": "reject"}
    lines = ["participant_id\tsession_id\tverdict\treason\tdecision\tnote\tdice"]
    for name, verdict in verdicts.items():
        key = f"sub-{name}"
        raw = save_scan(tmp_path / f"raw/{key}_T1w.nii.gz", 50.0 + y + 90 * brain)
        stem = root / key / "anat" / key
        aligned = np.where(brain, y / 12.0 - 1, 0)[2:18, 2:18, 2:18]
        inside = brain[2:18, 2:18, 2:18]
        save_scan(Path(f"{stem}_space-MNI152_desc-preproc_T1w.nii.gz"), aligned)
        save_scan(Path(f"{stem}_space-MNI152_desc-brain_mask.nii.gz"), inside)
        save_scan(Path(f"{stem}_desc-brain_mask.nii.gz"), brain)
        notes = json.dumps({"Source": {"Path": str(raw)}})
        Path(f"{stem}_space-MNI152_desc-preproc_T1w.json").write_text(notes)
        reason = "" if verdict == "keep" else f"The mask is a {verdict}."
        lines.append(f"{key}\tn/a\t{verdict}\t{reason or 'n/a'}\tn/a\tn/a\t0.95")
    (root / "quality.tsv").write_text("\n".join(lines) + "\n")
    (root / "quality.html").write_text("<p>quality</p>")
    return root


@pytest.fixture
def quick_edges(monkeypatch):
    """Lines that need no template: a cross in the middle of the grid."""

    def edges(shape, spacing_mm):
        lines = np.zeros(shape, np.uint8)
        lines[shape[0] // 2], lines[:, shape[1] // 2] = 1, 2
        return lines, np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])

    module = "napari_neuropretrain.gui.scans.scan_pair.template_edges"
    monkeypatch.setattr(module, edges)


@pytest.fixture
def click_menu(qtbot):
    """``click_menu(viewer, "Layers", "Classify", ...)`` clicks a line of a menu."""
    from qtpy.QtCore import QPoint, Qt

    def click(viewer, *names: str) -> None:
        window = viewer.window._qt_window
        menu = window.menuBar()
        for name in names[:-1]:
            lines = {one.text().replace("&", ""): one for one in menu.actions()}
            menu = lines[name].menu()
            menu.aboutToShow.emit()
        menu.popup(window.mapToGlobal(QPoint(80, 60)))
        (line,) = [one for one in menu.actions() if one.text().startswith(names[-1])]
        place = menu.actionGeometry(line).center()
        qtbot.mouseClick(menu, Qt.MouseButton.LeftButton, pos=place)

    return click
