"""Bring scans to the form that a model was trained on."""

from __future__ import annotations

from pathlib import Path

from napari_neuropretrain.config.contract import PreprocessingContract, name_shape
from napari_neuropretrain.errors import CohortError, ContractError
from napari_neuropretrain.preprocessing.derivatives import Derivative, read_derivative
from napari_neuropretrain.progress import Report
from napari_neuropretrain.training.preprocessed import preprocessed_cohort


def prepare_scan(
    path: Path,
    contract: PreprocessingContract,
    output: Path,
    report: Report,
    threads: int = 1,
) -> Derivative:
    """Return one scan as the model needs it, preprocessing it where it is raw.

    Parameters
    ----------
    path
        A raw or a preprocessed scan.
    contract
        What the model was trained on.
    output
        Folder for the derivatives of a raw scan.
    report
        Hears what the preprocessing says; may raise `Cancelled`.
    threads
        CPU threads.

    Raises
    ------
    CohortError
        If `path` is not exactly one scan, or its preprocessing failed.
    ContractError
        If the scan was preprocessed differently.
    ImageError
        If a file is missing or damaged.
    """
    cohort = preprocessed_cohort(path, contract, output, report, threads=threads)
    if len(cohort.scans) != 1:
        raise CohortError(
            f"'{path}' holds {len(cohort.scans)} scans. Give exactly one scan."
        )
    return read_checked(cohort.scans[0].path, contract)


def read_checked(path: Path, contract: PreprocessingContract) -> Derivative:
    """Read a preprocessed scan and compare its contract with the model's.

    Raises
    ------
    ContractError
        If they differ, saying in what and what to do.
    ImageError
        If a file is missing or damaged.
    """
    derivative = read_derivative(path)
    differences = derivative.contract.differences(contract)
    if differences:
        raise ContractError(
            f"'{path}' was preprocessed differently from what the model was trained "
            f"on: {'; '.join(differences)}. Give the raw scan, or preprocess it with "
            f"--shape {name_shape(contract.shape)} "
            f"--spacing-mm {contract.spacing_mm:g} --dof {contract.registration.dof}."
        )
    return derivative
