"""Time the whole preprocessing of 1 mm heads, with ANTsPy's own defaults beside ours.

    python benchmarks/preprocessing_speed.py ../shared/data [--threads 2]

Both chains start from the file and end with the image on the template's 80^3 grid
at 2 mm. Ours is `preprocess_scan`. The other is what ANTsPy does when asked with its
defaults: ``n4_bias_field_correction`` (shrunk by 4, four levels of 50 iterations),
``registration(type_of_transform="Affine")`` at 1 mm, ``apply_transforms``. It has no
brain mask of its own that needs no download, so it gets ours, and the time of that
mask counts for both; the moving image is the masked brain, since the template has no
skull. Both are judged in the same way: Dice of the warped mask with the template's
mask, and correlation of the intensities where both are brain. One chain runs after
the other, in processes of their own, so that nothing is warm for the second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCANS = (
    "whole_head_t1/chris_t1.nii.gz",
    "whole_head_t1/ds000011_sub-01_T1w.nii.gz",
    "atlas/niivue_norm.mgz",
)
CHAINS = ("neuropretrain", "ANTsPy")


def main() -> None:
    given = _arguments()
    if given.chain:
        run = run_ours if given.chain == CHAINS[0] else run_ants
        print(json.dumps(run(given.data, given.threads, given.iterations)))
        return
    print(f"{given.threads} threads, whole chain from file to 80^3\n")
    print("| scan | chain | seconds | of which mask | Dice | correlation |")
    print("|---|---|---|---|---|---|")
    totals = dict.fromkeys(CHAINS, 0.0)
    for path in [given.data / name for name in SCANS[: given.scans]]:
        for chain in CHAINS:
            row = _in_own_process(chain, path, given)
            totals[chain] += row["seconds"]
            print(
                f"| {path.name} | {chain} | {row['seconds']:.1f} | {row['mask']:.1f} "
                f"| {row['dice']:.3f} | {row['correlation']:.3f} |",
                flush=True,
            )
    ours, theirs = (totals[chain] for chain in CHAINS)
    print(f"\nneuropretrain is {theirs / ours:.1f} times as fast over these scans.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--scans", type=int, default=len(SCANS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--iterations",
        type=int,
        default=0,
        help="iterations of every ANTs level, to try the script; 0 are ANTs's defaults",
    )
    parser.add_argument("--chain", choices=CHAINS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _in_own_process(chain: str, path: Path, given: argparse.Namespace) -> Any:
    """Run one chain on one scan with the same limit of threads for every library."""
    names = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    arguments = [str(path), "--chain", chain, "--threads", str(given.threads)]
    arguments += ["--iterations", str(given.iterations)]
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=os.environ | dict.fromkeys(names, str(given.threads)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def run_ours(path: Path, threads: int, _: int) -> dict[str, float]:
    from napari_neuropretrain.config.contract import PreprocessingContract
    from napari_neuropretrain.data.template import load_template
    from napari_neuropretrain.data.volumes import read_volume
    from napari_neuropretrain.preprocessing.pipeline import preprocess_scan
    from napari_neuropretrain.progress import silent

    load_template()  # both chains have it in memory
    started = time.perf_counter()
    done = preprocess_scan(read_volume(path), PreprocessingContract(), silent, threads)
    seconds = time.perf_counter() - started
    mask_seconds = done.details["seconds"]["brain mask"]
    return _judge(done.image, done.brain_mask, seconds, mask_seconds)


def run_ants(path: Path, threads: int, iterations: int) -> dict[str, float]:
    import ants

    from napari_neuropretrain.data.orientation import to_itk
    from napari_neuropretrain.data.template import load_template, load_template_1mm
    from napari_neuropretrain.data.volumes import read_volume
    from napari_neuropretrain.preprocessing.brain_mask import segment_brain

    def as_ants(data: NDArray[Any], affine: NDArray[np.float64]) -> Any:
        spacing, origin, direction = to_itk(affine)
        return ants.from_numpy(
            data.astype(np.float32),
            origin=list(origin),
            spacing=list(spacing),
            direction=direction,
        )

    full, coarse = load_template_1mm(), load_template()
    fixed, grid = (as_ants(one.data, one.affine) for one in (full, coarse))
    started = time.perf_counter()
    volume = read_volume(path)
    brain = segment_brain(volume.data, volume.affine, threads)
    mask_seconds = time.perf_counter() - started
    image, mask = (as_ants(one, volume.affine) for one in (volume.data, brain))
    quick = {"convergence": {"iters": [iterations], "tol": 1e-7}} if iterations else {}
    corrected = ants.n4_bias_field_correction(image, mask=mask, **quick)
    quick = {"aff_iterations": (iterations,) * 4} if iterations else {}
    found = ants.registration(
        fixed, corrected * mask, type_of_transform="Affine", **quick
    )["fwdtransforms"]
    moved = ants.apply_transforms(grid, corrected, found, interpolator="bSpline")
    moved_mask = ants.apply_transforms(grid, mask, found, interpolator="linear")
    inside = moved_mask.numpy() >= 0.5
    scored = np.where(inside, moved.numpy(), 0)
    seconds = time.perf_counter() - started
    return _judge(scored, inside, seconds, mask_seconds)


def _judge(
    image: NDArray[Any], brain_mask: NDArray[np.bool_], seconds: float, mask: float
) -> dict[str, float]:
    """Compare the 80^3 result with the template at the same place."""
    from napari_neuropretrain.data.template import load_template

    template = load_template()
    both = brain_mask & template.brain_mask
    dice = 2 * both.sum() / (brain_mask.sum() + template.brain_mask.sum())
    correlation = np.corrcoef(image[both], template.data[both])[0, 1]
    return {
        "seconds": seconds,
        "mask": mask,
        "dice": float(dice),
        "correlation": float(correlation),
    }


if __name__ == "__main__":
    main()
