"""Who was tested, in the cells of a table."""

from __future__ import annotations

import math

import numpy as np

from napari_neuropretrain.evaluation.predictions import Predictions

PEOPLE = ("scans", "participants", "positive", "age", "women", "sites")
"""Headings of what `describe_people` returns."""
PEOPLE_NOTE = "Age as mean ± standard deviation (range), of the scans."


def describe_people(given: Predictions) -> tuple[str, ...]:
    """Return how many there are, and of what age, sex and sites.

    Examples
    --------
    >>> names = np.array(["sub-1", "sub-2"])
    >>> columns = {"age": np.array(["60", "70"]), "sex": np.array(["F", "M"])}
    >>> ends = names, names, np.array([0.0, 1.0]), np.array([0.2, 0.7])
    >>> describe_people(Predictions("m", "c", "binary", *ends, columns))
    ('2', '2', '1', '65.0 ± 5.0 (60 to 70)', '1', '')
    """
    ages = np.array([_number(text) for text in given.columns.get("age", ())])
    ages = ages[np.isfinite(ages)]
    age = ""
    if ages.size:
        age = f"{ages.mean():.1f} ± {ages.std():.1f} ({ages.min():.0f} to "
        age += f"{ages.max():.0f})"
    sexes = [text[:1].upper() for text in given.columns.get("sex", ())]
    women = str(sum(one == "F" for one in sexes)) if sexes else ""
    sites = {text for text in given.columns.get("site", ()) if text != "n/a"}
    positive = f"{int(given.labels.sum())}" if given.kind == "binary" else ""
    return (
        str(given.labels.size),
        str(given.n_participants),
        positive,
        age,
        women,
        str(len(sites)) if sites else "",
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
