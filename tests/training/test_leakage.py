"""Nobody is tested whom the initial weights know."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.errors import LeakageError
from napari_neuropretrain.progress import Progress
from napari_neuropretrain.training.leakage import check_leakage
from napari_neuropretrain.weights.encoder_file import EncoderCard
from napari_neuropretrain.weights.model_card import (
    CohortSummary,
    summarise_cohort,
)
from napari_neuropretrain.weights.model_card import Part as CatalogPart

SCANS = [Scan(f"sub-{number:02d}", None, Path("x")) for number in range(10)]
PARTS: dict[str, Part] = {
    scan.key: ("test" if n >= 7 else "validation" if n >= 5 else "train")
    for n, scan in enumerate(SCANS)
}


def cohort(train: list[str], validation: list[str] | None = None) -> CohortSummary:
    rows = [(name, "train", {}) for name in train]
    return summarise_cohort(
        rows + [(one, "validation", {}) for one in validation or []]
    )


def encoder(folder: Path, own: CohortSummary, *earlier: CohortSummary) -> str:
    """Write the card of an encoder; its tensors are not looked at."""
    folder.mkdir()
    card = EncoderCard(
        title="toy",
        backbone=CatalogPart(catalog="backbones", name="tiny_densenet"),
        importer="ours",
        source="here",
        source_sha256="0",
        trained_on="six people",
        cohort=own,
        earlier_cohorts=earlier,
    )
    (folder / "encoder.safetensors").touch()
    (folder / "encoder.json").write_text(card.model_dump_json())
    return str(folder)


def check(weights: str, allow: bool = False) -> list[Progress]:
    said: list[Progress] = []
    config = FinetuneConfig.parse(
        {
            "cohort": "x",
            "output": "y",
            "initial_weights": weights,
            "allow_leakage": allow,
        }
    )
    check_leakage(SCANS, PARTS, config, said.append)
    return said


@pytest.mark.parametrize("part", ["train", "validation"])
def test_test_participants_of_the_pretraining_are_named(
    part: str, tmp_path: Path
) -> None:
    # Ids with and without the prefix are the same person.
    known = ["07", "sub-09"]
    own = cohort(known) if part == "train" else cohort(["sub-90"], known)
    source = encoder(tmp_path / "a", own)
    with pytest.raises(LeakageError, match=r"2 of 3 .*: sub-07, sub-09"):
        check(source)
    (warning,) = check(source, allow=True)
    assert warning.values == {"participants": ["sub-07", "sub-09"]}


def test_a_cohort_two_trainings_back_counts(tmp_path: Path) -> None:
    source = encoder(tmp_path / "a", cohort(["sub-90"]), cohort(["sub-08"]))
    with pytest.raises(LeakageError, match=r"1 of 3 .*: sub-08"):
        check(source)


def test_training_participants_may_overlap(tmp_path: Path) -> None:
    assert check(encoder(tmp_path / "a", cohort(["sub-00", "sub-01"]))) == []


def test_known_validation_participants_are_a_warning(tmp_path: Path) -> None:
    (said,) = check(encoder(tmp_path / "a", cohort(["sub-05", "sub-01"])))
    assert said.state == "warning"
    assert "1 of 2 validation participants" in said.message


def test_weights_of_others_cannot_be_checked(tmp_path: Path) -> None:
    (said,) = check(encoder(tmp_path / "a", CohortSummary()))
    assert "six people" in said.message
    (said,) = check("bhb_yaware_densenet121")
    assert "IXI" in said.message
