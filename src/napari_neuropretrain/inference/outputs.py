"""Run a network on prepared scans, and read its output."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_neuropretrain.data.participants import Cohort, Scan
from napari_neuropretrain.errors import CheckpointError, ImageError
from napari_neuropretrain.inference.perturbations import dropping, perturb
from napari_neuropretrain.inference.prepare import read_checked
from napari_neuropretrain.inference.uncertainty import Method
from napari_neuropretrain.progress import Failure, Progress, Report
from napari_neuropretrain.tasks.label_scale import LabelScale
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.reference import intensity_profile

Reader = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Answer:
    """What one network says of one scan.

    Parameters
    ----------
    scan
        Which.
    value
        In the unit of the label, or a probability.
    profile
        The scan's `intensity_profile`.
    looks
        Values of further looks.
    """

    scan: Scan
    value: float
    profile: NDArray[np.float64]
    looks: tuple[float, ...] = ()


@dataclass(frozen=True)
class Looks:
    """How to look at a scan again.

    Parameters
    ----------
    method
        ``tta`` or ``dropout``; anything else does not.
    count
        How often.
    """

    method: Method = "none"
    count: int = 0


@dataclass(frozen=True, eq=False)
class Runner:
    """A network with where and how it is run.

    Parameters
    ----------
    network, card
        Of the model.
    device, batch_size
        Where, and how many volumes at once.
    failures
        Scans that could not be read are added here.
    """

    network: nn.Module
    card: ModelCard
    device: torch.device
    batch_size: int
    failures: list[Failure] = field(default_factory=list)

    def ask(self, cohort: Cohort, looks: Looks, report: Report) -> Iterator[Answer]:
        """Yield the answer for each scan that can be read.

        Raises
        ------
        CheckpointError
            If the model's task is not known here.
        """
        network, read = self.network.to(self.device), output_reader(self.card)
        for scans, images in self._batches(cohort, report):
            values = predict_values(network, images, self.device, read).tolist()
            for scan, image, value in zip(scans, images, values, strict=True):
                again = self._look_again(scan, image, looks, read, report)
                yield Answer(scan, value, intensity_profile(image.numpy()), again)

    def _look_again(
        self, scan: Scan, image: Tensor, looks: Looks, read: Reader, report: Report
    ) -> tuple[float, ...]:
        if looks.method not in ("tta", "dropout") or not looks.count:
            return ()
        # The same scan is looked at in the same ways wherever it stands in a cohort.
        seed = zlib.crc32(scan.key.encode())
        if looks.method == "tta":
            copies = perturb(image, looks.count, seed)
            return self._values(copies, read, report)
        with dropping(self.network, seed):
            copies = image[None].expand(looks.count, *image.shape)
            return self._values(copies, read, report)

    def _values(
        self, images: Tensor, read: Reader, report: Report
    ) -> tuple[float, ...]:
        found: list[float] = []
        for part in torch.split(images, self.batch_size):
            values = predict_values(self.network, part, self.device, read)
            found += values.tolist()
            report(Progress("step"))
        return tuple(found)

    def _batches(
        self, cohort: Cohort, report: Report
    ) -> Iterator[tuple[list[Scan], Tensor]]:
        """Yield scans with images (B, 1, X, Y, Z)."""
        scans: list[Scan] = []
        images: list[Tensor] = []
        for index, scan in enumerate(cohort.scans):
            message = "" if index else "Predicting"
            report(Progress("step", message, index, len(cohort.scans)))
            try:
                image = read_checked(scan.path, self.card.contract).image
            except (ImageError, CheckpointError) as error:
                self.failures.append(Failure(scan.key, str(error)))
                report(Progress("item_failed", f"{scan.key}: {error}"))
                continue
            scans.append(scan)
            images.append(torch.from_numpy(image).float()[None])
            if len(scans) == self.batch_size:
                yield scans, torch.stack(images)
                scans, images = [], []
        if scans:
            yield scans, torch.stack(images)


def predict_scans(
    network: nn.Module,
    card: ModelCard,
    cohort: Cohort,
    device: torch.device,
    batch_size: int,
    report: Report,
) -> tuple[list[tuple[Scan, float]], list[Failure]]:
    """Predict scans that were prepared for a model.

    Parameters
    ----------
    network, card
        Of the model.
    cohort
        From `prepare_cohort`.
    device, batch_size
        Where, and how many volumes at once.
    report
        Hears ``item_done`` or ``item_failed`` for each scan; may raise `Cancelled`.

    Returns
    -------
    tuple
        Scans with their predictions, and scans that could not be read.
    """
    runner = Runner(network, card, device, batch_size)
    predicted: list[tuple[Scan, float]] = []
    for answer in runner.ask(cohort, Looks(), report):
        predicted.append((answer.scan, answer.value))
        done, said = len(predicted), f"{answer.value:.3g} {card.unit}".strip()
        values = {"participant": answer.scan.key, "prediction": answer.value}
        message = f"{answer.scan.key}: {said}"
        report(Progress("item_done", message, done, len(cohort.scans), values))
    return predicted, runner.failures


def output_reader(card: ModelCard) -> Reader:
    """Return what turns a model's logits (B,) into predictions (B,).

    Raises
    ------
    CheckpointError
        If the model's task is not known here.
    """
    try:
        task: Any = card.task.build()
    except ValueError as error:
        raise CheckpointError(f"The model's task cannot be used. {error}") from None
    scale = LabelScale(card.label_mean, card.label_sd)

    def read(logits: Tensor) -> Tensor:
        predictions: Tensor = task.to_prediction(logits, scale)
        return predictions

    return read


@torch.inference_mode()
def predict_values(
    network: nn.Module, images: Tensor, device: torch.device, read: Reader
) -> Tensor:
    """Return predictions (B,) of images (B, 1, X, Y, Z), on the CPU."""
    logits = network(images.to(device)).squeeze(1)  # (B, 1) -> (B,)
    return read(logits.float().cpu())
