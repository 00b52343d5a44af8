"""What came out, in plain sentences."""

from __future__ import annotations

from napari_neuropretrain.benchmark.cells import Setting
from napari_neuropretrain.benchmark.gather import BASELINE
from napari_neuropretrain.benchmark.results import (
    DIGITS,
    TITLES,
    Results,
    number_text,
)
from napari_neuropretrain.benchmark.summary import Transfer
from napari_neuropretrain.evaluation.assessment import PRIMARY
from napari_neuropretrain.evaluation.weighted import LOWER_IS_BETTER


def state(results: Results) -> list[str]:
    """Say what is best, what pre-training changed, and where it hurt."""
    said = [
        line
        for task in results.tasks()
        for cohort in results.cohorts(task)
        if (line := _best(results, task, cohort))
    ]
    said += [_counts(results)] if results.transfers else []
    ordered = sorted(results.transfers, key=lambda one: one.verdict != "hurt")
    said += [_sentence(results, one) for one in ordered]
    return [*said, *_few_seeds(results)]


def _best(results: Results, task: str, cohort: str) -> str:
    metric = PRIMARY[results.kinds[task]]
    share = results.fractions(task)[0]
    found = [
        (one, results.summaries[one, cohort][metric])
        for one in results.settings(task, share)
        if (one, cohort) in results.summaries
    ]
    if not found:
        return ""
    sign = 1 if metric in LOWER_IS_BETTER else -1
    found.sort(key=lambda pair: sign * pair[1].mean)
    setting, best = found[0]
    limits = ""
    if best.interval is not None:
        low, high = (number_text(bound, metric) for bound in best.interval)
        limits = f" (95 % interval {low} to {high})"
    zero_shot = (
        "" if cohort == results.plan.tasks[task].cohort else ", never trained on"
    )
    name, value = TITLES.get(metric, metric), number_text(best.mean, metric)
    text = (
        f"{task} on {cohort}{zero_shot}: {_title(setting)} has the best {name} of "
        f"{len(found)}, {value}{_unit(results, task)}{limits}, {best.participants} "
        "participants."
    )
    for second, other in found[1:2]:
        bounds = other.interval
        if bounds is not None and bounds[0] <= best.mean <= bounds[1]:
            text += (
                f" The next one, {_title(second)}, is within its uncertainty: "
                f"{number_text(other.mean, metric)}."
            )
    return text


def _title(setting: Setting) -> str:
    if setting.initialisation == BASELINE:
        return f"the linear model {setting.backbone}"
    return setting.title


def _counts(results: Results) -> str:
    counts = {
        name: sum(one.verdict == name for one in results.transfers)
        for name in ("helped", "hurt", "no difference shown")
    }
    worse = sum(one.negative for one in results.transfers)
    return (
        f"Of {len(results.transfers)} comparisons with scratch, pre-training helped in "
        f"{counts['helped']} and hurt in {counts['hurt']} (95 % interval "
        f"without 0, and p below 0.05); {counts['no difference shown']} leave it open. "
        f"Whatever the certainty, it came out worse in {worse}."
    )


def _sentence(results: Results, one: Transfer) -> str:
    setting, task = one.setting, one.setting.task
    share = (
        "" if setting.fraction == 1 else f" with {100 * setting.fraction:g} % of data"
    )
    name = TITLES.get(one.metric, one.metric)
    sign = "+" if one.difference >= 0 else "−"
    size = f"{sign}{number_text(abs(one.difference), one.metric)}{_unit(results, task)}"
    limits = "no interval"
    if one.interval is not None:
        low, high = (_signed(bound, one.metric) for bound in one.interval)
        limits = f"95 % interval {low} to {high}"
    verdict = {
        "helped": "is better than scratch",
        "hurt": "is worse than scratch: negative transfer",
        "no difference shown": "came out worse than scratch, which may be chance"
        if one.negative
        else "came out better than scratch, which may be chance",
    }[one.verdict]
    return (
        f"{task} on {one.cohort}{share}: {setting.title} {verdict}: {name} {size} "
        f"({limits}; p {one.p:.2g}, {one.p_holm:.2g} corrected for all comparisons)."
    )


def _few_seeds(results: Results) -> list[str]:
    if len(results.plan.seeds) >= 3:
        return []
    return [
        f"With {len(results.plan.seeds)} seeds, the spread over trainings is hardly "
        "known; the intervals are over participants, for these trainings."
    ]


def _unit(results: Results, task: str) -> str:
    unit = results.units.get(task, "")
    return f" {unit}" if results.kinds[task] == "regression" and unit else ""


def _signed(value: float, metric: str) -> str:
    return f"{value:+.{DIGITS.get(metric, 3)}f}".replace("-", "−")
