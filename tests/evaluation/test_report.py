"""Figures and the page of an evaluation."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from napari_neuropretrain.config.evaluation import EvaluateConfig
from napari_neuropretrain.evaluation import evaluate as job
from napari_neuropretrain.evaluation.evaluate import evaluate
from napari_neuropretrain.evaluation.figures import draw_gaps, draw_predicted
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.progress import Progress


def write_table(path: Path, numbers: bool) -> Path:
    random = np.random.default_rng(0)
    lines = ["participant_id\tsplit\tlabel\tprediction\tsex\tage"]
    for number in range(60):
        part, age = ("validation", "test")[number % 2], random.uniform(40, 90)
        ill = number // 2 % 2
        label, value = ("CN", "AD")[ill], 0.3 + 0.4 * ill + random.uniform(-0.3, 0.3)
        if numbers:
            label, value = f"{age:.2f}", age + random.normal(0, 5)
        row = f"sub-{number:02d}\t{part}\t{label}\t{value:.4f}\t{'FM'[number // 4 % 2]}"
        lines.append(f"{row}\t{age:.1f}")
    path.parent.mkdir()
    path.write_text("\n".join(lines) + "\n")
    return path


def run(folder: Path, numbers: bool) -> tuple[str, list[Progress]]:
    one = write_table(folder / "one" / "predictions.tsv", numbers)
    values = {"model": one, "output": folder / "out", "smallest_group": 5}
    values |= {"bootstraps": 100, "permutations": 49}
    said: list[Progress] = []
    outcome = evaluate(EvaluateConfig.parse(values), said.append)
    page = Path(outcome.results["report"])
    assert page == folder / "out" / "report.html"
    return page.read_text(encoding="utf-8"), said


def test_the_page_of_groups_holds_everything(tmp_path: Path) -> None:
    page, said = run(tmp_path, numbers=False)
    drawn = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    wanted = {f"{kind}_test" for kind in ("roc", "calibration")}
    assert drawn == {f"{one}.{end}" for one in wanted for end in ("svg", "png")}
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "neuropretrain evaluate --model" in page
    metric = next(one.message for one in said if one.state == "metric")
    assert metric in page
    for words in ("For research use only", "roc_auc", "average_precision", "By group"):
        assert words in page
    assert re.search(r"<td>sex</td><td>F</td><td>\d+</td><td>roc_auc</td>", page)
    text = re.sub(r"base64,[^\"]*", "", page)
    assert len(re.findall(r"\b[0-9a-f]{64}\b", text)) == 1
    assert "70.0" in page or "±" in page


def test_the_page_of_ages_has_the_gap_by_group(tmp_path: Path) -> None:
    page, _ = run(tmp_path, numbers=True)
    drawn = {path.stem for path in (tmp_path / "out" / "figures").iterdir()}
    assert drawn == {"predicted_test", "gap_test"}
    assert page.count("data:image/png;base64,") == 2


def test_a_page_that_fails_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Path:
        raise RuntimeError("no fonts")

    monkeypatch.setattr(job, "write_report", fail)
    table = write_table(tmp_path / "one" / "predictions.tsv", numbers=False)
    said: list[Progress] = []
    values = {"model": table, "output": tmp_path / "out", "bootstraps": 0}
    outcome = evaluate(EvaluateConfig.parse(values), said.append)
    assert "report" not in outcome.results
    assert (tmp_path / "out" / "metrics.json").is_file()
    (warning,) = [one.message for one in said if one.state == "warning"]
    assert "RuntimeError: no fonts" in warning


def test_figures_show_the_numbers() -> None:
    people = np.array([f"sub-{number}" for number in range(8)])
    labels = np.arange(8) * 10.0
    columns = {"sex": np.array(list("FFFFMMMM"))}
    ends = people, people, labels, labels + np.array([2.0] * 4 + [-4.0] * 4)
    given = Predictions("m", "test", "regression", *ends, columns, unit="years")
    axis = draw_predicted({"net": given}, "").axes[0]
    assert axis.get_title() == "net\nMAE 3.00 years"
    np.testing.assert_allclose(axis.collections[0].get_offsets(), np.stack(ends[2:], 1))
    figure = draw_gaps(given, "gap")
    assert figure is not None
    shown = [one.get_offsets()[:, 1] for one in figure.axes[0].collections]
    np.testing.assert_allclose(shown, [[2.0] * 4, [-4.0] * 4])
    alone = Predictions("m", "test", "regression", *ends)
    assert draw_gaps(alone, "gap") is None
