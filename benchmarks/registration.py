"""How well scans fit the template, and how exactly a known misplacement is undone.

    python benchmarks/registration.py ../shared/data [--scans 141] [--misplaced 10]

The first table registers IXI scans with 6, 7, 9 and 12 degrees of freedom: Dice of
the warped brain mask with the template's, and correlation of the intensities where
both are brain. The second moves scans by known amounts (up to 30 degrees about any
axis, 40 mm, scales of 0.9 to 1.12 along the template's axes), by header and so without
blur, and compares what is found with what was done, at the corners of the brain
(mean distance). The undisturbed fit of the same scan is the reference.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_neuropretrain.config.contract import (
    DegreesOfFreedom,
    RegistrationParameters,
)
from napari_neuropretrain.data.template import load_template
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.preprocessing.bias_field import correct_bias_field
from napari_neuropretrain.preprocessing.brain_mask import segment_brain
from napari_neuropretrain.preprocessing.linear_model import rotation_and_scales
from napari_neuropretrain.preprocessing.registration import (
    Registration,
    register_to_template,
)
from napari_neuropretrain.preprocessing.resampling import crop_to_brain

Brain = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64]]
TEMPLATE = load_template((96, 96, 96), 2.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--scans", type=int, default=141)
    parser.add_argument("--misplaced", type=int, default=10)
    given = parser.parse_args()
    paths = sorted((given.data / "ixi_hh_2mm" / "t1").glob("*.nii.gz"))
    chosen = np.linspace(0, len(paths) - 1, min(given.scans, len(paths))).astype(int)
    brains = [prepare(paths[index]) for index in chosen]
    compare_models(brains)
    undo_misplacements(brains[: given.misplaced])


def prepare(path: Path) -> Brain:
    """Return the corrected brain of a scan, its mask and its affine."""
    volume = read_volume(path)
    mask = segment_brain(volume.data, volume.affine)
    data, mask, affine = crop_to_brain(volume.data, mask, volume.affine, 16.0)
    return correct_bias_field(data, mask, affine), mask, affine


def compare_models(brains: list[Brain]) -> None:
    print(f"{len(brains)} IXI scans, 1 thread, median (lowest)\n")
    print("| degrees of freedom | Dice | correlation | seconds |\n|---|---|---|---|")
    for dof in get_args(DegreesOfFreedom):
        started = time.perf_counter()
        found = [register(brain, dof) for brain in brains]
        seconds = (time.perf_counter() - started) / len(brains)
        cells = [
            f"{np.median(values):.3f} ({min(values):.3f})"
            for values in ([f.dice for f in found], [f.correlation for f in found])
        ]
        print(f"| {dof} | {' | '.join(cells)} | {seconds:.1f} |", flush=True)


def undo_misplacements(brains: list[Brain]) -> None:
    print(f"\n{len(brains)} scans misplaced, worst error\n")
    print("| degrees of freedom | degrees | scale % | mm |\n|---|---|---|---|")
    for dof in get_args(DegreesOfFreedom):
        draw = np.random.default_rng(0)
        errors = [undo(brain, dof, draw) for brain in brains]
        turn, scale, distance = np.max(errors, axis=0)
        print(f"| {dof} | {turn:.2f} | {scale:.1f} | {distance:.2f} |", flush=True)


def register(brain: Brain, dof: Any) -> Registration:
    return register_to_template(*brain, TEMPLATE, RegistrationParameters(dof=dof))


def undo(
    brain: Brain, dof: int, draw: np.random.Generator
) -> tuple[float, float, float]:
    """Degrees, per cent and mm between what was done to a scan and what was found."""
    data, mask, affine = brain
    reference = np.linalg.inv(register(brain, dof).transform)
    # What the model can express: scales along the template's axes, then a turn.
    stretch = {6: np.ones(3), 7: np.full(3, draw.uniform(0.9, 1.12))}
    stretch |= dict.fromkeys((9, 12), draw.uniform(0.9, 1.12, 3))
    axis = draw.normal(size=3)
    angle = np.radians(draw.uniform(10, 30)) / np.linalg.norm(axis)
    middle = reference @ np.diag([*stretch[dof], 1.0]) @ np.linalg.inv(reference)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(axis * angle).as_matrix()
    turn[:3, 3] = draw.uniform(-40, 40, 3)
    done = turn @ middle
    found = np.linalg.inv(register((data, mask, done @ affine), dof).transform)
    expected = done @ reference
    turns, scales = zip(
        *(rotation_and_scales(one[:3, :3]) for one in (found, expected)), strict=True
    )
    away = Rotation.from_matrix(turns[0] @ turns[1].T).magnitude()
    points = np.array([[*p, 1.0] for p in np.ndindex(2, 2, 2)]).T
    box = np.diag([140.0, 180.0, 140.0, 1.0])
    box[:3, 3] = -70, -107, -65
    distance = np.linalg.norm(((found - expected) @ box @ points)[:3], axis=0)
    percent = 100 * np.abs(scales[0] / scales[1] - 1)
    return float(np.degrees(away)), float(percent.max()), float(distance.mean())


if __name__ == "__main__":
    main()
