"""The job ``predict``: apply a trained model to a cohort."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.jobs import PredictConfig
from napari_neuropretrain.data.participants import Cohort, Scan
from napari_neuropretrain.errors import CheckpointError, ImageError
from napari_neuropretrain.inference.prepare import prepare_cohort, read_checked
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report
from napari_neuropretrain.tasks.label_scale import LabelScale
from napari_neuropretrain.weights.device import find_device
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import load_model

TABLE = "predictions.tsv"


def predict(config: PredictConfig, report: Report) -> Outcome:
    """Predict every scan of a cohort; those that cannot be used are listed.

    Parameters
    ----------
    config
        The model and the scans.
    report
        Hears ``item_done`` or ``item_failed`` for each scan, and a ``warning`` for
        people the model was trained on; may raise `Cancelled`.

    Raises
    ------
    CheckpointError
        If the model cannot be used.
    CohortError
        If there is no scan.
    ContractError
        If every scan was preprocessed differently and none can be done again.
    DeviceError
        If the device is absent.
    """
    device = find_device(config.device)
    torch.set_num_threads(config.threads)
    network, card = load_model(config.model)
    output = Path(config.output)
    made, workers = output / "preprocessed", config.workers
    cohort = prepare_cohort(config.input, card.contract, made, report, workers)
    warn_if_seen(cohort, card, report)
    predicted, lost = predict_scans(
        network, card, cohort, device, config.batch_size, report
    )
    failures = [*cohort.problems, *lost]
    write_predictions(output / TABLE, predicted, card)
    return _outcome(output / TABLE, len(predicted), card, tuple(failures), report)


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
        As for `predict`.

    Returns
    -------
    tuple
        Scans with their predictions, and scans that could not be read.
    """
    network, read = network.to(device), output_reader(card)
    failures: list[Failure] = []
    predicted: list[tuple[Scan, float]] = []
    for scans, images in _batches(cohort, card, batch_size, failures, report):
        values = predict_values(network, images, device, read).tolist()
        for scan, value in zip(scans, values, strict=True):
            predicted.append((scan, value))
            _tell(scan, value, card, len(predicted), len(cohort.scans), report)
    return predicted, failures


def output_reader(card: ModelCard) -> Callable[[Tensor], Tensor]:
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
    network: nn.Module,
    images: Tensor,
    device: torch.device,
    read: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return predictions (B,) of images (B, 1, X, Y, Z), on the CPU."""
    logits = network(images.to(device)).squeeze(1)  # (B, 1) -> (B,)
    return read(logits.float().cpu())


def warn_if_seen(cohort: Cohort, card: ModelCard, report: Report) -> None:
    """Warn of participants whom the model saw while it was trained."""
    people = sorted({scan.participant for scan in cohort.scans})
    for split in ("train", "validation"):
        seen = [name for name in people if card.cohort.split_of(name) == split]
        if seen:
            shown = ", ".join(seen[:5]) + (", …" if len(seen) > 5 else "")
            message = (
                f"{len(seen)} of {len(people)} participants ({shown}) have the id of "
                f"someone in the model's {split} set. If they are the same people, "
                "their predictions look better than they would for new ones."
            )
            report(Progress("warning", message, values={"participants": seen}))


def _batches(
    cohort: Cohort,
    card: ModelCard,
    batch_size: int,
    failures: list[Failure],
    report: Report,
) -> Iterator[tuple[list[Scan], Tensor]]:
    """Yield scans with images (B, 1, X, Y, Z); add what fails to `failures`."""
    scans: list[Scan] = []
    images: list[Tensor] = []
    for index, scan in enumerate(cohort.scans):
        report(
            Progress("step", "" if index else "Predicting", index, len(cohort.scans))
        )
        try:
            image = read_checked(scan.path, card.contract).image
        except (ImageError, CheckpointError) as error:
            failures.append(Failure(scan.key, str(error)))
            report(Progress("item_failed", f"{scan.key}: {error}"))
            continue
        scans.append(scan)
        images.append(torch.from_numpy(image).float()[None])
        if len(scans) == batch_size:
            yield scans, torch.stack(images)
            scans, images = [], []
    if scans:
        yield scans, torch.stack(images)


def write_predictions(
    path: Path, predicted: Sequence[tuple[Scan, float]], card: ModelCard
) -> None:
    """Write one line a scan, the whole table or none.

    For two groups ``prediction`` is the probability of the positive one, and
    ``label`` the group that the threshold of the model gives.
    """
    who = ["participant_id", "session_id", "path", "prediction"]
    more = ["probability", "threshold", "label"] if card.kind == "binary" else []
    rows = [[*who, *more, "unit"]]
    for scan, value in predicted:
        text = f"{value:.6g}"
        row = [scan.participant, scan.session or "n/a", str(scan.path), text]
        if card.kind == "binary":
            row += [text, f"{threshold_of(card):.6g}", group_of(card, value)]
        rows.append([*row, card.unit])
    text_file = io.StringIO()
    csv.writer(text_file, delimiter="\t", lineterminator="\n").writerows(rows)
    write_text(path, text_file.getvalue())


def threshold_of(card: ModelCard) -> float:
    """Return the model's decision threshold, 0.5 if it has none."""
    return 0.5 if card.threshold is None else card.threshold


def group_of(card: ModelCard, probability: float) -> str:
    """Return the name of the group that a probability means."""
    positive = probability >= threshold_of(card)
    names = card.task.options.get("positive" if positive else "negative") or ()
    return str(names[0]) if names else str(int(positive))


def _tell(
    scan: Scan, value: float, card: ModelCard, step: int, total: int, report: Report
) -> None:
    said = f"{value:.3g} {card.unit}".strip()
    if card.kind == "binary":
        said = f"{group_of(card, value)} (probability {value:.3f})"
    values = {"participant": scan.key, "prediction": value, "path": str(scan.path)}
    report(Progress("item_done", f"{scan.key}: {said}", step, total, values))


def _outcome(
    table: Path,
    done: int,
    card: ModelCard,
    failures: tuple[Failure, ...],
    report: Report,
) -> Outcome:
    report(Progress("result", values={"kind": "predictions", "path": str(table)}))
    message = f"Predicted {card.task.name} for {done} of {done + len(failures)} scans."
    return Outcome(message, failures, {"predictions": str(table)})
