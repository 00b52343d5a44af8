"""How often the peak of a map lies in the structure that was planted.

    python benchmarks/planted_effects.py --output OUT [--tasks ad pd]
        [--backbones densenet121 ...] [--participants 340] [--held-out 20]
        [--epochs 12] [--slow-epochs 300] [--learning-rate 0.001]
        [--patch 4] [--stride 4] [--threads 1]

Makes a cohort of synthetic brains of 32x32x32 voxels of 5 mm, in which "AD" shrinks and
darkens the medial temporal lobes and "PD" putamen and caudate. Trains each backbone to
tell patients from controls (`SLOW` ones for longer), and explains the logit of held-out
patients by every method that fits. The peak is the voxel with the largest absolute
value; of several that are equal, the one nearest to their centre.

Beside the share of peaks in the planted structure stands the share of the brain that
it fills: what a map without meaning would reach. `near` also counts peaks within half a
cube of the structure, with its own chance. `mean map` says whether the peak of the mean
of all maps is in the structure. What is done is not done again; the table is printed
from all that is there. Below it stands how well the mean intensity of voxels far from
the structure tells patients from controls: what z-scoring tells of it elsewhere.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.config.jobs import SynthesiseConfig
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.bids import PREPROCESSED_SUFFIX
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.attributions import RULES, attribution_map
from napari_neuropretrain.explanation.baselines import hide_all
from napari_neuropretrain.explanation.hiders import Predictor
from napari_neuropretrain.explanation.occlusion import Manner, occlusion_map
from napari_neuropretrain.preprocessing.derivatives import Derivative, read_derivative
from napari_neuropretrain.preprocessing.synthesise import synthesise
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.progress import Progress
from napari_neuropretrain.synthesis.effects import effect_regions_on
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.weights.model_file import load_model

MRI_MM, EDGE, FAR_MM = 5.0, 32, 20.0
BASELINES = ("mean", "black", "blurred", "mirror")
TOYS: dict[str, dict[str, Any]] = {
    "densenet121": {"init_features": 16, "growth_rate": 8},
    "tiny_densenet": {"init_features": 16, "growth_rate": 8},
    "swin_t": {"patch": [4, 4, 4], "embed_dim": 24, "depths": [2, 2]}
    | {"heads": [2, 4], "window": [4, 4, 4]},
    "vit_8m": {"hidden_size": 96, "mlp_dim": 192, "layers": 4, "heads": 4, "patch": 8},
    "vit_b16_6l": {"hidden_size": 96, "mlp_dim": 192, "heads": 4, "patch": 8},
    "vit_b16": {"hidden_size": 96, "mlp_dim": 192, "heads": 4, "patch": 8},
    "nit": {"dim": 96, "mlp_dim": 96, "heads": 4, "dim_head": 24, "patch": 8}
    | {"dropout": 0.1},
    "minit": {"dim": 64, "mlp_dim": 64, "layers": 4, "heads": 4, "dim_head": 16}
    | {"blocks": 2, "patches": 4},
    "sfcn": {"channels": [16, 32, 64, 64, 32], "dropout": 0.2},
    "resenc_l": {"channels": [8, 16, 32, 32], "blocks": [1, 1, 2, 2]},
}
"""Options that fit 32 voxels and one core; what is not named is as in the catalog."""
SLOW = ("swin_t", "vit_8m", "vit_b16", "vit_b16_6l")
"""Stand still for 40 to 190 epochs, and learn the structure only after that."""
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=["ad", "pd"])
    parser.add_argument("--backbones", nargs="+", default=list(TOYS))
    parser.add_argument("--participants", type=int, default=340)
    parser.add_argument("--held-out", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--slow-epochs", type=int, default=300)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--patch", type=int, default=4)
    parser.add_argument("--stride", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    settle_process()
    torch.set_num_threads(given.threads)
    cohort = make_cohort(given)
    for task in given.tasks:
        for backbone in given.backbones:
            found = given.output / f"{task}-{backbone}.json"
            if not found.exists():
                model = train(given, cohort, task, backbone)
                found.write_text(json.dumps(explain_all(given, cohort, model, task)))
                print(f"{task} {backbone} is done", flush=True)
    print_table(given.output)
    for task in given.tasks:
        print_cue(cohort, task)


def make_cohort(given: argparse.Namespace) -> Path:
    source = {"name": "template_cohort", "participants": given.participants}
    source |= {"seed": 7, "shape": str(EDGE), "spacing_mm": MRI_MM}
    output: Path = given.output / "cohort"
    values = {"source": source, "output": output, "workers": given.threads}
    synthesise(SynthesiseConfig.parse(values), say)
    return output


def train(given: argparse.Namespace, cohort: Path, task: str, backbone: str) -> Path:
    """Return the run folder of a training."""
    output: Path = given.output / f"{task}-{backbone}"
    values: dict[str, Any] = {"cohort": cohort, "output": output, "task": task}
    values |= {"backbone": {"name": backbone, **TOYS[backbone]}, "device": "cpu"}
    values |= {"epochs": given.epochs, "learning_rate": given.learning_rate}
    values |= {"batch_size": 8, "test_fraction": 0.25, "validation_fraction": 0.1}
    values |= {"threads": given.threads, "baselines": False, "find_repeats": False}
    if backbone in SLOW:
        values |= {"epochs": given.slow_epochs, "patience": given.slow_epochs}
        values |= {"warmup_epochs": 20, "clip": 1.0}
    if not (output / "model.json").exists():
        finetune(FinetuneConfig.parse(values), say)
    return output


def explain_all(
    given: argparse.Namespace, cohort: Path, model: Path, task: str
) -> dict[str, Any]:
    """Return which peaks lie in the structure, for each method."""
    network, card = load_model(model)
    network.eval().to(memory_format=torch.channels_last_3d)
    predictor = Predictor(network, lambda outputs: outputs)
    patients = [
        one
        for one in rows_of(model / "predictions.tsv")
        if one["split"] == "test" and one["label"].lower() == task
    ]
    hits: dict[str, list[dict[str, float]]] = {}
    means: dict[str, Map] = {}
    for patient in patients[: given.held_out]:
        scan = read_scan(cohort, patient["participant_id"])
        region = effect_regions_on(scan.affine, scan.image.shape)[task]
        for name, make in methods(given, predictor, scan):
            try:
                values = make()
            except ConfigError:
                continue  # not for this network
            hits.setdefault(name, []).append(judge(values, scan, region, given.patch))
            means[name] = means.get(name, np.zeros_like(values)) + values
    together = {
        name: judge(values, scan, region, given.patch)["in"]
        for name, values in means.items()
    }
    return {"test": card.metrics, "hits": hits, "mean_map": together}


def methods(
    given: argparse.Namespace, predictor: Predictor, scan: Derivative
) -> Iterator[tuple[str, Callable[[], Map]]]:
    """Yield names of methods and what makes their maps."""
    image, brain = torch.tensor(scan.image), torch.tensor(scan.brain_mask)
    for baseline in BASELINES:
        settings: Any = (image, brain, given.patch, given.stride, baseline)
        manner = Manner(affine=scan.affine)
        yield (
            f"occlusion, {baseline}",
            lambda s=settings, m=manner: occlusion_map(predictor, *s, manner=m).map,
        )
    hidden = hide_all(image, brain, "mean")
    for method in RULES:
        yield (
            method,
            lambda m=method: attribution_map(m, predictor, image, hidden, brain),
        )


def judge(values: Map, scan: Derivative, region: Mask, patch: int) -> dict[str, float]:
    """Return where the peak lies, and what chance gives."""
    brain = scan.brain_mask
    region = region & brain
    near = ndimage.distance_transform_edt(~region) <= patch / 2
    place = peak_of(np.abs(values) * brain)
    return {
        "in": float(region[place]),
        "near": float(near[place]),
        "chance_in": float(region[brain].mean()),
        "chance_near": float(near[brain].mean()),
    }


def peak_of(strength: Map) -> tuple[int, ...]:
    """Return the strongest voxel; of a plateau, the one nearest to its centre."""
    plateau, _ = ndimage.label(strength >= strength.max() * (1 - 1e-6))
    first = np.unravel_index(strength.argmax(), strength.shape)
    places = np.argwhere(plateau == plateau[first])
    nearest = np.square(places - places.mean(axis=0)).sum(axis=1).argmin()
    return tuple(int(one) for one in places[nearest])


def read_scan(cohort: Path, participant: str) -> Derivative:
    anatomy = cohort / participant / "anat"
    return read_derivative(anatomy / f"{participant}{PREPROCESSED_SUFFIX}")


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def print_table(output: Path) -> None:
    print("| planted | backbone | AUC | method | n | in | near | mean map |")
    print("|---|---|---|---|---|---|---|---|")
    for path in sorted(output.glob("*-*.json")):
        task, _, backbone = path.stem.partition("-")
        if backbone not in [entry.name for entry in BACKBONES]:
            continue
        found = json.loads(path.read_text())
        for name, hits in found["hits"].items():
            share = {key: np.mean([hit[key] for hit in hits]) for key in hits[0]}
            print(
                f"| {task} | {backbone} | {auc(found['test']):.2f} | {name} | "
                f"{len(hits)} | {share['in']:.0%} ({share['chance_in']:.0%}) | "
                f"{share['near']:.0%} ({share['chance_near']:.0%}) | "
                f"{'yes' if found['mean_map'][name] else 'no'} |"
            )


def print_cue(cohort: Path, task: str) -> None:
    """Say what the mean intensity outside the structure tells of the patients."""
    rows = rows_of(cohort / "participants.tsv")
    scans = [read_scan(cohort, row["participant_id"]) for row in rows]
    affine, shape = scans[0].affine, scans[0].image.shape
    region = effect_regions_on(affine, shape)[task]
    away = ndimage.distance_transform_edt(~region) * MRI_MM > FAR_MM
    values = [scan.image[away & scan.brain_mask].mean() for scan in scans]
    who = [row["diagnosis"].lower() for row in rows]
    chosen = [place for place, one in enumerate(who) if one in (task, "cn")]
    labels = [who[place] == task for place in chosen]
    found = roc_auc_score(labels, [values[place] for place in chosen])
    print(f"{task}: mean intensity over {FAR_MM:g} mm away, AUC {found:.2f}")


def auc(metrics: dict[str, Any]) -> float:
    return float(metrics["test"]["roc_auc"])


def say(progress: Progress) -> None:
    if progress.state in ("epoch", "warning", "item_failed"):
        print(f"  {progress.message}", flush=True)


if __name__ == "__main__":
    main()
