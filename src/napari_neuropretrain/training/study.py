"""Everything a training looks at: volumes, labels, and who is in which part."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.evaluation.metrics import roc_auc
from napari_neuropretrain.progress import Failure, Report, silent
from napari_neuropretrain.training.callbacks import Metric
from napari_neuropretrain.training.division import (
    Fingerprint,
    divide_by,
    fingerprints_of,
    keep_together,
    repeated_people,
    shuffle_labels,
)
from napari_neuropretrain.training.labelled_cohort import check_parts, read_labels
from napari_neuropretrain.training.preprocessed import preprocessed_cohort
from napari_neuropretrain.training.share import take_share
from napari_neuropretrain.training.task import Scale, Task
from napari_neuropretrain.training.volumes import VolumeDataset, Volumes, load_volumes


@dataclass(frozen=True, eq=False)
class Study:
    """Everything the training looks at.

    Parameters
    ----------
    volumes
        Usable scans with a label.
    labels
        Label by scan key, in the label's unit.
    parts
        Split by scan key.
    scale
        Fitted on the training labels.
    failures
        Scans that were left out.
    brains
        What is particular to each brain, by scan key; empty where repeats are not
        looked for.
    """

    volumes: Volumes
    labels: Mapping[str, float]
    parts: Mapping[str, Part]
    scale: Scale
    failures: tuple[Failure, ...]
    brains: Mapping[str, Fingerprint] = field(default_factory=dict)

    def members(self, part: Part) -> Tensor:
        """Return which scans (N,) of `volumes` belong to one part."""
        return torch.tensor([self.parts[one.key] == part for one in self.volumes.scans])

    def labels_of(self, part: Part) -> Tensor:
        """Return the labels (N,) of one part, in the order of `dataset`."""
        keys = [scan.key for scan in self.volumes.scans if self.parts[scan.key] == part]
        return torch.tensor([self.labels[key] for key in keys], dtype=torch.float32)

    def dataset(self, part: Part) -> VolumeDataset:
        """Return the volumes of one part with their scaled labels."""
        pairs = zip(self.volumes.scans, self.volumes.sources, strict=True)
        sources = [source for scan, source in pairs if self.parts[scan.key] == part]
        return VolumeDataset(sources, self.scale.standardise(self.labels_of(part)))

    def digest(self) -> str:
        """Return a hash of scans, labels, parts and preprocessing; not of voxels."""
        lines = [
            f"{scan.key} {self.labels[scan.key]!r} {self.parts[scan.key]}"
            for scan in self.volumes.scans
        ]
        lines.append(self.volumes.contract.model_dump_json())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def gather_study(config: FinetuneConfig, task: Task, report: Report) -> Study:
    """Preprocess where needed, read labels and volumes, and divide.

    Raises
    ------
    CohortError
        If labels are missing or there are too few participants.
    LeakageError
        If the split file puts one person into two parts.
    ContractError
        If the scans were preprocessed in different ways.
    """
    cohort = preprocessed_cohort(
        Path(config.cohort),
        PreprocessingContract(shape=config.shape),
        Path(config.output) / "preprocessed",
        report,
        config.workers,
    )
    labels = read_labels(cohort, task, config.label or task.options.label, report)
    labelled = [scan for scan in cohort.scans if scan.key in labels.values]
    # Before the volumes are read: too few participants is soon said.
    first = divide_by(config, labelled, labels.values, task, report)
    volumes = load_volumes([scan for scan in labelled if scan.key in first], report)
    failures = (*cohort.problems, *labels.failures, *volumes.failures)
    brains = fingerprints_of(volumes, report) if config.find_repeats else {}
    parts = _final_parts(config, volumes, labels.values, task, brains, report)
    volumes, parts = take_share(
        volumes, labels.values, parts, config.training_fraction, config.seed
    )
    check_parts(volumes.scans, labels.values, parts, task)
    values = labels.values
    if config.shuffle_labels:
        values = shuffle_labels(volumes.scans, values, parts, config.seed)
    train = [values[one.key] for one in volumes.scans if parts[one.key] == "train"]
    scale = task.fit_scale(torch.tensor(train))
    return Study(volumes, values, parts, scale, failures, brains)


def _final_parts(
    config: FinetuneConfig,
    volumes: Volumes,
    labels: Mapping[str, float],
    task: Task,
    brains: Mapping[str, Fingerprint],
    report: Report,
) -> dict[str, Part]:
    """Divide the scans that could be read; one person is in one part."""
    scans = volumes.scans
    if not config.find_repeats:
        return divide_by(config, scans, labels, task, silent)
    pairs = repeated_people(scans, brains, report)
    parts = divide_by(config, scans, labels, task, silent)
    same = keep_together(config, pairs, parts, report)
    return divide_by(config, scans, labels, task, silent, same) if same else parts


def validation_metric(task: Task, study: Study) -> Metric:
    """Return what judges the validation logits in each epoch."""
    labels = study.labels_of("validation")

    def judge_logits(logits: Tensor) -> tuple[str, float]:
        predictions = task.to_prediction(logits, study.scale)
        if task.kind == "binary":
            return "roc_auc", roc_auc(predictions.numpy(), labels.numpy())
        return "mae", float((predictions - labels).abs().mean())

    return judge_logits
