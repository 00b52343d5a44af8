"""The table and the page of a derivatives folder."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from napari_neuropretrain.data.bids import PREPROCESSED_SUFFIX
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.quality import (
    QUALITY_TABLE,
    QualityRow,
    decide,
    read_quality,
)
from napari_neuropretrain.data.volumes import write_image
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.preprocessing.quality_cohort import write_cohort_quality
from napari_neuropretrain.preprocessing.quality_page import PAGE, write_page
from napari_neuropretrain.preprocessing.scan_task import ScanRecord

GOOD = {"mask_ml": 1400.0, "dice": 0.96, "snr": 40.0, "ghosting": None}


def finished(root: Path, name: str, seed: int, **changes: float) -> None:
    """Leave what a preprocessed scan leaves; scans of a seed below 100 are alike."""
    shared = np.random.default_rng(0).normal(size=(16, 16, 16))
    own = np.random.default_rng(seed).normal(size=shared.shape)
    data = (shared + own if seed < 100 else own).astype(np.float32)
    image = root / name / "anat" / f"{name}{PREPROCESSED_SUFFIX}"
    write_image(image, data, np.eye(4))
    notes = {"Quality": GOOD | changes}
    Path(str(image).removesuffix(".nii.gz") + ".json").write_text(json.dumps(notes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(1, 10):
        finished(tmp_path, f"sub-{number:02d}", number)
    return tmp_path


class Elements(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_verdicts_reasons_and_failures(folder: Path) -> None:
    finished(folder, "sub-10", 10, dice=0.86)
    finished(folder, "sub-11", 111)
    half_written = folder / "sub-12" / "anat" / f"sub-12{PREPROCESSED_SUFFIX}"
    write_image(half_written, np.ones((4, 4, 4)), np.eye(4))
    scan = Scan("sub-13", "ses-a", Path("broken.nii.gz"))
    failed = ScanRecord(scan, "failed", reason="it ends too early")

    rows = write_cohort_quality(folder, [failed])

    assert rows == read_quality(folder)
    words = {key: row.verdict for key, row in rows.items()}
    assert words.pop("sub-10") == "look"
    assert words.pop("sub-11") == "look"
    assert words.pop("sub-13_ses-a") == "reject"
    assert set(words.values()) == {"keep"}
    assert len(words) == 9
    assert rows["sub-10"].reason.startswith("Dice with the template 0.86, usually")
    assert rows["sub-11"].reason.startswith("Likeness to the cohort's mean image")
    reason = "Could not be preprocessed: it ends too early"
    assert rows["sub-13_ses-a"].reason == reason
    assert rows["sub-13_ses-a"].session == "ses-a"
    assert rows["sub-01"].measures["cohort_correlation"] > 0.5
    assert abs(rows["sub-11"].measures["cohort_correlation"]) < 0.2
    assert math.isnan(rows["sub-01"].measures["ghosting"])


def test_dice_is_not_judged_where_heads_keep_their_size(folder: Path) -> None:
    finished(folder, "sub-01", 1, dice=0.8)
    image = folder / "sub-01" / "anat" / f"sub-01{PREPROCESSED_SUFFIX}"
    notes = Path(str(image).removesuffix(".nii.gz") + ".json")
    contract = {"Contract": {"registration": {"dof": 6}}}
    assert write_cohort_quality(folder)["sub-01"].verdict == "reject"
    notes.write_text(json.dumps(json.loads(notes.read_text()) | contract))
    row = write_cohort_quality(folder)["sub-01"]
    assert (row.verdict, row.measures["dice"]) == ("keep", 0.8)


def test_decisions_and_failures_survive_another_run(folder: Path) -> None:
    scan = Scan("sub-20", None, Path("broken.nii.gz"))
    write_cohort_quality(folder, [ScanRecord(scan, "failed", reason="broken")])
    decide(folder, "sub-02", "reject", "wrong person")

    rows = write_cohort_quality(folder)

    assert (rows["sub-02"].verdict, rows["sub-02"].final) == ("keep", "reject")
    assert rows["sub-02"].note == "wrong person"
    assert rows["sub-20"].verdict == "reject"
    finished(folder, "sub-20", 20)
    assert write_cohort_quality(folder)["sub-20"].verdict == "keep"


def test_a_damaged_table_is_not_overwritten(folder: Path) -> None:
    (folder / QUALITY_TABLE).write_text("participant_id\tverdict\nsub-01\tgreat\n")
    with pytest.raises(CohortError, match="'great'"):
        write_cohort_quality(folder)
    assert "great" in (folder / QUALITY_TABLE).read_text()


def test_the_page_shows_the_worst_first(folder: Path) -> None:
    finished(folder, "sub-05", 5, dice=0.5)
    finished(folder, "sub-07", 7, dice=0.9)
    (folder / "figures").mkdir()
    (folder / "figures" / "sub-05_quality.png").touch()
    write_cohort_quality(folder)
    page = Elements(folder / PAGE)
    cards = page.named("article")
    assert [card["data-key"] for card in cards][:2] == ["sub-05", "sub-07"]
    assert [card["data-final"] for card in cards][:3] == ["reject", "look", "keep"]
    assert [image["src"] for image in page.named("img")] == [
        "figures/sub-05_quality.png"
    ]
    titles = [one["aria-label"] for one in page.named("svg")]
    assert "Dice with the template of 9 scans" in titles
    assert {"#sub-05", "#sub-07"} <= {one["href"] for one in page.named("a")}
    for tag in ("link", "iframe"):  # self-contained
        assert not page.named(tag)
    assert not any(one.get("src") for one in page.named("script"))


def test_names_reasons_and_notes_cannot_break_the_page(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    row = QualityRow("sub-1", "sub-1", None, "look", evil, note=f"</script>{evil}")
    write_page(tmp_path, {"sub-1": row})
    page = Elements(tmp_path / PAGE)
    assert len(page.named("script")) == 2
    assert page.named("input")[1]["value"] == f"</script>{evil}"
    text = (tmp_path / PAGE).read_text(encoding="utf-8")
    data = text.split('id="table">')[1].split("</script>")[0]
    assert json.loads(data)["rows"][0][3] == evil


def test_a_page_of_no_scans(tmp_path: Path) -> None:
    assert write_cohort_quality(tmp_path) == {}
    assert not Elements(tmp_path / PAGE).named("article")
