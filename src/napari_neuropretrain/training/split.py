"""The job ``split``: divide a cohort once, for all trainings on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_neuropretrain.config.evaluation import SplitConfig
from napari_neuropretrain.data.labels import text_labels
from napari_neuropretrain.data.participants import Cohort, Scan, read_cohort
from napari_neuropretrain.data.repeats import same_people
from napari_neuropretrain.data.split_files import SPLITS, write_folds, write_splits
from napari_neuropretrain.data.splits import fold_participants, split_participants
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.training.division import fingerprints_of, repeated_people
from napari_neuropretrain.training.volumes import load_volumes


def split(config: SplitConfig, report: Report) -> Outcome:
    """Divide the participants of a cohort, and write ``splits.tsv``.

    Parameters
    ----------
    config
        Cohort, label, and fractions or folds.
    report
        Hears a ``warning`` of each person under two names; may raise `Cancelled`.

    Returns
    -------
    Outcome
        How many are in which part.

    Raises
    ------
    ConfigError
        If there are fewer than three folds.
    CohortError
        If the label is missing or there are too few participants.
    """
    if config.folds in (1, 2):
        raise ConfigError(
            f"folds: {config.folds} are too few: one is the test, one the validation, "
            "and the others are for training. Give at least 3."
        )
    cohort = read_cohort(config.cohort)
    labels = text_labels(cohort, config.label) if config.label else None
    scans = [scan for scan in cohort.scans if labels is None or scan.key in labels]
    same = _same_people(cohort, scans, report) if config.find_repeats else {}
    path = Path(config.output) / SPLITS
    parts: Mapping[str, str | int]
    if config.folds:
        parts = folds = fold_participants(
            scans, labels, config.folds, config.seed, same
        )
        write_folds(path, folds)
    else:
        fractions = (config.validation_fraction, config.test_fraction)
        parts = divided = split_participants(
            scans, labels, *fractions, config.seed, same
        )
        write_splits(path, divided)
    report(Progress("result", values={"kind": "splits", "path": str(path)}))
    return Outcome(_summary(scans, parts), cohort.problems, {"splits": str(path)})


def _same_people(
    cohort: Cohort, scans: Sequence[Scan], report: Report
) -> Mapping[str, str]:
    if cohort.kind != "preprocessed":
        message = (
            "The scans are raw: whether one person is there under two names can only "
            "be seen after preprocessing. Give the derivatives folder instead."
        )
        report(Progress("warning", message))
        return {}
    volumes = load_volumes(scans, report)
    brains = fingerprints_of(volumes, report)
    return same_people(repeated_people(volumes.scans, brains, report))


def _summary(scans: Sequence[Scan], parts: Mapping[str, str | int]) -> str:
    people = {scan.participant: parts[scan.key] for scan in scans}
    counts = sorted(Counter(people.values()).items(), key=lambda one: str(one[0]))
    named = (
        f"{count} in fold {part}" if isinstance(part, int) else f"{count} {part}"
        for part, count in counts
    )
    return f"Divided {len(people)} participants: {', '.join(named)}."
