"""Small scans and cohorts that many tests share."""

from __future__ import annotations

import ast
import csv
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from napari_neuropretrain.cli.system_packages import install_line, missing_packages

Rows: TypeAlias = Sequence[Mapping[str, Any]]

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# Tilted by 12 degrees about x and 5 about z, non-cubic voxels, L-P-S axis codes.
OBLIQUE_AFFINE = np.array(
    [
        [-0.9962, 0.1705, 0.0181, 20.0],
        [-0.0872, -1.9488, -0.2071, 35.0],
        [0.0, -0.4158, 0.9781, -10.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


GUI_TESTS = Path(__file__).parent / "gui"


def _can_load_qt() -> bool:
    try:
        import qtpy.QtWidgets
    except ImportError:  # not installed, or a system library is missing
        return False
    return bool(qtpy.QtWidgets)


HAS_QT = _can_load_qt()
collect_ignore = [] if HAS_QT else [str(GUI_TESTS)]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let the other tests run where Qt or a display is missing."""
    if not HAS_QT and config.pluginmanager.has_plugin("pytest-qt"):
        from pytestqt.qt_compat import qt_api

        # It would end the whole run at once.
        qt_api.set_qt_api = lambda api: None
    headless = sys.platform.startswith("linux") and not os.environ.get("DISPLAY")
    if headless and shutil.which("Xvfb") is None:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many plugin tests were skipped for want of system packages."""
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum("No display with OpenGL" in str(one.longrepr) for one in skipped)
    if not HAS_QT:
        trees = [ast.parse(path.read_text()) for path in GUI_TESTS.glob("test_*.py")]
        names = [getattr(node, "name", "") for tree in trees for node in tree.body]
        count += sum(name.startswith("test_") for name in names)
    if count:
        line = install_line(missing_packages()) if missing_packages() else ""
        terminalreporter.write_line(
            f"{count} tests of the plugin were skipped: no Qt or no display. {line}",
            yellow=True,
        )


@pytest.fixture
def oblique_voxels() -> NDArray[np.float32]:
    """A 32^3 array in which every voxel differs from every other."""
    order = np.random.default_rng(0).permutation(32**3)
    return order.reshape(32, 32, 32).astype(np.float32)


@pytest.fixture
def oblique_image(tmp_path: Path, oblique_voxels: NDArray[np.float32]) -> Path:
    """A 32^3 NIfTI file with an oblique affine."""
    path = tmp_path / "oblique_T1w.nii.gz"
    nib.save(nib.Nifti1Image(oblique_voxels, OBLIQUE_AFFINE), path)
    return path


@pytest.fixture
def shared_data() -> Path:
    """The folder of real scans beside the repository, or a skipped test."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real scans are missing: there is no folder {SHARED_DATA}")
    return SHARED_DATA


def save_random_scan(path: Path, seed: int, edge: int = 32) -> Path:
    """Write a scan of random voxels, edge^3 at 2 mm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(1, 200, (edge, edge, edge))
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -float(edge)
    nib.save(nib.Nifti1Image(voxels.astype(np.uint8), affine), path)
    return path


def save_table(path: Path, rows: Rows) -> Path:
    """Write rows as TSV or CSV, by the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    delimiter = "\t" if path.suffix == ".tsv" else ","
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def write_scan() -> Callable[..., Path]:
    """``write_scan(path, seed, edge=32)`` writes a random scan."""
    return save_random_scan


@pytest.fixture
def write_table() -> Callable[[Path, Rows], Path]:
    """``write_table(path, rows)`` writes dicts as TSV or CSV."""
    return save_table


@pytest.fixture
def six_participants(tmp_path: Path) -> Path:
    """A BIDS dataset of six tiny random scans with age, sex and diagnosis."""
    root = tmp_path / "six"
    ages = (31.5, 44.0, 52.25, 63.0, 71.5, 80.0)
    rows = [
        {
            "participant_id": f"sub-{number:02d}",
            "age": age,
            "sex": "FM"[number % 2],
            "diagnosis": "CN" if number <= 3 else "AD",
        }
        for number, age in enumerate(ages, start=1)
    ]
    for number, row in enumerate(rows):
        name = row["participant_id"]
        save_random_scan(root / f"{name}/anat/{name}_T1w.nii.gz", seed=number)
    save_table(root / "participants.tsv", rows)
    return root


@pytest.fixture
def messy_cohort(tmp_path: Path) -> Path:
    """A BIDS dataset in which each of six participants has a problem of its own."""
    root = tmp_path / "messy"
    rows = [
        ("sub-01", "61", "F", "AD"),
        ("sub-02", "610", "M", "CN"),  # impossible age
        ("sub-03", "n/a", "male?", "CN"),  # no age, sex not understood
        ("sub-04", "70", "F", "A.D."),  # another spelling
        ("sub-05", "72", "M", "AD"),  # no scan
        ("sub-06", "66", "F", "CN"),  # a copy of sub-01
        ("sub-06", "66", "F", "CN"),  # and twice in the table
    ]
    names = ("participant_id", "age", "sex", "diagnosis")
    save_table(
        root / "participants.tsv", [dict(zip(names, r, strict=True)) for r in rows]
    )
    for number in (1, 2, 3, 4):
        name = f"sub-{number:02d}"
        save_random_scan(root / f"{name}/anat/{name}_T1w.nii.gz", number, edge=60)
    copy = root / "sub-06/anat/sub-06_T1w.nii.gz"
    copy.parent.mkdir(parents=True)
    shutil.copy(root / "sub-01/anat/sub-01_T1w.nii.gz", copy)
    lost = nib.Nifti1Image(np.ones((60, 60, 60), np.uint8), None)
    lost.header.set_zooms((2, 2, 2))
    nib.save(lost, root / "sub-03/anat/sub-03_T1w.nii.gz")  # no orientation
    series = nib.Nifti1Image(np.ones((60, 60, 60, 9), np.uint8), np.eye(4))
    nib.save(series, root / "sub-04/anat/sub-04_T1w.nii.gz")  # a time series
    return root


_CENTRES = {4: (0.12, 0.1, 0.1), 5: (0.4, -0.15, -0.35), 17: (0.33, -0.15, -0.2)}
_CENTRES |= {18: (0.33, 0.1, -0.2), 11: (0.3, 0.3, 0.1), 12: (0.45, 0.2, 0.05)}
_OTHER_SIDE = {4: 43, 5: 44, 17: 53, 18: 54, 11: 50, 12: 51}


@pytest.fixture(scope="session")
def toy_label_maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One label map of 72^3: white matter in grey, and round structures."""
    root = tmp_path_factory.mktemp("labels")
    ticks = (np.arange(72) - 35.5) / 34
    grid = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"))
    radius = np.sqrt((grid**2).sum(0))
    labels = np.where(radius < 1, 516, 0)
    labels[radius < 0.95] = 24
    labels[radius < 0.92] = 3
    labels[radius < 0.75] = 2
    for label, centre in _CENTRES.items():
        for side, number in ((1, label), (-1, _OTHER_SIDE[label])):
            middle = np.array([side * centre[0], *centre[1:]])
            away = np.sqrt(((grid - middle[:, None, None, None]) ** 2).sum(0))
            labels[away < 0.11] = number
    image = nib.Nifti1Image(labels.astype(np.int16), np.diag([2.0, 2, 2, 1]))
    nib.save(image, root / "brain.nii.gz")
    return root


FAKE_JOB = """
import json, os, sys, time
from pathlib import Path
import yaml
settings = yaml.safe_load(Path(sys.argv[-1]).read_text())
out, mode = Path(settings["output"]), sys.argv[1]
def say(state, message="", **more):
    event = {"time": time.time(), "state": state, "message": message, **more}
    with (out / "events.jsonl").open("a") as file:
        file.write(json.dumps(event) + chr(10))
print("hello from the child", flush=True)
if mode == "crash":
    sys.exit(5)
say("started", values={"pid": os.getpid(), "job": "fake"})
if mode == "deaf":
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (out / "grandchild").write_text(str(child.pid))
    time.sleep(60)
if mode == "fail":
    say("failed", "The scan 'a.nii' is broken.")
    sys.exit(1)
for i in range(3 if mode == "finish" else 600):
    say("step", "Counting", step=i, total=3, values={"loss": 1 / (i + 1)})
    if (out / "stop").exists():
        say("stopped", "Stopped; what was finished is kept.")
        sys.exit(3)
    time.sleep(0.02)
table = out / "predictions.tsv"
table.write_text("participant_id\\tprediction\\nsub-01\\t61.23456\\n")
say("result", values={"kind": "predictions", "path": str(table)})
say("finished", "Counted to 3.")
"""


@pytest.fixture
def fake_job(tmp_path):
    """Return the command of a small job; its mode chooses how it ends."""
    script = tmp_path / "fake_job.py"
    script.write_text(textwrap.dedent(FAKE_JOB))

    def command(mode: str) -> list[str]:
        return [sys.executable, str(script), mode]

    return command


@pytest.fixture(scope="session", autouse=True)
def _own_queue(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let jobs that tests start not wait for those of the person who runs them."""
    os.environ["NEUROPRETRAIN_QUEUE"] = str(tmp_path_factory.mktemp("queue"))
