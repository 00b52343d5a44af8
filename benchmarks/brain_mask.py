"""Compare our brain masks with the closed DLMUSE labels of the IXI scans.

    python benchmarks/brain_mask.py ../shared/data [--scans 141]

The reference is ``label > 0``, closed by 4 mm and filled, since the labels leave
out part of the sulcal fluid. The scans were never used for training; the eight
on which the threshold and the rim of the mask were chosen are told apart. The
time is from the file to the mask, on one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.preprocessing.brain_mask import segment_brain
from napari_neuropretrain.preprocessing.stripped import is_stripped
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.synthesis.label_maps import close_brain

CHOSEN_ON = range(3, 123, 17)
COLUMNS = ("Dice", "sensitivity", "volume ratio", "surface distance, mm", "seconds")
Mask = NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--scans", type=int, default=141)
    given = parser.parse_args()
    settle_process()
    paths = sorted((given.data / "ixi_hh_2mm" / "t1").glob("*.nii.gz"))
    places = np.linspace(0, len(paths) - 1, min(given.scans, len(paths))).astype(int)
    rows = np.array([compare(paths[place]) for place in places])
    held_out = np.array([place not in CHOSEN_ON for place in places])
    summarise(f"All {len(rows)} IXI scans", rows)
    summarise(f"The {held_out.sum()} on which nothing was chosen", rows[held_out])
    others = sorted((given.data / "whole_head_t1").glob("*.nii.gz"))
    for path in (*others, given.data / "atlas" / "niivue_norm.mgz"):
        describe(path)


def summarise(title: str, rows: NDArray[np.float64]) -> None:
    print(f"\n| {title} | median | lowest | highest |\n|---|---|---|---|")
    for name, values in zip(COLUMNS, rows.T, strict=True):
        shown = (np.median(values), values.min(), values.max())
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in shown) + " |")
    dice, _, ratio, distance, _ = rows.T
    print(
        f"\nDice under 0.91: {(dice < 0.91).sum()}; volume ratio outside 0.92-1.12: "
        f"{((ratio < 0.92) | (ratio > 1.12)).sum()}; distance over 2 mm: "
        f"{(distance > 2).sum()} of {len(rows)}"
    )


def compare(path: Path) -> tuple[float, float, float, float, float]:
    """Return the columns for one scan."""
    labels = read_volume(
        path.parents[1] / "dlmuse" / path.name.replace("_T1", "_T1_DLMUSE")
    )
    reference = close_brain(labels.data > 0, 2.0, radius_mm=4.0)
    start = time.perf_counter()
    volume = read_volume(path)
    mask = segment_brain(volume.data, volume.affine)
    seconds = time.perf_counter() - start
    shared, total = (mask & reference).sum(), mask.sum() + reference.sum()
    dice = 2 * shared / total
    distance = surface_distance_mm(mask, reference, 2.0)
    print(f"{path.name}: Dice {dice:.3f}, {distance:.2f} mm", flush=True)
    size = reference.sum()
    return dice, shared / size, mask.sum() / size, distance, seconds


def surface_distance_mm(first: Mask, second: Mask, spacing_mm: float) -> float:
    """Return the mean distance between two surfaces, taken from both sides."""
    rims = [mask & ~ndimage.binary_erosion(mask) for mask in (first, second)]
    away = [ndimage.distance_transform_edt(~rim) * spacing_mm for rim in rims]
    steps = np.concatenate([away[1][rims[0]], away[0][rims[1]]])
    return float(steps.mean())


def describe(path: Path) -> None:
    start = time.perf_counter()
    volume = read_volume(path)
    mask = segment_brain(volume.data, volume.affine)
    seconds = time.perf_counter() - start
    millilitres = mask.sum() * np.prod(volume.spacing_mm) / 1000
    stripped = " (stripped already)" if is_stripped(volume.data) else ""
    print(f"{path.name}{stripped}: {millilitres:.0f} mL, {seconds:.1f} s")


if __name__ == "__main__":
    main()
