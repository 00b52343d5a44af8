"""The whole job at toy size: it resumes, lists what failed, and writes everything."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from napari_neuropretrain.benchmark import workers
from napari_neuropretrain.benchmark.launching import Order
from napari_neuropretrain.config.benchmarking import BenchmarkConfig
from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.errors import (
    Cancelled,
    CohortError,
    ConfigError,
    NeuropretrainError,
)
from napari_neuropretrain.progress import Outcome
from napari_neuropretrain.runs import execute

WritePlan = Callable[..., Path]


class Here:
    """Stands for `launch`: runs steps in this process, without the time to load."""

    def __init__(self, most: int = 1000) -> None:
        self.keys: list[str] = []
        self.most = most

    def __call__(self, order: Order, device: str = "", beat: Any = None) -> int:
        if len(self.keys) == self.most:
            raise Cancelled("stopped")
        self.keys.append(order.key)
        try:
            for job, values in order.steps:
                execute(JOBS, job, JOBS[job].options.parse(values))
        except NeuropretrainError:
            return 1
        return 0


def run(
    plan: Path, output: Path, monkeypatch: pytest.MonkeyPatch, most: int = 1000
) -> tuple[Outcome | None, list[str]]:
    """Return what the job says, and which processes it would have started."""
    here = Here(most)
    monkeypatch.setattr(workers, "launch", here)
    config = BenchmarkConfig(plan=plan, output=output, bootstraps=100)
    try:
        return execute(JOBS, "benchmark", config), here.keys
    except Cancelled:
        return None, here.keys


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmark")


def test_it_goes_on_after_it_was_stopped(
    write_plan: WritePlan, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_plan(finished / "plan.yaml")
    output = finished / "out"
    outcome, first = run(plan, output, monkeypatch, most=3)
    assert outcome is None
    assert first == [
        "splits of home",
        "pre-training tiny/pretrained",
        "ad/tiny/scratch/full-100pct-seed0",
    ]
    # What was stopped before its tests goes on with these alone.
    (output / "cells" / first[2] / "zero_shot" / "away" / "metrics.json").unlink()
    card = output / "cells" / first[2] / "model.json"
    before = card.stat().st_mtime_ns
    outcome, second = run(plan, output, monkeypatch)
    assert outcome is not None
    assert second == [
        "ad/tiny/scratch/full-100pct-seed0",
        "ad/tiny/scratch/full-100pct-seed1",
        "ad/tiny/pretrained/full-100pct-seed0",
        "ad/tiny/pretrained/full-100pct-seed1",
        "occlusion of ad/tiny/scratch/full-100pct-seed0",
        "occlusion of ad/tiny/pretrained/full-100pct-seed0",
    ]
    assert card.stat().st_mtime_ns == before
    assert outcome.message == "4 of 4 cells are finished."
    assert outcome.failures == ()
    _, third = run(plan, output, monkeypatch)
    assert third == []


def test_the_tables_hold_what_the_cells_found(finished: Path) -> None:
    output = finished / "out"
    folder = output / "cells" / "ad" / "tiny"
    areas = {}
    for start in ("scratch", "pretrained"):
        cells = [folder / start / f"full-100pct-seed{seed}" for seed in (0, 1)]
        metrics = [json.loads((one / "metrics.json").read_text()) for one in cells]
        areas[start] = [one["test"]["roc_auc"] for one in metrics]
    found = {
        (row["backbone"], row["initialisation"]): row
        for row in rows_of(output / "results.tsv")
        if (row["cohort"], row["metric"]) == ("home", "roc_auc")
    }
    for start, pair in areas.items():
        row = found["tiny", start]
        assert float(row["mean"]) == pytest.approx(sum(pair) / 2, abs=1e-5)
        assert float(row["sd"]) == pytest.approx(abs(pair[0] - pair[1]) / 2**0.5)
        assert row["seeds"] == "2"
    assert ("logistic_voxels", "baseline") in found
    away = {
        row["backbone"]: row
        for row in rows_of(output / "results.tsv")
        if (row["cohort"], row["metric"]) == ("away", "roc_auc")
        and row["initialisation"] != "pretrained"
    }
    cells = [folder / "scratch" / f"full-100pct-seed{seed}" for seed in (0, 1)]
    for name, ending in (("tiny", ""), ("logistic_voxels", "/logistic_voxels")):
        elsewhere = [
            json.loads((one / "zero_shot" / "away" / "metrics.json").read_text())[
                "models"
            ][one.name + ending]["away"]
            for one in cells
        ]
        assert [one["n"] for one in elsewhere] == [12, 12]
        mean = sum(one["roc_auc"] for one in elsewhere) / 2
        assert float(away[name]["mean"]) == pytest.approx(mean, abs=1e-5)
        assert away[name]["participants"] == "12"
    two = rows_of(output / "table2_ad.tsv")
    assert [row["initialisation"] for row in two] == [
        "scratch",
        "pretrained",
        "baseline",
    ]
    assert two[0]["home ROC-AUC"].startswith(f"{sum(areas['scratch']) / 2:.3f} ± ")
    assert "away ROC-AUC (0-shot)" in two[0]
    transfer = rows_of(output / "transfer.tsv")
    assert [row["cohort"] for row in transfer] == ["home", "away"]
    change = sum(areas["pretrained"]) / 2 - sum(areas["scratch"]) / 2
    assert float(transfer[0]["difference"]) == pytest.approx(change, abs=1e-3)
    assert transfer[0]["negative transfer"] == ("yes" if change < 0 else "no")
    cost = rows_of(output / "cost.tsv")
    assert len(cost) == 4
    assert all(int(row["peak memory (MiB)"]) > 10 for row in cost)


def test_the_report_needs_no_other_file(finished: Path) -> None:
    output = finished / "out"
    page = (output / "report.html").read_text(encoding="utf-8")
    figures = {path.stem for path in (output / "figures").glob("*.png")}
    assert figures == {path.stem for path in (output / "figures").glob("*.svg")}
    assert figures == {
        *("spider_ad", "transfer_ad", "training_ad", "roc_ad_home", "roc_ad_away"),
        *("calibration_ad_home", "calibration_ad_away", "occlusion"),
    }
    assert page.count('src="data:image/png;base64,') == len(figures)
    assert not re.search(r'(src|href)="(?!data:)', page)
    without_pictures = re.sub(r"base64,[^\"]*", "", page)
    assert "http" not in without_pictures
    assert "Table 3" in page
    assert "neuropretrain benchmark --config" in page
    assert "For research use only" in page
    assert "has the best ROC-AUC of 3" in page
    assert "negative transfer" in page
    assert len(re.findall(r"[0-9a-f]{64}", without_pictures)) == 2


def test_each_network_is_asked_about_a_test_participant(finished: Path) -> None:
    output = finished / "out"
    folders = sorted(output.glob("cells/*/*/*/*/occlusion"))
    assert [one.parts[-3] for one in folders] == ["pretrained", "scratch"]
    tests = {
        row["participant_id"]: row["label"]
        for row in rows_of(folders[0].parent / "predictions.tsv")
        if row["split"] == "test"
    }
    for one in folders:
        (member,) = rows_of(one / "group_members.tsv")
        assert tests[member["participant"]] == "AD"


def test_other_settings_are_refused_unless_told(
    write_plan: WritePlan, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetune = {"epochs": 3, "device": "cpu", "threads": 1, "learning_rate": 0.01}
    plan = write_plan(finished / "other.yaml", finetune=finetune)
    with pytest.raises(ConfigError, match=r"seed0: epochs was 2, now 3"):
        run(plan, finished / "out", monkeypatch)
    # Where to compute may change.
    finetune |= {"epochs": 2, "threads": 2}
    plan = write_plan(finished / "other.yaml", finetune=finetune)
    outcome, started = run(plan, finished / "out", monkeypatch)
    assert outcome is not None
    assert started == []


def test_a_failing_cell_stops_nothing(
    write_plan: WritePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = {"lost": "no_such_weights", "scratch": {}}
    finetune = {"epochs": 1, "device": "cpu", "threads": 1, "baselines": False}
    changes: dict[str, Any] = {"initialisations": starts, "finetune": finetune}
    plan = write_plan(tmp_path / "plan.yaml", seeds=[0], **changes)
    outcome, started = run(plan, tmp_path / "out", monkeypatch)
    assert outcome is not None
    assert len(started) == 4
    (failure,) = outcome.failures
    assert failure.item == "ad/tiny/lost/full-100pct-seed0 (finetune)"
    assert "no_such_weights" in failure.reason
    assert outcome.message == "1 of 2 cells are finished."
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "What failed" in page
    assert "no_such_weights" in page


def test_cells_whose_pre_training_failed_say_so(
    write_plan: WritePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = {"lost": {"cohort": "other", "pretrain": {"initial_weights": "nothing"}}}
    plan = write_plan(tmp_path / "plan.yaml", initialisations=starts)
    with pytest.raises(NeuropretrainError, match=r"No cell could be finished.*nothing"):
        run(plan, tmp_path / "out", monkeypatch)


def test_a_cohort_must_be_there(
    write_plan: WritePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = write_plan(tmp_path / "plan.yaml")
    values = yaml.safe_load(plan.read_text())
    values["cohorts"]["away"] = "nowhere"
    plan.write_text(yaml.safe_dump(values))
    with pytest.raises(CohortError, match=r"'away' is not at '.*nowhere'"):
        run(plan, tmp_path / "out", monkeypatch)
