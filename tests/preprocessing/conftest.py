"""The template as a scan: a brain whose place is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.template import Template, load_template
from napari_neuropretrain.data.volumes import Volume, write_image
from napari_neuropretrain.preprocessing import pipeline

Array = NDArray[np.float64]
BRAIN_CENTRE_MM = np.array([0.0, -17.0, 5.0])


def misplacement(degrees: Any, shift_mm: Any, scales: Any) -> Array:
    """Template mm to scan mm (4, 4): scale, turn, then shift, about the brain."""
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    to_scan = np.eye(4)
    to_scan[:3, :3] = turn * np.asarray(scales)
    centre = BRAIN_CENTRE_MM
    to_scan[:3, 3] = centre + shift_mm - to_scan[:3, :3] @ centre
    return to_scan


def misplaced_scan(template: Template, to_scan: Array, affine: Array) -> Volume:
    """The template moved by `to_scan`, seen on a grid of 72 x 80 x 72 voxels."""
    to_template_voxel = np.linalg.inv(template.affine) @ np.linalg.inv(to_scan) @ affine
    data = ndimage.affine_transform(
        template.data, to_template_voxel, output_shape=(72, 80, 72), order=1
    )
    return Volume.from_native(data * 1000, affine)


def brain_of(data: NDArray[np.float32], affine: Array, *others: Any) -> Any:
    """Stand in for the mask network: the template has no skull."""
    return ndimage.binary_fill_holes(data > 20)


@pytest.fixture(scope="session")
def template_3mm() -> Template:
    return load_template((64, 64, 64), 3.0)


@pytest.fixture(scope="session")
def template_4mm() -> Template:
    return load_template((48, 48, 48), 4.0)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Mask by threshold and register at 4 mm, so that a scan takes a moment."""
    monkeypatch.setattr(pipeline, "segment_brain", brain_of)
    monkeypatch.setattr(pipeline, "REGISTRATION_EDGE", 48)
    monkeypatch.setattr(pipeline, "REGISTRATION_SPACING_MM", 4.0)
    pipeline._registration_template.cache_clear()
    yield
    pipeline._registration_template.cache_clear()


@pytest.fixture
def contract() -> PreprocessingContract:
    return PreprocessingContract(shape=(32, 32, 32), spacing_mm=6.0)


@pytest.fixture
def write_brain(template_4mm: Template) -> Callable[..., Path]:
    """Write the template, slightly moved, as a raw scan at 4 mm."""

    def write(path: Path, shift_mm: tuple[float, float, float] = (3, -4, 5)) -> Path:
        affine = np.diag([4.0, 4.0, 4.0, 1.0])
        affine[:3, 3] = -140, -175, -140
        to_scan = misplacement((5, 0, 3), shift_mm, (1, 1.05, 0.95))
        volume = misplaced_scan(template_4mm, to_scan, affine)
        return write_image(path, volume.data, volume.affine)

    return write


@pytest.fixture(name="misplacement")
def _misplacement() -> Callable[..., Array]:
    return misplacement


@pytest.fixture(name="misplaced_scan")
def _misplaced_scan() -> Callable[..., Volume]:
    return misplaced_scan


@pytest.fixture(name="brain_of")
def _brain_of() -> Callable[..., Any]:
    return brain_of
