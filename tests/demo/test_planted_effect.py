"""The demo finds what was planted: the measured promise of the explanation."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_neuropretrain.config.jobs import JOBS, DemoConfig
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.demo import steps
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.explanation.regions import top_share_in_region
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.runs import execute
from napari_neuropretrain.synthesis.template_cohort import effect_regions

# The whole chain, once: long where other work keeps the cores.
pytestmark = pytest.mark.timeout(1800)

SETTINGS = {"participants": 24, "epochs": 40, "seed": 0, "workers": 2, "threads": 2}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Run the whole demo once, on a coarser grid than usual."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    heard: list[Progress] = []
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "SCAN_MM", 3.0)
        patch.setattr(steps, "SHAPE", 48)
        patch.setattr(steps, "SPACING_MM", 4.0)
        patch.setattr(steps, "PATCH", 4)
        patch.setattr(steps, "STRIDE", 3)
        config = DemoConfig(output=folder, **SETTINGS)
        execute(JOBS, "demo", config, heard.append)
    torch.set_num_threads(threads)
    return folder, heard


def test_the_strongest_voxels_lie_in_the_planted_region(finished):
    folder, _ = finished
    (path,) = (folder / "explain").glob("*_space-MNI152_desc-occlusion_map.nii.gz")
    name = path.name.split("_")[0]
    (image,) = (folder / "preprocessed" / name).rglob("*_desc-preproc_T1w.nii.gz")
    scan = read_derivative(image)
    region = effect_regions(scan.contract.shape, scan.contract.spacing_mm)["ad"]
    occlusion = read_volume(path).data
    inside, chance = top_share_in_region(occlusion, scan.brain_mask, region)
    assert 0.01 < chance < 0.1
    assert inside >= 3 * chance
    # The region speaks for AD: hiding it lowers the probability.
    assert occlusion[region & scan.brain_mask].mean() > 0
    assert np.all(occlusion[~scan.brain_mask] == 0)


def test_the_explained_participant_was_held_out(finished):
    folder, _ = finished
    rows = read_rows(folder / "finetune" / "predictions.tsv")
    split = {row["participant_id"]: (row["split"], row["label"]) for row in rows}
    (path,) = (folder / "explain").glob("*_explanation.json")
    explained = json.loads(path.read_text(encoding="utf-8"))
    assert split[explained["scan"]["key"]] == ("test", "AD")


def test_raw_scans_give_the_predictions_of_the_test(finished):
    folder, _ = finished
    rows = read_rows(folder / "finetune" / "predictions.tsv")
    test = {row["participant_id"]: row for row in rows if row["split"] == "test"}
    again = read_rows(folder / "predict" / "predictions.tsv")
    assert {row["participant_id"] for row in again} == set(test)
    for row in again:
        expected = float(test[row["participant_id"]]["prediction"])
        assert float(row["prediction"]) == pytest.approx(expected, abs=1e-3)


def test_the_page_needs_no_other_file(finished):
    folder, heard = finished
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("http-equiv", "")
    for words in ("For research use only", "times chance", "neuropretrain explain"):
        assert words in page
    results = [event.values for event in heard if event.state == "result"]
    assert results[-1]["kind"] == "report"
    stages = {event.values.get("stage") for event in heard}
    assert {"cohort", "preprocess", "finetune", "predict", "explain"} <= stages


def test_only_the_same_demo_may_use_its_folder_again(finished, monkeypatch):
    folder, _ = finished
    monkeypatch.setattr(steps, "SCAN_MM", 3.0)
    settings, job = steps.STEPS[0].settings, JOBS["sample-cohort"].load()
    same = DemoConfig(output=folder, **SETTINGS)
    assert job(settings(same), silent).results == {"cohort": str(folder / "cohort")}
    other = DemoConfig(output=folder, **(SETTINGS | {"seed": 1}))
    with pytest.raises(CohortError, match=r"another cohort .* new folder"):
        job(settings(other), silent)


def read_rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))
