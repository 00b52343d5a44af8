"""Brain age on real scans, from scratch and from pre-trained weights.

    python benchmarks/transfer.py --derivatives IXI --label-maps MAPS --output OUT
        [--seeds 3] [--participants 600] [--threads 2]

Pre-trains a Tiny-DenseNet on synthetic T1s made from label maps, in several ways, and
fine-tunes it for brain age on real preprocessed scans with 10 % and 100 % of the
training part; scratch is beside it. Each seed draws its own division (a fifth is for
the test) and its own starting weights. Volumes are averaged to 4 mm, so that an hour
on two cores is enough. Prints the table: the mean absolute error over seeds with its
standard deviation, and the difference to scratch with a 95 % interval, by bootstrap
over the participants of all tests. Done runs are not done again.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.config.jobs import SynthesiseConfig
from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.data.bids import PREPROCESSED_SUFFIX
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.data.split_files import write_splits
from napari_neuropretrain.data.splits import Part, split_participants
from napari_neuropretrain.data.volumes import write_image
from napari_neuropretrain.preprocessing.synthesise import synthesise
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.progress import Progress
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.training.pretrain import pretrain

INITIALISATIONS: dict[str, dict[str, Any]] = {
    "supervised": {"label": "age", "kind": "regression"},
    "y_aware": {},
    "simclr": {"projector": [512, 128]},
}
FRACTIONS = (0.1, 1.0)
MRI_MM = 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--derivatives", type=Path, required=True)
    parser.add_argument("--label-maps", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--participants", type=int, default=600)
    parser.add_argument("--pretraining-epochs", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    settle_process()
    cohort = averaged(given.derivatives, given.output / "cohort")
    synthetic = synthetic_cohort(given)
    for method in INITIALISATIONS:
        pretrained(given, method, synthetic)
    rows = []
    for seed in range(given.seeds):
        for fraction in FRACTIONS:
            for name in ("scratch", *INITIALISATIONS):
                rows += finetuned(given, cohort, name, fraction, seed)
    print_table(rows)


def averaged(derivatives: Path, output: Path) -> Path:
    """Copy preprocessed scans with half as many voxels along each axis."""
    for path in sorted(derivatives.glob(f"sub-*/**/*{PREPROCESSED_SUFFIX}")):
        there = output / path.relative_to(derivatives)
        if there.exists():
            continue
        image = nib.load(path)
        data = halved(np.asarray(image.dataobj, np.float32))
        inside = halved((np.asarray(image.dataobj) != 0).astype(np.float32)) > 0.5
        brain = data[inside]
        scored = np.where(inside, (data - brain.mean()) / brain.std(), 0)
        affine = image.affine @ np.diag([2.0, 2, 2, 1])
        affine[:3, 3] += image.affine[:3, :3].sum(1) / 2
        name = path.name.removesuffix(".nii.gz") + ".json"
        card = json.loads((path.parent / name).read_text())
        card["Contract"] |= {"shape": list(scored.shape), "spacing_mm": MRI_MM}
        there.parent.mkdir(parents=True, exist_ok=True)
        write_image(there, scored.astype(np.float32), affine)
        mask = path.name.replace("desc-preproc_T1w", "desc-brain_mask")
        write_image(there.parent / mask, inside.astype(np.uint8), affine)
        (there.parent / name).write_text(json.dumps(card))
    for name in ("participants.tsv", "dataset_description.json", "preprocess.tsv"):
        shutil.copy(derivatives / name, output / name)
    return output


def halved(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average blocks of two voxels along each axis."""
    x, y, z = (size // 2 for size in volume.shape)
    blocks = volume[: 2 * x, : 2 * y, : 2 * z].reshape(x, 2, y, 2, z, 2)
    return blocks.mean((1, 3, 5))


def synthetic_cohort(given: argparse.Namespace) -> Path:
    source = {"name": "label_maps", "path": str(given.label_maps), "seed": 1}
    source |= {"participants": given.participants, "shape": "40", "spacing_mm": MRI_MM}
    output = given.output / "synthetic"
    values = {"source": source, "output": output, "workers": given.threads}
    synthesise(SynthesiseConfig.parse(values), say)
    return output


def pretrained(given: argparse.Namespace, method: str, cohort: Path) -> None:
    values: dict[str, Any] = {"cohort": cohort, "backbone": "tiny_densenet"}
    values |= {"method": {"name": method, **INITIALISATIONS[method]}}
    values |= {"output": given.output / f"pretrain-{method}", "batch_size": 32}
    values |= {"epochs": given.pretraining_epochs, "warmup_epochs": 2}
    values |= {"learning_rate": 1e-3, "device": "cpu", "threads": given.threads}
    config = PretrainConfig.parse(values)
    if not (Path(config.output) / "encoder.safetensors").exists():
        pretrain(config, say)


def finetuned(
    given: argparse.Namespace, cohort: Path, name: str, fraction: float, seed: int
) -> list[dict[str, Any]]:
    """Return the errors of the test participants."""
    output = given.output / f"{name}-{fraction:g}-{seed}"
    values: dict[str, Any] = {"cohort": cohort, "output": output, "seed": seed}
    values |= {"splits": division(given.output, cohort, fraction, seed)}
    values |= {"backbone": "tiny_densenet", "epochs": given.epochs, "device": "cpu"}
    values |= {"threads": given.threads}
    if name != "scratch":
        values["initial_weights"] = str(given.output / f"pretrain-{name}")
    if not (output / "model.json").exists():
        finetune(FinetuneConfig.parse(values), say)
    with (output / "predictions.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [
        {
            "name": name,
            "fraction": fraction,
            "seed": seed,
            "who": one["participant_id"],
            "error": abs(float(one["prediction"]) - float(one["label"])),
        }
        for one in rows
        if one["split"] == "test"
    ]


def division(folder: Path, cohort: Path, fraction: float, seed: int) -> Path:
    """Write a division whose training part is a share of the whole one."""
    path = folder / f"splits-{fraction:g}-{seed}.tsv"
    scans = read_cohort(cohort).scans
    ages = {one.key: float(one.row["age"]) for one in scans if known(one.row["age"])}
    parts = split_participants(scans, ages, 0.15, 0.2, seed)
    train = [one for one in scans if parts.get(one.key) == "train"]
    if fraction < 1:  # stratified by age, as the division itself
        drawn = split_participants(train, ages, 0.0, fraction, seed)
        train = [one for one in train if drawn[one.key] == "test"]
    kept: dict[str, Part] = {
        key: part for key, part in parts.items() if part != "train"
    }
    write_splits(path, kept | {one.key: "train" for one in train})
    return path


def known(text: str) -> bool:
    return text.lower() not in ("", "n/a", "nan")


def print_table(rows: list[dict[str, Any]]) -> None:
    print("| training part | initialisation | MAE, years | difference to scratch |")
    print("|---|---|---|---|")
    for fraction in FRACTIONS:
        scratch = {key(one): one["error"] for one in of(rows, "scratch", fraction)}
        for name in ("scratch", *INITIALISATIONS):
            errors = of(rows, name, fraction)
            seeds = sorted({one["seed"] for one in errors})
            means = [
                np.mean([one["error"] for one in errors if one["seed"] == seed])
                for seed in seeds
            ]
            text = f"{np.mean(means):.2f} ± {np.std(means, ddof=1):.2f}"
            gained = ""
            if name != "scratch":
                differences = {
                    key(one): one["error"] - scratch[key(one)] for one in errors
                }
                gained = interval(differences)
            print(f"| {fraction:.0%} | {name} | {text} | {gained} |")


def of(
    rows: Iterable[dict[str, Any]], name: str, fraction: float
) -> list[dict[str, Any]]:
    return [one for one in rows if (one["name"], one["fraction"]) == (name, fraction)]


def key(row: dict[str, Any]) -> tuple[str, int]:
    return row["who"], row["seed"]


def interval(differences: dict[tuple[str, int], float]) -> str:
    """Bootstrap over people: one may be in the tests of several seeds."""
    people = sorted({who for who, _ in differences})
    by_person = [
        [value for (who, _), value in differences.items() if who == one]
        for one in people
    ]
    sums = np.array([sum(one) for one in by_person])
    counts = np.array([len(one) for one in by_person])
    drawn = np.random.default_rng(0).integers(len(people), size=(5000, len(people)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{sums.sum() / counts.sum():+.2f} ({low:+.2f} to {high:+.2f})"


def say(progress: Progress) -> None:
    if progress.state in ("epoch", "warning", "item_failed"):
        print(f"  {progress.message}", flush=True)


if __name__ == "__main__":
    main()
