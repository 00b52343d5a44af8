"""All figures of a benchmark, as SVG and PNG."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from napari_neuropretrain.benchmark.comparison_figures import (
    draw_ablation,
    draw_spider,
    draw_transfer,
)
from napari_neuropretrain.benchmark.occlusion import write_occlusion_figures
from napari_neuropretrain.benchmark.prediction_figures import (
    draw_ages,
    draw_calibration,
    draw_gaps,
    draw_roc,
    draw_trainings,
)
from napari_neuropretrain.benchmark.results import Results
from napari_neuropretrain.reporting.drawing import save_figure, style

Draw = Callable[[], Figure | None]


def write_figures(folder: Path, results: Results) -> dict[str, Path]:
    """Draw what the results allow; return the PNG of each figure by its name."""
    found = {}
    with style():
        for task in results.tasks():
            for name, draw in _figures_of(results, task):
                if (figure := draw()) is not None:
                    found[name] = save_figure(figure, folder, name)
    return found | write_occlusion_figures(folder, results.trained)


def _figures_of(results: Results, task: str) -> Iterator[tuple[str, Draw]]:
    yield f"spider_{task}", partial(draw_spider, results, task)
    if len(results.fractions(task)) > 1:
        yield f"ablation_{task}", partial(draw_ablation, results, task)
    own = results.cohorts(task)[0]
    if any(one.setting.task == task and one.cohort == own for one in results.transfers):
        yield f"transfer_{task}", partial(draw_transfer, results, task)
    for cohort in results.cohorts(task):
        yield from _predictions_of(results, task, cohort)
    yield f"training_{task}", partial(draw_trainings, results, task)


def _predictions_of(
    results: Results, task: str, cohort: str
) -> Iterator[tuple[str, Draw]]:
    share = results.fractions(task)[0]
    if not any(
        cohort in results.seeds.get(one, {}) for one in results.settings(task, share)
    ):
        return
    end = f"{task}_{cohort}"
    if results.kinds[task] == "binary":
        yield f"roc_{end}", partial(draw_roc, results, task, cohort)
        yield f"calibration_{end}", partial(draw_calibration, results, task, cohort)
    else:
        yield f"predicted_{end}", partial(draw_ages, results, task, cohort)
        yield f"gap_{end}", partial(draw_gaps, results, task, cohort)
