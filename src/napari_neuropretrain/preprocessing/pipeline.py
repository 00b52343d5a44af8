"""From a raw scan to what a network sees, one step after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.template import Template, load_template, template_grid
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.acceptance import check_registration
from napari_neuropretrain.preprocessing.bias_field import correct_bias_field
from napari_neuropretrain.preprocessing.brain_mask import measure_brain, segment_brain
from napari_neuropretrain.preprocessing.intensity import zscore_brain
from napari_neuropretrain.preprocessing.registration import register_to_template
from napari_neuropretrain.preprocessing.resampling import (
    crop_to_brain,
    resample,
    resample_mask,
)
from napari_neuropretrain.progress import Progress, Report

MARGIN_MM = 16.0
"""Kept around the brain for the registration and the spline."""
REGISTRATION_EDGE, REGISTRATION_SPACING_MM = 96, 2.0
"""192 mm hold the whole template, whatever the contract crops."""
STEPS = ("brain mask", "bias field", "registration", "resampling", "intensity")


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """One scan, ready for a network.

    Parameters
    ----------
    image
        float32 (X, Y, Z) on the contract's grid: z-score in the brain, 0 outside.
    affine
        Voxel to template RAS mm (4, 4) of `image` and `brain_mask`.
    brain_mask
        Brain on the contract's grid.
    scan_mask
        Brain on the scan's own grid, in canonical order.
    transform
        Scan RAS mm to template RAS mm (4, 4).
    details
        Seconds per step, and as flat floats what quality control needs: mask volume in
        mL, Dice, correlation, coverage, rotation and scales.
    """

    image: NDArray[np.float32]
    affine: NDArray[np.float64]
    brain_mask: NDArray[np.bool_]
    scan_mask: NDArray[np.bool_]
    transform: NDArray[np.float64]
    details: dict[str, Any]


def preprocess_scan(
    volume: Volume, contract: PreprocessingContract, report: Report, threads: int = 1
) -> Preprocessed:
    """Mask, correct, align, resample once, and normalise one scan.

    Parameters
    ----------
    volume
        The raw scan.
    contract
        Grid of the result.
    report
        Told before each step; raises `Cancelled` to stop.
    threads
        CPU threads.

    Raises
    ------
    BrainMaskError
        If the brain mask has an impossible volume.
    RegistrationError
        If the scan does not fit the template.
    """
    clock = _Clock(report)
    with clock.step("brain mask"):
        method = contract.brain_mask.method
        scan_mask = segment_brain(volume.data, volume.affine, threads, method)
        mask_ml = measure_brain(scan_mask, volume.affine, f"'{volume.path}'")
    with clock.step("bias field"):
        box, mask, box_affine = crop_to_brain(
            volume.data, scan_mask, volume.affine, MARGIN_MM
        )
        corrected = correct_bias_field(
            box, mask, box_affine, contract.bias_field, threads
        )
    with clock.step("registration"):
        template = _registration_template()
        found = register_to_template(
            corrected, mask, box_affine, template, contract.registration
        )
        check_registration(found, f"'{volume.path}'")
    affine = template_grid(contract.shape, contract.spacing_mm)
    grid = (box_affine, found.transform, affine, contract.shape)
    with clock.step("resampling"):
        moved, brain_mask = resample(corrected, *grid), resample_mask(mask, *grid)
    with clock.step("intensity"):
        image = zscore_brain(moved, brain_mask)
    details = {
        "mask_ml": round(mask_ml, 1),
        "dice": round(found.dice, 4),
        "correlation": round(found.likeness, 4),
        "coverage": round(found.coverage, 4),
        "rotation_degrees": round(found.rotation_degrees, 2),
        **{
            f"scale_{axis}": round(scale, 4)
            for axis, scale in zip("xyz", found.scales, strict=True)
        },
        "seconds": {name: round(spent, 2) for name, spent in clock.seconds.items()},
    }
    return Preprocessed(image, affine, brain_mask, scan_mask, found.transform, details)


@cache
def _registration_template() -> Template:
    edge = REGISTRATION_EDGE
    return load_template((edge, edge, edge), REGISTRATION_SPACING_MM)


class _Clock:
    """Announce each step and keep its seconds."""

    def __init__(self, report: Report) -> None:
        self.seconds: dict[str, float] = {}
        self._report = report

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._report(Progress("step", name, STEPS.index(name), len(STEPS)))
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
