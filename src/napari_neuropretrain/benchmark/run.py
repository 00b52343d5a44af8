"""The job ``benchmark``: run what is missing of a plan, and say what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_neuropretrain.benchmark.cells import Matrix
from napari_neuropretrain.benchmark.figures import write_figures
from napari_neuropretrain.benchmark.gather import Trained, by_setting, read_cell
from napari_neuropretrain.benchmark.matrix import expand, read_plan
from napari_neuropretrain.benchmark.occlusion import occlusion_units
from napari_neuropretrain.benchmark.published import Place, Published, read_published
from napari_neuropretrain.benchmark.report import write_report
from napari_neuropretrain.benchmark.results import Results
from napari_neuropretrain.benchmark.statements import state
from napari_neuropretrain.benchmark.steps import (
    Unit,
    failures_of,
    is_done,
    refuse_changes,
    to_do,
)
from napari_neuropretrain.benchmark.summary import find_transfers, summarise
from napari_neuropretrain.benchmark.table_files import write_results, write_tables
from napari_neuropretrain.benchmark.tables import make_tables
from napari_neuropretrain.benchmark.workers import run_units
from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.benchmarking import BenchmarkConfig, BenchmarkPlan
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.errors import CohortError, NeuropretrainError
from napari_neuropretrain.evaluation.assessment import Certainty
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report
from napari_neuropretrain.runs import EXIT_STOPPED


def benchmark(config: BenchmarkConfig, report: Report) -> Outcome:
    """Divide, pre-train, train and test what is missing, and write what came out.

    Parameters
    ----------
    config
        The plan, and how many trainings run at the same time.
    report
        Hears of each cell; may raise `Cancelled`, and then what is finished is kept,
        and what is not goes on at its last checkpoint next time.

    Returns
    -------
    Outcome
        How many cells are finished; those that failed are its failures.

    Raises
    ------
    ConfigError
        If the plan cannot be used, or the output holds trainings with other settings.
    CohortError
        If a cohort is not preprocessed, or cannot be read.
    NeuropretrainError
        If not a single cell could be finished.
    """
    plan = read_plan(config.plan)
    published = read_published(plan.published)
    matrix = expand(plan, config.output.absolute())
    _check_cohorts(plan)
    write_text(config.output / "plan.yaml", config.plan.read_text(encoding="utf-8"))
    failures = _train(matrix, config, report)
    trained = [one for cell in matrix.cells if (one := read_cell(cell))]
    if not trained:
        reasons = "; ".join(f"{one.item}: {one.reason}" for one in failures[:3])
        raise NeuropretrainError(f"No cell could be finished. {reasons}")
    units = occlusion_units(plan, trained)
    failures += _round("Explaining", units, config, report)
    report(Progress("step", "Intervals, tables and figures"))
    results = judge(plan, trained, published, config.bootstraps)
    files = write_all(config.output, results, config, failures)
    for kind, path in files.items():
        report(Progress("result", values={"kind": kind, "path": str(path)}))
    for said in state(results):
        report(Progress("metric", said))
    message = f"{len(trained)} of {len(matrix.cells)} cells are finished."
    paths = {kind: str(path) for kind, path in files.items()}
    return Outcome(message, tuple(failures), paths)


def _check_cohorts(plan: BenchmarkPlan) -> None:
    for name, cohort in plan.cohorts.items():
        if not cohort.path.exists():
            raise CohortError(
                f"cohorts: '{name}' is not at '{cohort.path}'. Give the derivatives "
                "folder of your own data in the plan."
            )
        if read_cohort(cohort.path).kind != "preprocessed":
            raise CohortError(
                f"cohorts: '{name}' ('{cohort.path}') is raw, and each cell would "
                "preprocess it again. Run neuropretrain preprocess first, and give "
                "its output."
            )


def _train(matrix: Matrix, config: BenchmarkConfig, report: Report) -> list[Failure]:
    """Run what is missing, in three rounds; each one needs the one before."""
    splits = [Unit(f"splits of {name}", (one,)) for name, one in matrix.splits.items()]
    firsts = [
        Unit(f"pre-training {one.key}", (one.config,)) for one in matrix.pretrainings
    ]
    units = {
        cell.key: Unit(cell.key, (cell.config, *cell.zero_shot.values()))
        for cell in matrix.cells
    }
    if not config.overwrite:
        refuse_changes([*splits, *firsts, *units.values()])
    failures = _round("Dividing", splits, config, report)
    failures += _round("Pre-training", firsts, config, report)
    done = {one.key for one in matrix.pretrainings if is_done(one.config)}
    ready = [cell for cell in matrix.cells if not cell.needs or cell.needs in done]
    failures += [
        Failure(cell.key, f"The pre-training it starts from, {cell.needs}, failed.")
        for cell in matrix.cells
        if cell not in ready
    ]
    return failures + _round(
        "Training", [units[one.key] for one in ready], config, report
    )


def _round(
    name: str, units: Sequence[Unit], config: BenchmarkConfig, report: Report
) -> list[Failure]:
    todo = to_do(units)
    if not todo:
        return []
    finished = len(units) - len(todo)
    known = f"; {finished} are finished" if finished else ""
    report(Progress("step", f"{name}: {len(todo)} to do{known}", finished, len(units)))
    failures: list[Failure] = []
    for count, (unit, code) in enumerate(run_units(todo, config, report), 1):
        lost = failures_of(unit, code)
        failures += [Failure(*one) for one in lost]
        place = (finished + count, len(units))
        for item, reason in lost:
            report(Progress("item_failed", f"{item}: {reason}", *place))
        if not lost:
            report(Progress("item_done", f"{unit.key} is finished", *place))
        if code == EXIT_STOPPED:
            report(Progress("heartbeat"))  # leaves here, if this was asked to stop
    return failures


def judge(
    plan: BenchmarkPlan,
    trained: Sequence[Trained],
    published: Mapping[Place, Published],
    bootstraps: int,
) -> Results:
    """Return means, spreads, intervals and transfers of the finished cells."""
    certainty = Certainty(bootstraps, 0)
    seeds = by_setting(trained)
    return Results(
        plan,
        tuple(trained),
        seeds,
        summarise(seeds, certainty),
        find_transfers(seeds, certainty) if bootstraps else (),
        published,
        {one.cell.setting.task: one.card.kind for one in trained},
        {one.cell.setting.task: one.card.unit for one in trained},
        certainty.level,
    )


def write_all(
    output: Path,
    results: Results,
    config: BenchmarkConfig,
    failures: Sequence[Failure],
) -> dict[str, Path]:
    """Write tables, figures and the report; return each file by its kind."""
    tables = make_tables(results)
    files = write_tables(output, tables)
    files["results"] = write_results(output / "results.tsv", results)
    figures = write_figures(output / "figures", results)
    page = write_report(output, results, tables, figures, config, failures)
    return files | figures | {"report": page}
