"""What a prediction is compared with: the training cohort, and reasons for doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.stratification import group_text
from napari_neuropretrain.inference.models import Ensemble
from napari_neuropretrain.preprocessing.quality_rules import RULES
from napari_neuropretrain.training.reference import MEASURES, quality_of
from napari_neuropretrain.weights.model_card import CohortSummary
from napari_neuropretrain.weights.reference import (
    LEAST_SCANS,
    Reference,
    percentile_of,
    profile_distance,
    thin,
)

LEARNED_FROM = ("train", "validation")
_MISSING = "n/a"


@dataclass(frozen=True)
class Doubt:
    """A reason to trust a prediction less.

    Parameters
    ----------
    kind
        ``age``, ``sex``, ``site``, ``intensity``, ``registration``, ``value``,
        ``seen`` or ``missing``.
    sentence
        In words.
    """

    kind: str
    sentence: str


def percentiles(value: float, reference: Reference) -> dict[str, float]:
    """Return the percentile of a value among the training outputs, by group."""
    found = {
        name: percentile_of(value, ordered)
        for name, ordered in reference.outputs.items()
    }
    return {name: round(one, 1) for name, one in found.items() if one is not None}


def percentile_among_all(value: float, reference: Reference) -> float | None:
    """Return the percentile of a value among all training outputs."""
    everyone = thin([v for values in reference.outputs.values() for v in values])
    found = percentile_of(value, everyone)
    return None if found is None else round(found, 1)


def doubts_about(
    scan: Scan, profile: object, value: float, ensemble: Ensemble
) -> tuple[Doubt, ...]:
    """List what speaks against applying a model to a scan.

    Parameters
    ----------
    scan
        Preprocessed, with its row of the cohort's table.
    profile
        Its `intensity_profile`.
    value
        The prediction.
    ensemble
        The model, or models.
    """
    cohort, reference = ensemble.card.cohort, ensemble.reference
    return (
        *_seen(scan, ensemble),
        *_person(scan.row, cohort),
        *_intensity(profile, reference),
        *_registration(scan.path, reference),
        *_value(value, ensemble),
    )


def _seen(scan: Scan, ensemble: Ensemble) -> Iterator[Doubt]:
    for model in ensemble.members:
        split = model.card.cohort.split_of(scan.participant)
        if split in LEARNED_FROM:
            yield Doubt(
                "seen",
                f"Someone of this id was in the {split} set: if it is the same person, "
                "the prediction looks better than it would for a new one.",
            )
            return


def _person(row: Mapping[str, str], cohort: CohortSummary) -> Iterator[Doubt]:
    """Compare age, sex and site with those of the training participants."""
    if cohort.age_range is not None:
        low, high = cohort.age_range
        learned, given = f"{low:g} to {high:g} years", group_text(row, "age")
        age = _number(given)
        if age is None:
            yield Doubt(
                "missing", f"The age is not known; the model learned from {learned}."
            )
        elif not low <= age <= high:
            yield Doubt(
                "age", f"{age:g} years is outside the training ages, {learned}."
            )
    if cohort.sexes:
        sex, learned = group_text(row, "sex"), " and ".join(cohort.sexes)
        if sex == _MISSING:
            yield Doubt(
                "missing", f"The sex is not known; the model learned from {learned}."
            )
        elif sex[0].upper() not in {one[0].upper() for one in cohort.sexes}:
            yield Doubt("sex", f"The sex is {sex}; the model learned from {learned}.")
    site = group_text(row, "site")
    if cohort.sites and site not in (_MISSING, *cohort.sites):
        yield Doubt("site", f"The model saw no scan of the site '{site}'.")


def _intensity(profile: object, reference: Reference) -> Iterator[Doubt]:
    """Compare the histogram of the brain; 1 in n + 1 usual scans is beyond all n."""
    distances = reference.profile_distances
    if len(distances) < LEAST_SCANS:
        return
    distance = profile_distance(np.asarray(profile), reference.profile)
    if distance > distances[-1]:
        yield Doubt(
            "intensity",
            f"The brightness of the brain differs from the training scans by "
            f"{distance:.2f} SD; the most different of them by {distances[-1]:.2f} SD.",
        )


def _registration(image: Path, reference: Reference) -> Iterator[Doubt]:
    """Compare how well the scan lies on the template, with limits and the training."""
    measured = quality_of(image)
    for rule in RULES:
        value = measured.get(rule.measure)
        if value is None or rule.measure not in MEASURES:
            continue
        title = rule.title[0].upper() + rule.title[1:]
        least = reference.quality.get(rule.measure, (-np.inf, np.inf))[0]
        shown = f"{title} is {value:.{rule.digits}f}"
        if rule.is_unusual(value):
            yield Doubt("registration", f"{shown}, which is unusual: {rule.advice}.")
        elif rule.look[1] is None and value < least - rule.least:
            yield Doubt(
                "registration",
                f"{shown}, below every training scan ({least:.{rule.digits}f}): "
                f"{rule.advice}.",
            )


def _value(value: float, ensemble: Ensemble) -> Iterator[Doubt]:
    labels, unit = ensemble.reference.labels, ensemble.card.unit
    if labels and not labels[0] <= value <= labels[-1]:
        yield Doubt(
            "value",
            f"The value is outside the labels of the training, {labels[0]:.3g} to "
            f"{labels[-1]:.3g} {unit}: networks do not go on well beyond them.",
        )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
