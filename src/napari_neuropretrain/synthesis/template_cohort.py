"""A synthetic cohort, made offline: whole heads with planted, known effects.

Participants differ in anatomy, pose, scanner and file layout. Age opens the
lateral ventricles and thins the peri-Sylvian cortex; "AD" takes tissue from the
medial temporal lobes, "PD" from putamen and caudate. Nothing here is a person,
and a model trained on it knows nothing about disease.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.template import template_grid
from napari_neuropretrain.data.volumes import write_image
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Progress, Report, silent
from napari_neuropretrain.synthesis.acquisition import SyntheticScan, scan_head
from napari_neuropretrain.synthesis.effects import (
    EffectSizes,
    Severity,
    effect_regions_on,
)
from napari_neuropretrain.synthesis.participants import (
    DEFAULT_MIX,
    SyntheticParticipant,
    draw_participants,
)

COLUMNS = ("participant_id", "age", "sex", "diagnosis", "site")
SPACING_LIMITS_MM = (0.7, 8.0)
LEAST_DISEASE = 0.75


def write_cohort(
    folder: str | os.PathLike[str],
    participants: int,
    seed: int = 0,
    spacing_mm: float = 2.0,
    report: Report = silent,
    *,
    diagnoses: Sequence[str] = DEFAULT_MIX,
    effects: EffectSizes | None = None,
) -> Path:
    """Write a raw BIDS dataset of synthetic T1-weighted heads.

    Parameters
    ----------
    folder
        Made if missing; must hold no dataset yet.
    participants
        How many. The first ones are the same however many are asked for.
    seed
        Decides everything.
    spacing_mm
        Voxel edge of the scans.
    report
        Told after each participant; may raise `Cancelled`.
    diagnoses
        Mix, repeated in shuffled blocks: ``("CN", "AD")`` gives halves.
    effects
        Sizes of the planted effects; the defaults when None.

    Returns
    -------
    Path
        `folder`, with participants.tsv, dataset_description.json and
        ``sub-XX/anat/sub-XX_T1w.nii.gz`` with a JSON beside each.

    Raises
    ------
    CohortError
        If the folder already holds a dataset, or a number is out of range.
    """
    root = Path(folder)
    if (root / "participants.tsv").exists():
        raise CohortError(
            f"'{root}' already holds a dataset. Give a new folder, or remove it first."
        )
    _check_spacing(spacing_mm)
    people = draw_participants(participants, seed, diagnoses)
    sizes = effects or EffectSizes()
    for person in people:
        scan = scan_participant(person, seed, spacing_mm, sizes)
        path = _write_scan(root, person, scan)
        report(
            Progress(
                "item_done",
                f"Wrote {person.name}.",
                step=person.index + 1,
                total=participants,
                values={"path": str(path)},
            )
        )
    # The table comes last: it marks the dataset as whole.
    _write_description(root)
    _write_table(root, people)
    return root


def scan_participant(
    person: SyntheticParticipant,
    seed: int,
    spacing_mm: float,
    effects: EffectSizes | None = None,
) -> SyntheticScan:
    """Return the scan of one participant, from the seed and the index alone."""
    rng = np.random.default_rng((seed, 3, person.index))
    extent = rng.uniform(LEAST_DISEASE, 1)
    return scan_head(
        rng,
        Severity.of(person.age, person.diagnosis, extent),
        effects or EffectSizes(),
        spacing_mm,
        size=1.01 if person.sex == "M" else 0.97,
        noisy_site=person.site == "site-2",
    )


def single_head(
    seed: int = 0, spacing_mm: float = 1.5
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return one healthy synthetic head, for a viewer's sample data.

    Returns
    -------
    data : ndarray
        int16 (I, J, K), in a storage order drawn at random.
    affine : ndarray
        (4, 4) voxel -> RAS mm.

    Raises
    ------
    CohortError
        If `spacing_mm` is out of range.
    """
    _check_spacing(spacing_mm)
    (person,) = draw_participants(1, seed, ("CN",))
    scan = scan_participant(person, seed, spacing_mm)
    return scan.data, scan.affine


def effect_regions(
    shape: tuple[int, int, int],
    spacing_mm: float,
    effects: EffectSizes | None = None,
) -> dict[str, NDArray[np.bool_]]:
    """Mark on the model grid where each planted effect changes the brain.

    Parameters
    ----------
    shape, spacing_mm
        The model grid, as in the preprocessing contract.
    effects
        Sizes the cohort was made with; the defaults when None.

    Returns
    -------
    dict of ndarray
        Boolean masks of `shape` under "age", "ad" and "pd".
    """
    return effect_regions_on(template_grid(shape, spacing_mm), shape, effects)


def _check_spacing(spacing_mm: float) -> None:
    low, high = SPACING_LIMITS_MM
    if not low <= spacing_mm <= high:
        raise CohortError(
            f"spacing_mm={spacing_mm} must lie between {low} and {high} mm."
        )


def _write_scan(root: Path, person: SyntheticParticipant, scan: SyntheticScan) -> Path:
    """Write one scan and the JSON that says how it was made."""
    stem = root / person.name / "anat" / f"{person.name}_T1w"
    path = write_image(f"{stem}.nii.gz", scan.data, scan.affine)
    sidecar = {
        "Modality": "MR",
        "Synthetic": True,
        "AxisCodes": scan.axis_codes,
        "TemplateToScan": scan.template_to_scan.round(6).tolist(),
    }
    _write_json(path.with_name(f"{person.name}_T1w.json"), sidecar)
    return path


def _write_table(root: Path, people: Sequence[SyntheticParticipant]) -> None:
    with (root / "participants.tsv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, delimiter="\t", lineterminator="\n")
        table.writerow(COLUMNS)
        for who in people:
            table.writerow([who.name, who.age, who.sex, who.diagnosis, who.site])


def _write_description(root: Path) -> None:
    description = {
        "Name": "Synthetic heads with planted effects of age, AD and PD",
        "BIDSVersion": "1.9.0",
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": "napari-neuropretrain"}],
    }
    _write_json(root / "dataset_description.json", description)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
