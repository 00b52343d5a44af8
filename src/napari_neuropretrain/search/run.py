"""The job ``search``: try settings of a fine-tuning, and keep the best."""

from __future__ import annotations

from pathlib import Path

from napari_neuropretrain.benchmark.steps import FREE
from napari_neuropretrain.config.base import read_yaml
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.searching import SearchConfig, SearchSpace
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.errors import CohortError, ConfigError
from napari_neuropretrain.evaluation.assessment import PRIMARY
from napari_neuropretrain.evaluation.weighted import LOWER_IS_BETTER
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.runs import check_inputs


def search(config: SearchConfig, report: Report) -> Outcome:
    """Train with different settings, and say which are best on the validation part.

    Each trial is a fine-tuning in a run folder of its own. The test part is never
    looked at to choose.

    Parameters
    ----------
    config
        Base, space, and how to look.
    report
        Hears of each trial; may raise `Cancelled`, and then trials that ran go on at
        their last checkpoint next time.

    Returns
    -------
    Outcome
        The best trial, beside the median.

    Raises
    ------
    ConfigError
        If Optuna is missing, the base, the space or the storage cannot be used, or
        the search was begun with other settings.
    CohortError
        If the cohort is not preprocessed.
    NeuropretrainError
        If no trial was trained to the end.
    """
    _check_optuna()
    # Optuna is an extra: only now it is known to be there.
    from napari_neuropretrain.search import figures, results, sampling, space
    from napari_neuropretrain.search.study import open_study, queue_lost
    from napari_neuropretrain.search.trial import Goal
    from napari_neuropretrain.search.workers import Search, run_trials

    base = read_base(config)
    varied = space.read_space(config.space)
    space.check_space(varied, base)
    name, maximise = _goal(config, base)
    shared = _shared(base, varied, name)
    study = open_study(config, maximise, shared)
    study.sampler = sampling.make_sampler(config)
    study.pruner = sampling.make_pruner(config, _most_epochs(base, varied))
    goal = Goal(name, maximise)
    if lost := queue_lost(study):
        report(Progress("step", f"{lost} interrupted trials go on"))
    known = len([one for one in study.trials if one.state.is_finished()])
    begun = f"; {known} are there" if known else ""
    report(Progress("step", f"{config.trials} trials, by {name}{begun}"))
    run_trials(Search(config, base, varied, goal, study), report)
    found = results.find(study, goal)
    files = results.write_results(config.output, found, base)
    files["figure"] = figures.write_figure(config.output, found, study)
    for kind, path in files.items():
        report(Progress("result", values={"kind": kind, "path": str(path)}))
    report(Progress("metric", found.statement()))
    message = (
        f"Train with the best settings and test: neuropretrain finetune --config "
        f"{files['best']}"
    )
    return Outcome(message, results={kind: str(one) for kind, one in files.items()})


def read_base(config: SearchConfig) -> FinetuneConfig:
    """Read the settings that all trials share, with paths that hold everywhere.

    Raises
    ------
    ConfigError
        If a setting is wrong, or a path leads nowhere.
    CohortError
        If the cohort is not preprocessed.
    """
    values = read_yaml(config.base)
    values["output"] = config.output
    base = FinetuneConfig.parse(values, f"'{config.base}'")
    check_inputs(base)
    if read_cohort(base.cohort).kind != "preprocessed":
        raise CohortError(
            f"cohort: '{base.cohort}' is raw, and each trial would preprocess it "
            "again. Run neuropretrain preprocess first, and give its output."
        )
    absolute = {
        name: path.absolute()
        for name in ("cohort", "splits", "regions")
        if (path := getattr(base, name)) != NOTHING
    }
    weights = Path(base.initial_weights)
    if base.initial_weights and weights.exists():
        absolute["initial_weights"] = weights.absolute()
    return base.model_copy(
        update={
            key: str(one) if key == "initial_weights" else one
            for key, one in absolute.items()
        }
    )


def _goal(config: SearchConfig, base: FinetuneConfig) -> tuple[str, bool]:
    """Return what trials are judged by, and whether larger is better."""
    if config.objective == "loss":
        return "validation_loss", False
    name = PRIMARY[base.task.entry.load()(base.task.options).kind]
    return name, name not in LOWER_IS_BETTER


def _shared(base: FinetuneConfig, varied: SearchSpace, name: str) -> dict[str, object]:
    """Return what must be the same whenever the search goes on."""
    fixed = base.model_dump(mode="json", exclude=FREE | {"baselines"})
    space = varied.model_dump(mode="json", exclude_defaults=True)["settings"]
    return {**fixed, "objective": name, "space": space}


def _most_epochs(base: FinetuneConfig, varied: SearchSpace) -> int:
    epochs = varied.settings.get("epochs")
    return max(map(int, epochs.extremes)) if epochs else base.epochs


def _check_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise ConfigError(
            "The search needs Optuna, which is not installed. Install it with: pip "
            "install 'napari-neuropretrain[search]'"
        ) from None
