"""Apply a model, as it is, to a cohort it was not made for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_neuropretrain.config.evaluation import EvaluateConfig
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.data.cells import cell_means
from napari_neuropretrain.data.fingerprints import (
    KnownBrain,
    condense,
    find_known,
    names_of,
)
from napari_neuropretrain.data.participants import Cohort, Scan
from napari_neuropretrain.data.regions import region_volumes
from napari_neuropretrain.data.repeats import fingerprint
from napari_neuropretrain.data.stratification import group_text, known_columns
from napari_neuropretrain.errors import (
    CheckpointError,
    CohortError,
    ImageError,
    LeakageError,
)
from napari_neuropretrain.evaluation.linear_models import LinearModel
from napari_neuropretrain.evaluation.model_source import ModelSource
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.inference.outputs import predict_scans
from napari_neuropretrain.inference.prepare import prepare_cohort, read_checked
from napari_neuropretrain.progress import Failure, Progress, Report
from napari_neuropretrain.training.known_brains import known_to
from napari_neuropretrain.training.labelled_cohort import Labels, read_labels
from napari_neuropretrain.weights.ancestry import cohorts_of, seen_among
from napari_neuropretrain.weights.device import find_device
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import load_model

_SHOWN = 20


def predict_cohort(
    source: ModelSource, path: str, config: EvaluateConfig, report: Report
) -> tuple[Predictions, tuple[Failure, ...]]:
    """Predict the labelled scans of another cohort; nothing is fitted to it.

    The threshold and the age bias stay those of the model's validation part.

    Parameters
    ----------
    source
        The model.
    path
        The cohort, raw or preprocessed.
    config
        Label, device, and what to do with people whom the model knows.
    report
        Hears of each scan; may raise `Cancelled`.

    Returns
    -------
    tuple
        The predictions, and scans that could not be used.

    Raises
    ------
    CheckpointError
        If the source is a table, or the model cannot be used.
    CohortError
        If labels are missing.
    LeakageError
        If the model learned from someone of the cohort, and `config.seen` refuses.
    """
    if source.card is None:
        raise CheckpointError(
            f"'{source.path}' is a table of predictions: it cannot be applied to "
            f"'{path}'. Give the model itself."
        )
    card = source.card
    cohort, labels = _labelled_cohort(source, card, path, config, report)
    message = f"Testing {source.name} on {len(cohort.scans)} scans of {path}"
    report(Progress("step", message))
    if source.beside:
        found, lost = _predict_linearly(source, card, cohort, config, report)
    else:
        found, lost = _predict(source, cohort, config, report)
    rows = [scan.row for scan, _ in found]
    given = Predictions(
        source.name,
        _name(path),
        card.kind,
        np.array([scan.key for scan, _ in found]),
        np.array([scan.participant for scan, _ in found]),
        np.array([float(labels.values[scan.key]) for scan, _ in found]),
        np.array([value for _, value in found]),
        {
            column: np.array([group_text(row, column) for row in rows])
            for column in known_columns(rows)
        },
        _threshold(source, card),
        source.bias,
        card.unit,
    )
    return given, (*cohort.problems, *labels.failures, *lost)


def _labelled_cohort(
    source: ModelSource,
    card: ModelCard,
    path: str,
    config: EvaluateConfig,
    report: Report,
) -> tuple[Cohort, Labels]:
    """Prepare a cohort for a model; scans without a label are left out."""
    # Models with other contracts need other volumes of the same scans.
    contract = hashlib.sha256(card.contract.model_dump_json().encode()).hexdigest()
    made = Path(config.output) / "preprocessed" / f"{_name(path)}-{contract[:8]}"
    cohort = prepare_cohort(Path(path), card.contract, made, report, config.workers)
    task: Any = card.task.build()
    labels = read_labels(cohort, task, config.label or card.label, report)
    kept = tuple(scan for scan in cohort.scans if scan.key in labels.values)
    labelled = Cohort(kept, cohort.root, cohort.kind, cohort.problems)
    return _without_seen(labelled, source, card, config, report), labels


def can_predict(source: ModelSource, regions: Path) -> bool:
    """Whether a model can be applied to a cohort; some baselines cannot.

    Baselines of region volumes need those of the cohort (`regions`). A table that
    was given as a model cannot be applied either, but that is an error.
    """
    if not source.beside:
        return True
    file = _linear_file(source)
    if not file.is_file():
        return False
    return regions != NOTHING or not LinearModel.load(file).regions


def _linear_file(source: ModelSource) -> Path:
    return source.path.with_name("model.npz")


def _threshold(source: ModelSource, card: ModelCard) -> float:
    if source.beside and source.tested is not None:
        return source.tested.threshold
    return 0.5 if card.threshold is None else card.threshold


def _predict(
    source: ModelSource, cohort: Cohort, config: EvaluateConfig, report: Report
) -> tuple[list[tuple[Scan, float]], list[Failure]]:
    torch.set_num_threads(config.threads)
    network, card = load_model(source.path)
    device = find_device(config.device)
    return predict_scans(network, card, cohort, device, config.batch_size, report)


def _predict_linearly(
    source: ModelSource,
    card: ModelCard,
    cohort: Cohort,
    config: EvaluateConfig,
    report: Report,
) -> tuple[list[tuple[Scan, float]], list[Failure]]:
    model = LinearModel.load(_linear_file(source))
    regions = np.zeros((len(cohort.scans), 0))
    if model.regions:
        regions = region_volumes(config.regions, cohort.scans, model.regions).values
    found: list[tuple[Scan, float]] = []
    failures: list[Failure] = []
    for index, scan in enumerate(cohort.scans):
        report(Progress("step", "", index, len(cohort.scans)))
        if np.isnan(regions[index]).any():
            why = f"'{config.regions}' has no regions of it for {source.name}"
            failures.append(Failure(scan.key, why))
            continue
        try:
            cells = _cells(scan, card) if model.cells else np.zeros(0, np.float32)
        except (ImageError, CheckpointError) as error:
            failures.append(Failure(scan.key, str(error)))
            continue
        features = np.concatenate([cells, regions[index]])[None]
        found.append((scan, float(model.predict(features)[0])))
    return found, failures


def _cells(scan: Scan, card: ModelCard) -> NDArray[np.float32]:
    image = read_checked(scan.path, card.contract).image
    return cell_means(image, card.contract.spacing_mm).reshape(-1)


def _name(path: str) -> str:
    resolved = Path(path).resolve()
    plain = resolved.name in ("derivatives", "preprocessed")
    return resolved.parent.name if plain else resolved.stem


def _without_seen(
    cohort: Cohort,
    source: ModelSource,
    card: ModelCard,
    config: EvaluateConfig,
    report: Report,
) -> Cohort:
    """Refuse, leave out or allow people whom the model or its weights know."""
    people = {scan.participant for scan in cohort.scans}
    seen = seen_among(people, cohorts_of(card))
    listed = ", ".join(seen[:_SHOWN])
    listed += f" and {len(seen) - _SHOWN} more" if len(seen) > _SHOWN else ""
    others = [scan for scan in cohort.scans if scan.participant not in seen]
    alike = _known_brains(others, source.run, card, config, report)
    if alike:
        listed = "; ".join(filter(None, (listed, names_of(alike))))
    known = {*seen, *(one.scan.split("_")[0] for one in alike)}
    if not known:
        return cohort
    message = (
        f"The model, or the weights it started from, learned from {len(known)} of "
        f"{len(people)} participants of '{cohort.root}': {listed}."
    )
    if config.seen == "refuse":
        raise LeakageError(
            f"{message} A test on them says little about new people. Set seen: "
            "leave_out to test on the others; or, if they are other people, "
            "seen: allow."
        )
    if config.seen == "allow":
        report(Progress("warning", f"{message} They are tested all the same."))
        return cohort
    kept = tuple(scan for scan in cohort.scans if scan.participant not in known)
    if not kept:
        raise CohortError(f"{message} Nobody is left to test on.")
    report(Progress("warning", f"{message} They are left out."))
    return Cohort(kept, cohort.root, cohort.kind, cohort.problems)


def _known_brains(
    scans: Sequence[Scan],
    run: Path,
    card: ModelCard,
    config: EvaluateConfig,
    report: Report,
) -> tuple[KnownBrain, ...]:
    """Return people whom the model knows under other names, by their volumes."""
    known = known_to(str(run)) if config.find_repeats else None
    if known is None:
        return ()
    brains: dict[str, NDArray[np.float32]] = {}
    for index, scan in enumerate(scans):
        if index % 100 == 0:
            message = "Comparing volumes with those the model knows"
            report(Progress("step", message, index, len(scans)))
        brains |= _fingerprint(scan, card)
    return find_known(known, condense(brains))


def _fingerprint(scan: Scan, card: ModelCard) -> dict[str, NDArray[np.float32]]:
    """Return the fingerprint of a scan by its key; nothing if it cannot be read."""
    try:
        image = read_checked(scan.path, card.contract).image
    except (ImageError, CheckpointError):
        return {}  # listed as a failure when it is to be predicted
    return {scan.key: fingerprint(image, card.contract.spacing_mm)}
