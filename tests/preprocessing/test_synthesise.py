"""Volumes of a source become a cohort that every job reads; resumable."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch import Tensor

from napari_neuropretrain.config.catalog import SOURCES
from napari_neuropretrain.config.choice import choose
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import JOBS, SynthesiseConfig
from napari_neuropretrain.config.options.sources import (
    CohortOptions,
    TemplateCohortOptions,
)
from napari_neuropretrain.data.labels import binary_labels, numeric_labels
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.data.tables import read_table
from napari_neuropretrain.errors import (
    Cancelled,
    CheckpointError,
    CohortError,
    ConfigError,
    ImageError,
)
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.preprocessing.synthesise import plan_volumes, synthesise
from napari_neuropretrain.preprocessing.synthetic_files import PlannedVolume
from napari_neuropretrain.preprocessing.volume_workers import KILLED, make_volumes
from napari_neuropretrain.progress import Outcome, Progress, Report, silent
from napari_neuropretrain.runs import execute, request_stop
from napari_neuropretrain.synthesis.template_source import TemplateSource

SMALL = {"shape": 24, "spacing_mm": 4.0}


def config_for(output: Path, **changes: Any) -> SynthesiseConfig:
    source = {"name": "template_cohort", "participants": 4, **SMALL}
    options = {key: one for key, one in changes.items() if key in source | {"seed": 0}}
    others = {key: one for key, one in changes.items() if key not in options}
    return SynthesiseConfig.parse(
        {"source": source | options, "output": output, **others}
    )


class FaultySource:
    """Blocks of one value; some cannot be made."""

    failures = ()
    shape = (16, 16, 16)
    contract = PreprocessingContract(shape=(16, 16, 16))
    label_names = ("age", "sex")

    def __init__(
        self,
        ids: tuple[str, ...] = ("a", "b", "c"),
        faults: dict[int, Exception] | None = None,
    ) -> None:
        self.ids = ids
        self.faults = faults or {}

    def __len__(self) -> int:
        return len(self.ids)

    def volume(self, index: int) -> Tensor:
        if index in self.faults:
            raise self.faults[index]
        volume = torch.zeros(1, *self.shape)
        volume[0, 4:12] = index + 1
        return volume

    def label(self, index: int, name: str) -> float | None:
        if name == "sex":
            return float(index % 2)
        return None if index == 1 else 50.5 + index

    def classes(self, name: str) -> tuple[str, ...]:
        return ("f", "m") if name == "sex" else ()


def planned_for(source: Any, output: Path) -> list[PlannedVolume]:
    choice = choose("sources", "template_cohort")
    return plan_volumes(choice, source, source.contract, output)


def run_with(
    source: object,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
    report: Report,
    workers: int = 1,
) -> Outcome:
    """Run the job with a source of the test's own."""
    monkeypatch.setattr(
        "napari_neuropretrain.config.registry.Entry.load",
        lambda entry: lambda options, report: source,
    )
    return synthesise(config_for(output, workers=workers), report)


@pytest.fixture(scope="module")
def cohort_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("made")
    outcome = JOBS["synthesise"].load()(config_for(output), silent)
    assert outcome.failures == ()
    assert outcome.message.startswith("4 of 4 volumes of 'template_cohort' are there")
    return output


def test_it_is_read_as_a_preprocessed_cohort(cohort_folder: Path) -> None:
    cohort = read_cohort(cohort_folder)
    assert cohort.kind == "preprocessed"
    assert cohort.problems == ()
    options = TemplateCohortOptions(participants=4, **SMALL)
    source = TemplateSource(options)
    assert [scan.participant for scan in cohort.scans] == list(source.ids)
    for index, scan in enumerate(cohort.scans):
        made = read_derivative(scan.path)
        wanted = source.volume(index)[0].numpy()
        assert np.array_equal(made.image, wanted)
        assert np.array_equal(made.brain_mask, wanted != 0)
        assert made.contract == source.contract
        assert np.array_equal(made.transform, np.eye(4))


def test_every_label_of_the_source_is_in_the_table(cohort_folder: Path) -> None:
    cohort = read_cohort(cohort_folder)
    source = TemplateSource(TemplateCohortOptions(participants=4, **SMALL))
    ages = numeric_labels(cohort, "age")
    groups = binary_labels(cohort, "diagnosis", ["AD"], ["CN"])
    people = dict(zip(source.ids, source.people, strict=True))
    assert ages == {name: who.age for name, who in people.items()}
    assert groups == {
        name: int(who.diagnosis == "AD")
        for name, who in people.items()
        if who.diagnosis != "PD"
    }
    severities = numeric_labels(cohort, "ad_severity")
    assert {name: one > 0.7 for name, one in severities.items()} == {
        name: who.diagnosis == "AD" for name, who in people.items()
    }


def test_the_source_cohort_gives_the_same_volumes_and_labels(
    cohort_folder: Path,
) -> None:
    made = SOURCES["cohort"].load()(CohortOptions(path=cohort_folder), silent)
    source = TemplateSource(TemplateCohortOptions(participants=4, **SMALL))
    assert made.ids == source.ids  # so that a leak between both is noticed
    assert set(made.label_names) == set(source.label_names)
    for index in range(4):
        assert torch.equal(made.volume(index), source.volume(index))
        assert made.label(index, "age") == source.label(index, "age")
        words = made.classes("site"), source.classes("site")
        found = words[0][int(made.label(index, "site"))]
        assert found == words[1][int(source.label(index, "site"))]


def test_the_sidecar_tells_where_it_is_from(cohort_folder: Path) -> None:
    scan = read_cohort(cohort_folder).scans[1]
    source = read_derivative(scan.path).json["Source"]
    assert source["Name"] == "template_cohort"
    assert source["Options"] == {"seed": 0, "spacing_mm": 4.0, "shape": "24"}
    assert (source["Index"], source["Participant"]) == (1, "sub-template0n000002")
    described = json.loads((cohort_folder / "dataset_description.json").read_text())
    assert described["Name"].startswith("Synthetic")


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    synthesise(config, silent)
    scans = read_cohort(tmp_path).scans
    before = [scan.path.stat().st_mtime_ns for scan in scans]
    bytes_before = scans[1].path.read_bytes()
    scans[1].path.unlink()
    scans[2].path.with_name(scans[2].path.name.replace(".nii.gz", ".json")).unlink()
    heard: list[Progress] = []
    outcome = synthesise(config, heard.append)
    done = [one for one in heard if one.state == "item_done"]
    assert [one.values["item"] for one in done] == [scans[1].key, scans[2].key]
    assert [(one.step, one.total) for one in done] == [(3, 4), (4, 4)]
    assert "(2 were made before)" in outcome.message
    after = [scan.path.stat().st_mtime_ns for scan in read_cohort(tmp_path).scans]
    assert [one == two for one, two in zip(before, after, strict=True)] == [
        True, False, False, True,
    ]  # fmt: skip
    found, wanted = scans[1].path.read_bytes(), bytes_before
    assert len(found) == len(wanted)  # the same but for the time in the gzip header


def test_other_options_are_made_again_and_more_participants_added(
    tmp_path: Path,
) -> None:
    synthesise(config_for(tmp_path), silent)
    again = synthesise(config_for(tmp_path, participants=6), silent)
    assert "6 of 6" in again.message
    assert "(4 were made before)" in again.message
    finer = synthesise(config_for(tmp_path, spacing_mm=5.0), silent)
    assert "before" not in finer.message
    assert "before" not in synthesise(
        config_for(tmp_path, spacing_mm=5.0, overwrite=True), silent
    ).message  # fmt: skip


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from napari_neuropretrain.config.jobs import SynthesiseConfig\n"
        "from napari_neuropretrain.preprocessing.synthesise import synthesise\n"
        "from napari_neuropretrain.progress import silent\n"
        "config = SynthesiseConfig.from_file(sys.argv[1]); synthesise(config, silent)"
    )
    config = config_for(tmp_path / "out", participants=40)
    config.to_file(tmp_path / "config.yaml")
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "config.yaml")]
    )
    images = "sub-*/anat/*_desc-preproc_T1w.json"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        if len(list((tmp_path / "out").glob(images))) >= 3:
            break
        time.sleep(0.01)
    child.kill()
    child.wait()
    there = len(list((tmp_path / "out").glob(images)))
    assert 3 <= there < 40
    outcome = synthesise(config.replace(source=config_for(tmp_path).source), silent)
    assert outcome.failures == ()
    heard: list[Progress] = []
    synthesise(config, heard.append)
    done = sum(one.state == "item_done" for one in heard)
    assert done == 40 - max(there, 4)
    cohort = read_cohort(tmp_path / "out")
    assert (len(cohort.scans), cohort.problems) == (40, ())
    source = TemplateSource(TemplateCohortOptions(participants=40, **SMALL))
    for index in (0, 1, 2, 20, 39):
        made = read_derivative(cohort.scans[index].path)
        assert np.array_equal(made.image, source.volume(index)[0].numpy())
    assert not list((tmp_path / "out").rglob(".part-*"))


def test_stopping_leaves_a_whole_smaller_cohort(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.state == "item_done" and progress.step == 2:
            request_stop(tmp_path)

    with pytest.raises(Cancelled):
        execute(JOBS, "synthesise", config_for(tmp_path), stop)
    cohort = read_cohort(tmp_path)
    assert len(cohort.scans) == 2
    assert cohort.problems == ()
    execute(JOBS, "synthesise", config_for(tmp_path))
    assert len(read_cohort(tmp_path).scans) == 4


def test_a_bad_volume_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = {0: ImageError("no brain"), 2: ValueError("odd")}
    source = FaultySource(("a", "b", "c", "d"), faults)
    outcome = run_with(source, tmp_path, monkeypatch, silent)
    reasons = [(one.item, one.reason) for one in outcome.failures]
    assert reasons == [("sub-a", "no brain"), ("sub-c", "ValueError: odd")]
    cohort = read_cohort(tmp_path)
    assert [scan.participant for scan in cohort.scans] == ["sub-b", "sub-d"]
    assert cohort.problems == ()
    rows = read_table(tmp_path / "participants.tsv")
    assert rows[0] == {"participant_id": "sub-b", "age": "n/a", "sex": "m"}
    assert rows[1]["age"] == "53.5"


def test_what_is_wrong_with_all_stops_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FaultySource(faults={0: CheckpointError("no weights")})
    with pytest.raises(CheckpointError, match="no weights"):
        run_with(source, tmp_path, monkeypatch, silent)
    assert not (tmp_path / "participants.tsv").exists()


def test_nothing_at_all_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = dict.fromkeys(range(3), ImageError("no brain"))
    with pytest.raises(CohortError, match=r"None of the 3 volumes .* sub-a: no brain"):
        run_with(FaultySource(faults=faults), tmp_path, monkeypatch, silent)


def test_volumes_of_one_participant_are_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with(FaultySource(("a", "b", "a")), tmp_path, monkeypatch, silent)
    keys = [scan.key for scan in read_cohort(tmp_path).scans]
    assert keys == ["sub-a_ses-01", "sub-a_ses-02", "sub-b"]


def test_videos_and_foreign_folders_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dataset_description.json").write_text('{"Name": "Other"}')
    with pytest.raises(CohortError, match="another dataset"):
        synthesise(config_for(tmp_path), silent)
    videos = FaultySource()
    monkeypatch.setattr(videos, "contract", None, raising=False)
    with pytest.raises(ConfigError, match="no MRI"):
        run_with(videos, tmp_path / "videos", monkeypatch, silent)


def test_a_cohort_is_not_written_onto_itself(cohort_folder: Path) -> None:
    source = {"name": "cohort", "path": str(cohort_folder)}
    config = SynthesiseConfig.parse({"source": source, "output": cohort_folder})
    with pytest.raises(CohortError, match="folder of its own"):
        synthesise(config, silent)


PICKLED = """
import os, signal, time
import torch
from napari_neuropretrain.config.contract import PreprocessingContract

class PickledSource:
    failures = ()
    shape = (16, 16, 16)
    contract = PreprocessingContract(shape=(16, 16, 16))

    def __init__(self, count, killer=-1, seconds=0.0):
        self.ids = tuple(f"p{index:02d}" for index in range(count))
        self.killer, self.seconds = killer, seconds

    def __len__(self):
        return len(self.ids)

    def volume(self, index):
        if index == self.killer:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        volume = torch.randn(1, *self.shape, generator=torch.manual_seed(index))
        volume[0, 0, 0, 0] = float(os.environ["OMP_NUM_THREADS"])
        return volume * (torch.arange(16) < 14)
"""


@pytest.fixture
def pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class that processes can import by its name, unlike those of this module."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "pickled_source.py").write_text(PICKLED)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("pickled_source").PickledSource


def test_several_processes_give_the_same(
    pickled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pickled(5)
    run_with(source, tmp_path / "one", monkeypatch, silent)
    run_with(source, tmp_path / "two", monkeypatch, silent, workers=2)
    alone, both = read_cohort(tmp_path / "one"), read_cohort(tmp_path / "two")
    assert len(both.scans) == 5
    for one, other in zip(alone.scans, both.scans, strict=True):
        first, second = read_derivative(one.path), read_derivative(other.path)
        assert np.array_equal(first.image, second.image)
        assert first.json["Source"] == second.json["Source"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_process_takes_nobody_along(pickled: Any, tmp_path: Path) -> None:
    source = pickled(3, killer=1)
    planned = planned_for(source, tmp_path)
    heard: list[Progress] = []
    made = list(make_volumes(source, planned, 2, heard.append))
    found = {one.planned.scan.key: one.reason for one in made}
    assert found == {"sub-p00": "", "sub-p01": KILLED, "sub-p02": ""}
    assert [one.is_written() for one in planned] == [True, False, True]
    assert "heartbeat" in {one.state for one in heard}


def _living_workers() -> list[psutil.Process]:
    found = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # ended just now, and not yet forgotten
            if "spawn_main" in " ".join(one.cmdline()):
                found.append(one)
    return found


def test_stopping_ends_the_processes(
    pickled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(progress: Progress) -> None:
        if progress.state == "item_done":
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run_with(pickled(30, -1, 0.3), tmp_path, monkeypatch, stop, workers=2)
    assert not _living_workers()
    cohort = read_cohort(tmp_path)
    assert 1 <= len(cohort.scans) < 30
    assert cohort.problems == ()
