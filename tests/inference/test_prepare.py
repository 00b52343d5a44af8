"""Scans of another contract: done again where the raw scan is there, else refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_neuropretrain.config.contract import (
    BrainMaskParameters,
    PreprocessingContract,
)
from napari_neuropretrain.config.jobs import PredictConfig
from napari_neuropretrain.data.participants import Cohort
from napari_neuropretrain.errors import CohortError, ContractError
from napari_neuropretrain.inference import prepare
from napari_neuropretrain.inference.predict import predict
from napari_neuropretrain.inference.prepare import prepare_cohort, prepare_scan
from napari_neuropretrain.preprocessing.derivatives import sidecar
from napari_neuropretrain.preprocessing.scan_task import ScanRecord
from napari_neuropretrain.preprocessing.source import describe_source
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.resources import resource_path
from napari_neuropretrain.training.preprocessed import preprocessed_cohort

SMALL = PreprocessingContract(shape=(32, 32, 32))
OTHER = SMALL.replace(registration={"dof": 12})
Writer = Callable[..., Path]


def name_source(image: Path, raw: Path) -> None:
    """Let a preprocessed scan say that it was made from `raw`."""
    notes = json.loads(sidecar(image).read_text())
    notes["Source"] = describe_source(raw)
    sidecar(image).write_text(json.dumps(notes))


def change_contract(image: Path, section: str, **values: Any) -> None:
    notes = json.loads(sidecar(image).read_text())
    notes["Contract"][section] |= values
    sidecar(image).write_text(json.dumps(notes))


@pytest.fixture
def redone(monkeypatch: pytest.MonkeyPatch, write_volume: Writer) -> list[Cohort]:
    """Replace the preprocessing by one that fails for sub-9; list what it is given."""
    given = []

    def preprocess_cohort(
        cohort: Cohort, output: Path, contract: Any, *more: Any
    ) -> list[ScanRecord]:
        given.append(cohort)
        return [
            ScanRecord(scan, "failed", reason="no brain")
            if scan.key == "sub-9"
            else ScanRecord(scan, "done", write_volume(output, scan.key, 7, contract))
            for scan in cohort.scans
        ]

    monkeypatch.setattr(prepare, "preprocess_cohort", preprocess_cohort)
    return given


def test_a_scan_of_another_contract_is_done_again_from_its_source(
    tmp_path: Path, write_volume: Writer, redone: list[Cohort]
) -> None:
    raw = tmp_path / "raw.nii.gz"
    raw.write_bytes(b"a scan")
    scans, made = tmp_path / "scans", tmp_path / "made"
    fits = write_volume(scans, "sub-1", 1, SMALL)
    for name in ("sub-2", "sub-9"):
        name_source(write_volume(scans, name, 2, OTHER), raw)
    gone = write_volume(scans, "sub-3", 3, OTHER)  # its source is raw.nii.gz, nowhere
    said: list[Progress] = []

    cohort = prepare_cohort(scans, SMALL, made, said.append)

    assert [(one.key, one.path) for one in redone[0].scans] == [
        ("sub-2", raw),
        ("sub-9", raw),
    ]
    assert [one.key for one in cohort.scans] == ["sub-1", "sub-2"]
    assert cohort.scans[0].path == fits
    assert cohort.scans[1].path.is_relative_to(made)
    assert {one.item: one.reason for one in cohort.problems}["sub-9"] == "no brain"
    (warning,) = (one.message for one in said if one.state == "warning")
    assert "2 of 4 scans (sub-2, sub-9)" in warning
    assert "registration.dof: 12, not 9" in warning
    (refusal,) = (one.message for one in said if one.state == "item_failed")
    assert f"'{gone}' was preprocessed differently" in refusal
    assert "is not there" in refusal
    assert "--shape 32 --spacing-mm 2 --dof 9 --brain-mask neuropretrain" in refusal


def test_a_changed_source_is_not_taken(
    tmp_path: Path, write_volume: Writer, redone: list[Cohort]
) -> None:
    raw = tmp_path / "raw.nii.gz"
    raw.write_bytes(b"a scan")
    image = write_volume(tmp_path / "scans", "sub-2", 2, OTHER)
    name_source(image, raw)
    raw.write_bytes(b"another scan")
    with pytest.raises(ContractError, match=r"has changed since.*preprocess --input"):
        prepare_scan(image, SMALL, tmp_path / "made", silent)
    assert not redone


def test_a_contract_of_an_unknown_layout_is_done_again(
    tmp_path: Path, write_volume: Writer, redone: list[Cohort]
) -> None:
    raw = tmp_path / "raw.nii.gz"
    raw.write_bytes(b"a scan")
    image = write_volume(tmp_path / "scans", "sub-2", 2, SMALL)
    name_source(image, raw)
    notes = json.loads(sidecar(image).read_text())
    notes["Contract"] = {"shape": [80, 80, 80], "bias_field": "n4", "version": 1}
    sidecar(image).write_text(json.dumps(notes))
    said: list[Progress] = []
    path, derivative = prepare_scan(image, SMALL, tmp_path / "made", said.append)
    assert derivative.contract == SMALL
    assert path.is_relative_to(tmp_path / "made")
    assert prepare.UNKNOWN in said[0].message


def test_when_all_that_is_done_again_fails_it_says_why(
    tmp_path: Path, write_volume: Writer, redone: list[Cohort]
) -> None:
    raw = tmp_path / "raw.nii.gz"
    raw.write_bytes(b"a scan")
    image = write_volume(tmp_path / "scans", "sub-9", 2, OTHER)
    name_source(image, raw)
    with pytest.raises(CohortError, match="sub-9: no brain"):
        prepare_scan(image, SMALL, tmp_path / "made", silent)


def test_one_nested_parameter_is_enough_to_refuse(
    tmp_path: Path, age_model: Path, write_volume: Writer
) -> None:
    image = write_volume(tmp_path / "scans", "sub-3", 1, SMALL)
    change_contract(image, "bias_field", convergence=0.002)
    change_contract(image, "registration", levels_mm=[8.0, 2.0])
    config = PredictConfig(
        model=age_model, input=image, output=tmp_path / "out", device="cpu"
    )
    with pytest.raises(ContractError) as refusal:
        predict(config, silent)
    assert "bias_field.convergence: 0.002, not 0.001" in str(refusal.value)
    assert "registration.levels_mm: (8.0, 2.0), not" in str(refusal.value)
    assert not (tmp_path / "out" / "predictions.tsv").exists()


def test_a_model_that_this_version_cannot_serve_is_named(
    tmp_path: Path, write_volume: Writer
) -> None:
    image = write_volume(tmp_path / "scans", "sub-3", 1, SMALL)
    odd = SMALL.replace(bias_field={"convergence": 0.5})
    with pytest.raises(ContractError, match=r"0\.001, not 0\.5.*cannot do"):
        prepare_scan(image, odd, tmp_path / "made", silent)


def test_training_refuses_a_mixture_and_names_the_groups(
    tmp_path: Path, write_volume: Writer
) -> None:
    for number in (1, 2, 3):
        write_volume(tmp_path, f"sub-{number}", number, SMALL)
    write_volume(tmp_path, "sub-4", 4, OTHER)
    change = write_volume(tmp_path, "sub-5", 5, SMALL)
    change_contract(change, "brain_mask", version="1")
    with pytest.raises(ContractError) as refusal:
        preprocessed_cohort(tmp_path, SMALL, tmp_path / "made", silent)
    said = str(refusal.value)
    assert "in 3 ways" in said
    assert "3 scans (sub-1, sub-2, sub-3): the most common way" in said
    assert "sub-4: registration.dof: 12, not 9" in said
    assert "sub-5: brain_mask.version: 1, not 2" in said


def test_the_weights_are_those_that_the_contract_names() -> None:
    recipe = json.loads(resource_path("brain_mask.json").read_text())
    assert recipe["weights_version"] == BrainMaskParameters().version
