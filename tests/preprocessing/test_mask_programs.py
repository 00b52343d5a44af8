"""Programs of the user, stood in for by scripts that are called the same way."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import PreprocessConfig
from napari_neuropretrain.errors import BrainMaskError
from napari_neuropretrain.preprocessing.brain_mask import segment_brain
from napari_neuropretrain.preprocessing.mask_programs import run_program

AFFINE = np.array(
    [[2.0, 0, 0, -50], [0, 2.0, 0, -60], [0, 0, 2.0, -40], [0, 0, 0, 1.0]]
)
OBEDIENT = """
import sys, nibabel, numpy
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
scan = nibabel.load(given["-i"])
mask = (scan.get_fdata() > 50).astype("uint8")
nibabel.save(nibabel.Nifti1Image(mask, scan.affine), {where})
"""
HD_BET = OBEDIENT.format(where='given["-o"].replace(".nii.gz", "_bet.nii.gz")')
SYNTHSTRIP = OBEDIENT.format(where='given["-m"]')

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the scripts need a shebang")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a Python script on a PATH that holds nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(name: str, code: str) -> None:
        script = tmp_path / name
        script.write_text(f"#!{sys.executable}\n{code}")
        script.chmod(0o755)

    return write


@pytest.fixture
def head() -> np.ndarray:
    """A bright ball of 1300 mL in noise."""
    grid = np.mgrid[:80, :90, :80] - np.array([40, 45, 38])[:, None, None, None]
    ball = (grid**2).sum(axis=0) < 34**2
    noise = np.random.default_rng(0).uniform(0, 20, ball.shape)
    return (100 * ball + noise).astype(np.float32)


@pytest.mark.parametrize(
    ("method", "command", "code"),
    [
        ("hd-bet", "hd-bet", HD_BET),
        ("synthstrip", "mri_synthstrip", SYNTHSTRIP),
        ("synthstrip", "synthstrip-docker", SYNTHSTRIP),
    ],
)
def test_the_mask_of_an_installed_program_is_used(
    install, head, method, command, code
) -> None:
    install(command, code)
    mask = segment_brain(head, AFFINE, method=method)
    np.testing.assert_array_equal(mask, head > 50)


def test_a_missing_program_is_said_with_what_to_do(install, head) -> None:
    with pytest.raises(BrainMaskError, match=r"HD-BET is not installed.*pip install"):
        segment_brain(head, AFFINE, method="hd-bet")


def test_a_failure_is_quoted(install, head) -> None:
    install("hd-bet", "raise SystemExit('no weights found')")
    with pytest.raises(BrainMaskError, match=r"exit code 1: no weights found"):
        run_program("hd-bet", head, AFFINE)
    install("hd-bet", "print('done')")
    with pytest.raises(BrainMaskError, match=r"wrote none of brain_bet\.nii\.gz.*done"):
        run_program("hd-bet", head, AFFINE)


def test_a_mask_on_another_grid_is_refused(install, head) -> None:
    install("mri_synthstrip", SYNTHSTRIP.replace("scan.affine", "scan.affine * 2"))
    with pytest.raises(BrainMaskError, match="another grid"):
        run_program("synthstrip", head, AFFINE)


def test_the_contract_names_the_program() -> None:
    config = PreprocessConfig(input="a", output="b", brain_mask="hd-bet")
    assert config.contract.brain_mask.method == "hd-bet"
    assert PreprocessingContract().differences(config.contract)[0] == (
        "brain_mask.method: neuropretrain, not hd-bet"
    )
    again = PreprocessConfig.for_contract(config.contract, input="a", output="b")
    assert again.contract == config.contract
