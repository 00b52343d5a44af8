"""Who is in a synthetic cohort: age, sex, diagnosis and site, by design unrelated."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.synthesis.effects import OLDEST, YOUNGEST

DIAGNOSES = ("CN", "AD", "PD")
DEFAULT_MIX = ("CN", "CN", "AD", "PD")

# Within a diagnosis, age, sex and site follow additive sequences, which stay even
# however long they grow. These steps gave the weakest correlations among the three
# for 6 to 40 participants, in a search over 1500 pairs beside the golden ratio.
_AGE_STEP, _SEX_STEP, _SITE_STEP = 0.6180340, 0.1090222, 0.4975099


@dataclass(frozen=True)
class SyntheticParticipant:
    """One row of participants.tsv.

    Parameters
    ----------
    index
        Position in the cohort, from 0; with the seed it decides everything else.
    age
        Years, 45 to 85.
    sex
        "M" or "F".
    diagnosis
        "CN", "AD" or "PD".
    site
        "site-1" or "site-2", which differ in contrast, noise and coil.
    """

    index: int
    age: float
    sex: str
    diagnosis: str
    site: str

    @property
    def name(self) -> str:
        """BIDS name, for example "sub-01"."""
        return f"sub-{self.index + 1:02d}"


def draw_participants(
    count: int, seed: int, diagnoses: Sequence[str] = DEFAULT_MIX
) -> list[SyntheticParticipant]:
    """Draw participants; the first ones do not depend on how many are drawn.

    Parameters
    ----------
    count
        How many, 1 or more.
    seed
        Source of all randomness.
    diagnoses
        Each run of ``len(diagnoses)`` participants holds exactly these, shuffled.

    Raises
    ------
    CohortError
        If `count` is below 1 or a diagnosis is unknown.

    Examples
    --------
    >>> sorted(p.diagnosis for p in draw_participants(4, seed=0))
    ['AD', 'CN', 'CN', 'PD']
    """
    unknown = sorted(set(diagnoses) - set(DIAGNOSES))
    if unknown or not diagnoses:
        raise CohortError(
            f"diagnoses={tuple(diagnoses)!r} must name one or more of "
            f"{', '.join(DIAGNOSES)}."
        )
    if count < 1:
        raise CohortError(f"participants={count} must be 1 or more.")
    seen: Counter[str] = Counter()
    people = []
    for index, diagnosis in zip(range(count), _blocks(seed, diagnoses), strict=False):
        people.append(_draw(index, seed, diagnosis, seen[diagnosis]))
        seen[diagnosis] += 1
    return people


def _blocks(seed: int, diagnoses: Sequence[str]) -> Iterator[str]:
    """Yield diagnoses without end, in shuffled blocks."""
    for block in itertools.count():
        rng = np.random.default_rng((seed, 1, block))
        yield from (diagnoses[i] for i in rng.permutation(len(diagnoses)))


def _draw(index: int, seed: int, diagnosis: str, position: int) -> SyntheticParticipant:
    """Draw the `position`-th participant of a diagnosis."""
    start = np.random.default_rng((seed, 2, DIAGNOSES.index(diagnosis))).random(3)
    steps = np.array([_AGE_STEP, _SEX_STEP, _SITE_STEP])
    share, sex, site = (start + position * steps) % 1
    return SyntheticParticipant(
        index=index,
        age=round(float(YOUNGEST + share * (OLDEST - YOUNGEST)), 1),
        sex="M" if sex < 0.5 else "F",
        diagnosis=diagnosis,
        site="site-1" if site < 0.5 else "site-2",
    )
