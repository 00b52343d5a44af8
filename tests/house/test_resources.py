"""What lies in resources/ is reachable from a wheel and from an editable install."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.resources import resource_path

REPOSITORY = Path(__file__).parents[2]
ASK = (
    "from napari_neuropretrain.resources import resource_path as r;"
    "import napari_neuropretrain as n;"
    "print(n.__file__); print(r('brain_mask.safetensors').stat().st_size)"
)


def test_a_missing_resource_says_what_to_do() -> None:
    with pytest.raises(NeuropretrainError, match=r"'nothing\.bin' is missing"):
        resource_path("nothing.bin")


def test_from_this_installation() -> None:
    assert resource_path("brain_mask.safetensors").stat().st_size > 10_000


def test_from_a_source_checkout() -> None:
    # The layout an editable install points at: src/ with resources/ beside it.
    found = run(ASK, REPOSITORY / "src")
    assert Path(found[0]).is_relative_to(REPOSITORY / "src")
    assert int(found[1]) > 10_000


def test_from_a_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w"]
    done = subprocess.run(
        [*build, str(tmp_path), str(REPOSITORY)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
        names = archive.namelist()
    assert "napari_neuropretrain/napari.yaml" in names
    found = run(ASK, tmp_path / "site")
    assert Path(found[0]).is_relative_to(tmp_path / "site")
    assert int(found[1]) > 10_000


def run(code: str, path: Path) -> list[str]:
    """Run `code` with `path` ahead of what is installed."""
    start = f"import sys; sys.path.insert(0, {str(path)!r});"
    done = subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=True
    )
    return done.stdout.split("\n")
