"""Brain masks by programs that the user has installed: HD-BET and SynthStrip.

Isensee et al., Human Brain Mapping 2019 (doi:10.1002/hbm.24750) and Hoopes et al.,
NeuroImage 2022 (doi:10.1016/j.neuroimage.2022.119474). Neither comes with this
package: they have licences and weights of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_neuropretrain.data.volumes import read_volume, write_image
from napari_neuropretrain.errors import BrainMaskError

TIMEOUT_S = 1800


@dataclass(frozen=True)
class MaskProgram:
    """How a program is called.

    Parameters
    ----------
    title
        What people call it.
    commands
        Names it is installed under, the first one found is taken.
    arguments
        From the scan and the wanted output to the command's arguments.
    masks
        Names under which the mask may come out; ``{}`` is the output's stem.
    install
        How to get it.
    """

    title: str
    commands: tuple[str, ...]
    arguments: Callable[[Path, Path], list[str]]
    masks: tuple[str, ...]
    install: str


def _hd_bet(scan: Path, output: Path) -> list[str]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    few_looks = [] if device == "cuda" else ["--disable_tta"]
    kept = ["--save_bet_mask", "--no_bet_image"]
    return ["-i", str(scan), "-o", str(output), "-device", device, *few_looks, *kept]


def _synthstrip(scan: Path, output: Path) -> list[str]:
    return ["-i", str(scan), "-m", str(output)]


PROGRAMS: Mapping[str, MaskProgram] = {
    "hd-bet": MaskProgram(
        "HD-BET",
        ("hd-bet",),
        _hd_bet,
        ("{}_bet.nii.gz", "{}_mask.nii.gz"),
        "pip install hd-bet (version 2)",
    ),
    "synthstrip": MaskProgram(
        "SynthStrip",
        ("mri_synthstrip", "synthstrip-docker", "synthstrip-singularity"),
        _synthstrip,
        ("{}.nii.gz",),
        "it comes with FreeSurfer 7.3 and later, or as a container script",
    ),
}


def find_program(method: str) -> str:
    """Return the path of an installed program.

    Raises
    ------
    BrainMaskError
        If it is not installed; says how to get it.
    """
    program = PROGRAMS[method]
    for command in program.commands:
        if found := shutil.which(command):
            return found
    names = "' or '".join(program.commands)
    raise BrainMaskError(
        f"{program.title} is not installed: no program '{names}' was found on the "
        f"PATH. To install it: {program.install}. Or use --brain-mask neuropretrain, "
        "which needs nothing else."
    )


def run_program(
    method: str,
    data: NDArray[np.float32],
    affine: NDArray[np.float64],
    threads: int = 1,
) -> NDArray[np.bool_]:
    """Let a program mark the brain.

    Parameters
    ----------
    method
        A key of `PROGRAMS`.
    data
        Intensities (X, Y, Z).
    affine
        Voxel to RAS mm (4, 4).
    threads
        CPU threads it may use, as far as it listens to ``OMP_NUM_THREADS``.

    Returns
    -------
    bool array (X, Y, Z)
        The mask on the grid of `data`.

    Raises
    ------
    BrainMaskError
        If the program is missing, fails, or gives no mask for this grid.
    """
    command, program = find_program(method), PROGRAMS[method]
    with tempfile.TemporaryDirectory() as folder:
        scan, output = Path(folder, "scan.nii.gz"), Path(folder, "brain.nii.gz")
        write_image(scan, data, affine)
        said = _run([command, *program.arguments(scan, output)], program, threads)
        names = [name.format("brain") for name in program.masks]
        written = [path for name in names if (path := Path(folder, name)).exists()]
        if not written:
            raise BrainMaskError(
                f"{program.title} ended, but wrote none of {', '.join(names)}. "
                f"It said: {said}"
            )
        mask = read_volume(written[0])
    if mask.data.shape != data.shape or not np.allclose(mask.affine, affine, atol=0.01):
        raise BrainMaskError(
            f"{program.title} gave a mask on another grid ({mask.data.shape}) than the "
            f"scan's ({data.shape})."
        )
    return np.asarray(mask.data > 0.5)


def _run(command: list[str], program: MaskProgram, threads: int) -> str:
    """Run a program quietly; return the end of what it said."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrainMaskError(f"{program.title} could not be run: {error}") from None
    said = (done.stderr.strip() or done.stdout.strip())[-500:]
    if done.returncode:
        raise BrainMaskError(
            f"{program.title} failed with exit code {done.returncode}: {said}"
        )
    return said
