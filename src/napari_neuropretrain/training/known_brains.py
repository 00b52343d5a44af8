"""People whom weights know under another name, by what their volumes show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.fingerprints import (
    FINGERPRINTS,
    Fingerprints,
    condense,
    find_known,
    join,
    names_of,
)
from napari_neuropretrain.data.repeats import fingerprint
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.errors import LeakageError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.division import Fingerprint
from napari_neuropretrain.training.pretrain_cohort import PretrainCohort
from napari_neuropretrain.weights.ancestry import LEARNED_FROM

_REAL = ("cohort", "store")
"""Sources of scans of people; nobody else is there a second time."""


def known_to(source: str) -> Fingerprints | None:
    """Return the brains that weights learned from; None where nobody has kept them.

    Parameters
    ----------
    source
        A run folder, or a file in one; anything else has none.
    """
    path = Path(source)
    if not source or not path.exists():
        return None
    file = (path if path.is_dir() else path.parent) / FINGERPRINTS
    return Fingerprints.load(file) if file.is_file() else None


def remember_brains(
    config: FinetuneConfig | PretrainConfig,
    brains: Mapping[str, Fingerprint],
    parts: Mapping[str, Part],
) -> None:
    """Write the brains learned from, and those that the initial weights know.

    Parameters
    ----------
    config
        Of the training.
    brains, parts
        By scan key; the test part is not learned from.
    """
    own = {key: one for key, one in brains.items() if parts.get(key) in LEARNED_FROM}
    before = known_to(config.initial_weights)
    if not own and before is None:
        return
    kept = condense(own)
    if before is not None:
        kept = join(kept, before)
    kept.save(Path(config.output) / FINGERPRINTS)


def refuse_known_brains(
    brains: Mapping[str, Fingerprint],
    parts: Mapping[str, Part],
    config: FinetuneConfig,
    report: Report,
) -> None:
    """Look for the test part among the brains that the initial weights know.

    Raises
    ------
    LeakageError
        If someone is there under another name, and leakage is not allowed.
    """
    known = known_to(config.initial_weights)
    tested = {key: one for key, one in brains.items() if parts.get(key) == "test"}
    if known is None or not tested:
        return
    pairs = find_known(known, condense(tested))
    if not pairs:
        return
    message = (
        f"{len({one.scan for one in pairs})} scans of the test part show brains that "
        f"'{config.initial_weights}' learned from, under other names: "
        f"{names_of(pairs)}."
    )
    if not config.allow_leakage:
        raise LeakageError(
            f"{message} Pre-train without them, or leave them out of the test. If they "
            "are different people: find_repeats: false, or allow_leakage: true."
        )
    report(Progress("warning", f"{message} This is allowed by allow_leakage."))


def brains_of(
    config: PretrainConfig, cohort: PretrainCohort, report: Report
) -> dict[str, Fingerprint]:
    """Return what is particular to each brain of a pre-training, by scan key.

    Empty where repeats are not looked for, and where the people are not real.
    """
    contract = cohort.source.contract
    if not config.find_repeats or config.source.name not in _REAL or contract is None:
        return {}
    return dict(_read(cohort, contract.spacing_mm, cohort.scans, report))


def _read(
    cohort: PretrainCohort, spacing_mm: float, scans: Sequence[Scan], report: Report
) -> Iterator[tuple[str, Fingerprint]]:
    for index, scan in enumerate(scans):
        if index % 100 == 0:
            report(Progress("step", "Comparing volumes", index, len(scans)))
        if scan.key not in cohort.parts:
            continue
        volume = cohort.volumes.get(index)
        if volume is not None:
            yield scan.key, fingerprint(volume[0].float().numpy(), spacing_mm)
