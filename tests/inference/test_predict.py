"""Predictions against the network itself, and scans that do not fit."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import PredictConfig, PreprocessConfig
from napari_neuropretrain.errors import Cancelled, CohortError, ContractError
from napari_neuropretrain.inference.predict import predict
from napari_neuropretrain.inference.prediction_files import COLUMNS
from napari_neuropretrain.inference.prepare import prepare_scan
from napari_neuropretrain.preprocessing import cohort as preprocessing
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.progress import Failure, Outcome, Progress, silent

SMALL = PreprocessingContract(shape=(32, 32, 32))
OTHER = PreprocessingContract(shape=(40, 40, 40))
Writer = Callable[..., Path]


def config_for(model: Path, scans: Path, output: Path, **more: Any) -> PredictConfig:
    values = {"model": model, "input": scans, "output": output, "threads": 1}
    return PredictConfig.parse(values | {"device": "cpu"} | more)


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.tsv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@torch.inference_mode()
def logit_of(network: nn.Module, path: Path) -> float:
    image = torch.from_numpy(read_derivative(path).image)
    return float(network(image[None, None]))


def test_age_is_the_logit_in_years(
    tmp_path: Path, age_model: Path, network: nn.Module, write_volume: Writer
) -> None:
    scans = tmp_path / "scans"
    paths = {name: write_volume(scans, name, n) for n, name in enumerate(NAMES)}
    out = tmp_path / "out"
    outcome = predict(config_for(age_model, scans, out, batch_size=2), silent)
    assert outcome.failures == ()
    rows = {row["participant_id"]: row for row in read_rows(out)}
    assert tuple(rows["sub-1"]) == COLUMNS
    assert rows["sub-1"]["use"] == "For research use only."
    for name, path in paths.items():
        expected = 60 + 10 * logit_of(network, path)
        assert float(rows[name]["prediction"]) == pytest.approx(expected, rel=1e-4)
        assert rows[name]["path"] == str(path)
        assert rows[name]["unit"] == "years"


def test_groups_follow_the_threshold_of_the_model(
    tmp_path: Path, ad_model: Path, network: nn.Module, write_volume: Writer
) -> None:
    path = write_volume(tmp_path / "scans", "sub-1", 0)
    predict(config_for(ad_model, path, tmp_path / "out"), silent)
    (row,) = read_rows(tmp_path / "out")
    chance = torch.sigmoid(torch.tensor(logit_of(network, path)))
    assert float(row["probability"]) == pytest.approx(float(chance), rel=1e-4)
    assert row["prediction"] == row["probability"]
    assert row["threshold"] == "0.4"
    assert row["label"] == ("AD" if chance >= 0.4 else "CN")


NAMES = ("sub-1", "sub-2", "sub-3")


def test_a_scan_made_otherwise_fails_and_the_rest_goes_on(
    tmp_path: Path, age_model: Path, write_volume: Writer
) -> None:
    scans = tmp_path / "scans"
    write_volume(scans, "sub-3", 0)
    write_volume(scans, "sub-4", 0, OTHER)
    said: list[Progress] = []
    outcome = predict(config_for(age_model, scans, tmp_path / "out"), said.append)
    (failure,) = outcome.failures
    assert failure.item == "sub-4"
    assert "shape: (40, 40, 40), not (32, 32, 32)" in failure.reason
    assert "--shape 32" in failure.reason
    assert [row["participant_id"] for row in read_rows(tmp_path / "out")] == ["sub-3"]
    assert [one.state for one in said if one.state.startswith("item")] == [
        "item_failed",
        "item_done",
    ]


def test_training_participants_are_pointed_out(
    tmp_path: Path, age_model: Path, write_volume: Writer
) -> None:
    for name in NAMES:
        write_volume(tmp_path / "scans", name, 0)
    said: list[Progress] = []
    predict(config_for(age_model, tmp_path / "scans", tmp_path / "out"), said.append)
    (warning,) = (one for one in said if one.state == "warning")
    assert warning.values["participants"] == ["sub-1"]
    assert "1 of 3 participants (sub-1)" in warning.message


def test_a_request_to_stop_is_heard(
    tmp_path: Path, age_model: Path, write_volume: Writer
) -> None:
    def stop(progress: Progress) -> None:
        raise Cancelled("enough")

    path = write_volume(tmp_path / "scans", "sub-1", 0)
    with pytest.raises(Cancelled):
        predict(config_for(age_model, path, tmp_path / "out"), stop)
    assert not (tmp_path / "out" / "predictions.tsv").exists()


@pytest.fixture
def asked(
    monkeypatch: pytest.MonkeyPatch, write_volume: Writer
) -> list[PreprocessConfig]:
    """Replace the preprocessing by one that fails for sub-02; list its settings."""
    configs = []

    def preprocess(config: PreprocessConfig, report: Any) -> Outcome:
        configs.append(config)
        for number, name in enumerate(("sub-01", "sub-03", "sub-99")):
            write_volume(config.output, name, number, config.contract)
        return Outcome("", (Failure("sub-02", "no brain"),))

    monkeypatch.setattr(preprocessing, "preprocess", preprocess)
    return configs


def test_raw_scans_are_preprocessed_for_the_model(
    tmp_path: Path,
    age_model: Path,
    asked: list[PreprocessConfig],
    six_participants: Path,
) -> None:
    outcome = predict(config_for(age_model, six_participants, tmp_path / "o"), silent)
    assert asked[0].contract == SMALL
    assert asked[0].output == tmp_path / "o" / "preprocessed"
    # sub-99 lies there from an earlier run on other people.
    done = [row["participant_id"] for row in read_rows(tmp_path / "o")]
    assert done == ["sub-01", "sub-03"]
    assert outcome.failures == (Failure("sub-02", "no brain"),)


def test_prepare_scan_gives_what_the_model_needs(
    tmp_path: Path, asked: list[PreprocessConfig], six_participants: Path
) -> None:
    raw = six_participants / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    path, derivative = prepare_scan(raw, SMALL, tmp_path / "made", silent, threads=1)
    assert derivative.contract == SMALL
    assert len(asked) == 1
    done = tmp_path / "made/sub-01/anat/sub-01_space-MNI152_desc-preproc_T1w.nii.gz"
    assert path == done
    same, again = prepare_scan(done, SMALL, tmp_path / "made", silent)
    assert same == done
    assert (again.image == derivative.image).all()
    assert len(asked) == 1
    with pytest.raises(ContractError, match=r"not \(40, 40, 40\).*--shape 40 --sp"):
        prepare_scan(done, OTHER, tmp_path / "made", silent)


def test_a_scan_that_cannot_be_preprocessed_says_why(
    tmp_path: Path, asked: list[PreprocessConfig], six_participants: Path
) -> None:
    raw = six_participants / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    with pytest.raises(CohortError, match="no brain"):
        prepare_scan(raw, SMALL, tmp_path / "made", silent)
