"""Brain age and sex in ten folds: networks, linear models, and both together.

    python benchmarks/ten_folds.py --cohort DERIVATIVES --output OUT
        [--regions LABEL_MAPS] [--weights ENCODER] [--backbone tiny_densenet]
        [--tasks age,sex] [--seeds 0,1] [--epochs 15] [--only-tables]

Everyone is tested once, by models that never saw them: a network fine-tuned on eight
folds (the ninth chooses its epoch), and ridge or logistic regression on nine. "Both"
is the plain mean of the network and of the linear model of voxels and regions, with
nothing fitted. Prints what each reaches with its 95 % interval, and the paired
differences to each linear model (bootstrap over participants). Done trainings are not
done again; an interrupted one goes on.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_neuropretrain.config.evaluation import SplitConfig
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.cells import cell_means
from napari_neuropretrain.data.participants import Scan, read_cohort
from napari_neuropretrain.data.regions import region_volumes
from napari_neuropretrain.data.split_files import read_splits
from napari_neuropretrain.evaluation.assessment import PRIMARY, Certainty, assess
from napari_neuropretrain.evaluation.comparison import compare, sentence
from napari_neuropretrain.evaluation.linear_models import fit_linearly
from napari_neuropretrain.evaluation.predictions import Kind, Predictions
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.progress import Progress
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.training.split import split

FOLDS = 10
TASKS: Mapping[str, tuple[str, Kind, str]] = {
    "age": ("brain_age", "regression", "years"),
    "sex": ("sex", "binary", ""),
}
Numbers = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohort", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--regions", type=Path, default=NOTHING)
    parser.add_argument("--weights", default="")
    parser.add_argument("--backbone", default="tiny_densenet")
    parser.add_argument("--tasks", default="age,sex")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--ema", type=float, default=0.0)
    parser.add_argument("--only-tables", action="store_true")
    given = parser.parse_args()
    settle_process()
    folds = given.output / "folds" / "splits.tsv"
    if not folds.exists():
        values = {"cohort": given.cohort, "output": folds.parent, "folds": FOLDS}
        split(SplitConfig.parse(values), say)
    seeds = [int(one) for one in given.seeds.split(",")]
    for seed in seeds:
        for task in given.tasks.split(","):
            for fold in range(1, FOLDS + 1):
                if not given.only_tables:
                    trained(given, task, seed, fold, folds)
    for task in given.tasks.split(","):
        judge(given, task, seeds, folds)


def run_folder(given: argparse.Namespace, task: str, seed: int, fold: int) -> Path:
    return Path(given.output) / task / f"seed-{seed}" / f"fold-{fold:02d}"


def trained(
    given: argparse.Namespace, task: str, seed: int, fold: int, folds: Path
) -> None:
    output = run_folder(given, task, seed, fold)
    if (output / "model.json").exists():
        return
    values: dict[str, Any] = {"cohort": given.cohort, "output": output, "seed": seed}
    values |= {"task": TASKS[task][0], "backbone": given.backbone, "splits": folds}
    values |= {"fold": fold, "epochs": given.epochs, "ema": given.ema}
    values |= {"initial_weights": given.weights, "find_repeats": False}
    values |= {"baselines": False, "device": "cpu", "threads": 1}
    finetune(FinetuneConfig.parse(values), say)
    print(f"{task}, seed {seed}, fold {fold} is done", flush=True)


def judge(
    given: argparse.Namespace, task: str, seeds: Sequence[int], folds: Path
) -> None:
    """Print the table of a task, and how sure the differences are."""
    scans, labels = read_scans(given.cohort, task)
    _, kind, unit = TASKS[task]
    fold_of = read_folds(folds, scans)
    blank = Predictions(
        "",
        "ten folds",
        kind,
        np.array([scan.key for scan in scans]),
        np.array([scan.participant for scan in scans]),
        labels,
        labels,
        unit=unit,
    )
    models = linear_models(given, scans, labels, fold_of, kind)
    linear = list(models)
    for seed in seeds:
        values = network(given, task, seed, scans)
        if values is not None:
            models[f"network, seed {seed}"] = values
    nets = [values for name, values in models.items() if name not in linear]
    if len(nets) > 1:
        models["network, mean of seeds"] = np.mean(nets, axis=0)
    if nets:
        models["both"] = (models[linear[-1]] + np.mean(nets, axis=0)) / 2
    print(f"\n{task}: {len(scans)} people\n")
    print(f"| model | {PRIMARY[kind]} | 95 % |\n|---|---|---|")
    certainty = Certainty(permutations=0)
    named = [
        replace(blank, model=name, values=values) for name, values in models.items()
    ]
    for one in named:
        found = assess(one, certainty)
        low, high = found.intervals[PRIMARY[kind]] or (np.nan, np.nan)
        value = found.values[PRIMARY[kind]]
        print(f"| {one.model} | {value:.3f} | {low:.3f} to {high:.3f} |")
    print()
    whole = len(linear) - 1  # of all features; what comes after has a network in it
    for index, one in enumerate(named[whole:], whole):
        for other in named[: min(index, len(linear))]:
            rows = compare(one, other, certainty)
            print(sentence(next(r for r in rows if r.metric == PRIMARY[kind]), unit))


def linear_models(
    given: argparse.Namespace,
    scans: Sequence[Scan],
    labels: Numbers,
    fold_of: NDArray[np.int64],
    kind: Kind,
) -> dict[str, Numbers]:
    """Return what linear models say of everyone, the last one of all features."""
    images = [nib.load(scan.path) for scan in scans]
    voxels = [np.asarray(image.dataobj, np.float32) for image in images]
    spacing = float(images[0].header.get_zooms()[0])
    smooth = [gaussian_filter(one, 4 / spacing).reshape(-1) for one in voxels]
    features = {
        "cells of 8 mm": np.stack([cell_means(v, spacing).reshape(-1) for v in voxels]),
        "voxels, smoothed by 4 mm": np.stack(smooth),
    }
    names: dict[str, tuple[str, ...]] = {}
    if given.regions != NOTHING:
        regions = region_volumes(given.regions, scans)
        features["regions"] = regions.values
        features["voxels and regions"] = np.hstack([smooth, regions.values])
        names = {"regions": regions.names, "voxels and regions": regions.names}
    return {
        name: in_folds(block, labels, fold_of, kind, names.get(name, ()))
        for name, block in features.items()
    }


def in_folds(
    features: NDArray[Any],
    labels: Numbers,
    fold_of: NDArray[np.int64],
    kind: Kind,
    regions: Sequence[str],
) -> Numbers:
    """Predict each fold by a model of the others."""
    found = np.zeros(len(labels))
    for fold in range(1, FOLDS + 1):
        train = fold_of != fold
        people = np.arange(train.sum())
        model = fit_linearly(features[train], labels[train], people, kind, regions)
        found[~train] = model.predict(features[~train])
    return found


def network(
    given: argparse.Namespace, task: str, seed: int, scans: Sequence[Scan]
) -> Numbers | None:
    """Return what the networks of a seed say of everyone; None if some are missing."""
    said: dict[str, float] = {}
    for fold in range(1, FOLDS + 1):
        path = run_folder(given, task, seed, fold) / "predictions.tsv"
        if not path.exists():
            return None
        with path.open() as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                if row["split"] == "test":
                    said[row["participant_id"]] = float(row["prediction"])
    return np.array([said[scan.participant] for scan in scans])


def read_scans(cohort: Path, task: str) -> tuple[list[Scan], Numbers]:
    scans = list(read_cohort(cohort).scans)
    if task == "sex":
        male = [scan.row["sex"].upper().startswith("M") for scan in scans]
        return scans, np.array(male, float)
    return scans, np.array([float(scan.row["age"]) for scan in scans])


def read_folds(path: Path, scans: Sequence[Scan]) -> NDArray[np.int64]:
    """Return the fold each scan is tested in."""
    found = np.zeros(len(scans), int)
    for fold in range(1, FOLDS + 1):
        parts = read_splits(path, fold)
        tested = [parts[scan.key] == "test" for scan in scans]
        found[tested] = fold
    return found


def say(progress: Progress) -> None:
    if progress.state in ("warning", "item_failed"):
        print(f"  {progress.message}", flush=True)


if __name__ == "__main__":
    main()
