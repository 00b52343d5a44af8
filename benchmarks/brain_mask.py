"""Compare our brain masks with the closed DLMUSE labels of the IXI scans.

    python benchmarks/brain_mask.py ../shared/data [--scans 133]

The reference is ``label > 0``, closed by 4 mm and filled, since the labels leave
out part of the sulcal fluid. The scans were never used for training; the eight
on which the threshold of the mask was chosen are left out.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from napari_neuropretrain.data.volumes import Volume, read_volume
from napari_neuropretrain.preprocessing.brain_mask import is_stripped, segment_brain
from napari_neuropretrain.synthesis.label_maps import close_brain

THRESHOLD_SCANS = range(3, 123, 17)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--scans", type=int, default=133)
    given = parser.parse_args()
    paths = sorted((given.data / "ixi_hh_2mm" / "t1").glob("*.nii.gz"))
    paths = [path for i, path in enumerate(paths) if i not in THRESHOLD_SCANS]
    chosen = np.linspace(0, len(paths) - 1, min(given.scans, len(paths))).astype(int)
    rows = np.array([compare(paths[index]) for index in chosen])
    dice, sensitivity, ratio, seconds = rows.T
    print(f"\n{len(rows)} IXI scans, 1 thread    median     min     max")
    for name, values in (
        ("Dice", dice),
        ("sensitivity", sensitivity),
        ("volume ratio", ratio),
        ("seconds", seconds),
    ):
        low, high = values.min(), values.max()
        print(f"{name:<26} {np.median(values):7.3f} {low:7.3f} {high:7.3f}")
    print(f"Dice of 0.90 and above: {(dice >= 0.9).sum()} of {len(dice)}")
    for path in sorted((given.data / "whole_head_t1").glob("*.nii.gz")):
        describe(read_volume(path), path.name)
    describe(read_volume(given.data / "atlas" / "niivue_norm.mgz"), "niivue_norm.mgz")


def compare(path: Path) -> tuple[float, float, float, float]:
    """Dice, sensitivity, volume ratio and seconds of one scan."""
    volume = read_volume(path)
    name = path.name.replace("_T1", "_T1_DLMUSE")
    labels = read_volume(path.parents[1] / "dlmuse" / name)
    reference = close_brain(labels.data > 0, 2.0)
    start = time.perf_counter()
    mask = segment_brain(volume.data, volume.affine)
    seconds = time.perf_counter() - start
    shared, total = (mask & reference).sum(), mask.sum() + reference.sum()
    dice = 2 * shared / total
    print(f"{path.name}: Dice {dice:.3f}", flush=True)
    return dice, shared / reference.sum(), mask.sum() / reference.sum(), seconds


def describe(volume: Volume, name: str) -> None:
    start = time.perf_counter()
    mask = segment_brain(volume.data, volume.affine)
    millilitres = mask.sum() * np.prod(volume.spacing_mm) / 1000
    seconds = time.perf_counter() - start
    stripped = " (stripped already)" if is_stripped(volume.data) else ""
    print(f"{name}{stripped}: {millilitres:.0f} mL, {seconds:.1f} s")


if __name__ == "__main__":
    main()
