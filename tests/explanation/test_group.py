"""Maps of a cohort at toy size: resumed, with a bad scan, compared by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import stats

from napari_neuropretrain.config.catalog import TASKS
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import Volume, write_image
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation import explain as job
from napari_neuropretrain.explanation.explain import explain
from napari_neuropretrain.preprocessing.derivatives import write_derivative
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.weights.model_card import ModelCard, Part
from napari_neuropretrain.weights.model_file import save_model

EDGE = 16
CONTRACT = PreprocessingContract(shape=(EDGE, EDGE, EDGE), spacing_mm=10.0)
AFFINE = np.diag([10.0, 10.0, 10.0, 1.0])
AFFINE[:3, 3] = -75
PEOPLE = (
    *(("sub-1", None, "AD"), ("sub-2", None, "AD"), ("sub-3", "ses-1", "AD")),
    *(("sub-3", "ses-2", "AD"), ("sub-4", None, "CN"), ("sub-5", None, "CN")),
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def write_model(folder: Path) -> Path:
    options = {"init_features": 4, "growth_rate": 2, "block_config": [1, 1]}
    backbone = Part(catalog="backbones", name="tiny_densenet", options=options)
    torch.manual_seed(3)
    task = TASKS["ad"].options().model_dump(mode="json")
    card = ModelCard(
        backbone=backbone,
        task=Part(catalog="tasks", name="ad", options=task),
        kind="binary",
        label="diagnosis",
        unit="probability",
        contract=CONTRACT,
    )
    save_model(folder, backbone.build(), card)
    return folder


def write_cohort(root: Path) -> Path:
    x, y, z = np.indices(CONTRACT.shape) - (EDGE - 1) / 2
    lines = {}
    for number, (name, session, group) in enumerate(PEOPLE):
        brain = x**2 + y**2 + z**2 < (6 if number else 5.5) ** 2
        noise = np.random.default_rng(number).standard_normal(brain.shape)
        image = (noise * brain).astype(np.float32)
        done = Preprocessed(image, AFFINE, brain, brain, np.eye(4), {})
        raw = Volume.from_native(image, AFFINE)
        scan = Scan(name, session, Path("raw.nii.gz"))
        write_derivative(root, scan, raw, done, CONTRACT, {"Path": "raw.nii.gz"})
        lines[name] = f"{name}\t{group}\t{55 + 10 * (number % 2)}"
    table = "\n".join(["participant_id\tdiagnosis\tage", *lines.values()])
    (root / "participants.tsv").write_text(f"{table}\n")
    return root


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def map_of(folder: Path, name: str) -> np.ndarray:
    (path,) = folder.glob(f"group-{name}_map.nii.gz")
    return nib.load(path).get_fdata()


def people_of(folder: Path) -> dict[str, np.ndarray]:
    """Average the maps of each participant, by hand."""
    found: dict[str, list[np.ndarray]] = {}
    for path in sorted(folder.glob("scans/*/*_space-MNI152_desc-occlusion_map.nii.gz")):
        name = path.name.split("_")[0]
        found.setdefault(name, []).append(nib.load(path).get_fdata())
    return {name: np.mean(maps, axis=0) for name, maps in found.items()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory):
    """A cohort with a damaged scan, explained by label."""
    root = tmp_path_factory.mktemp("group")
    cohort = write_cohort(root / "cohort")
    (bad,) = cohort.glob("sub-5/anat/*preproc_T1w.nii.gz")
    whole = bad.read_bytes()
    bad.write_bytes(b"damaged")
    regions = np.zeros(CONTRACT.shape)
    regions[4:12, 4:8, 4:12] = 4
    atlas = write_image(root / "atlas.nii.gz", regions, AFFINE)
    values = {"model": write_model(root / "model"), "input": cohort}
    values |= {"output": root / "out", "group_by": "label", "regions": str(atlas)}
    values |= {"patch": 4, "stride": 4, "device": "cpu", "checks": False, "threads": 1}
    config = ExplainConfig.parse(values)
    heard: list[Progress] = []
    outcome = explain(config, heard.append)
    return config, outcome, heard, bad, whole


def test_a_bad_scan_stops_nothing(finished) -> None:
    config, outcome, heard, _, _ = finished
    (failure,) = outcome.failures
    assert failure.item == "sub-5"
    assert len(people_of(config.output)) == 4
    failed = [one.message for one in heard if one.state == "item_failed"]
    assert len(failed) == 1
    shown = [one.values for one in heard if one.state == "result"]
    (kind,) = [one for one in shown if one["kind"] == "occlusion"]
    assert Path(kind["path"]).is_file()
    assert Path(kind["template_t1"]).is_file()


def test_what_is_finished_is_not_done_again(finished, monkeypatch) -> None:
    config, _, _, bad, whole = finished
    done: list[str] = []
    once = job._explain_scan

    def counted(own, *others):
        done.append(own.output.name)
        return once(own, *others)

    monkeypatch.setattr(job, "_explain_scan", counted)
    bad.write_bytes(whole)
    outcome = explain(config, silent)
    assert done == ["sub-5"]
    assert outcome.failures == ()
    explain(config.replace(permutations=5), silent)
    assert done == ["sub-5"]
    one = config.replace(scans=("sub-1",), stride=2, group_by="")
    explain(one, silent)
    assert done == ["sub-5", "sub-1"]
    explain(config, silent)  # the maps of before are wanted again
    assert done == ["sub-5", "sub-1", "sub-1"]


def test_means_and_differences_by_hand(finished) -> None:
    config, _, _, _, _ = finished
    people = people_of(config.output)
    values = np.array(list(people.values()))
    ill = np.array([name in ("sub-1", "sub-2", "sub-3") for name in people])
    brain = map_of_mask(config.output)
    folder = config.output
    assert values.shape[0] == 5
    start = "space-MNI152_desc-occlusion"
    for name, some in (("all", values), ("AD", values[ill]), ("CN", values[~ill])):
        expected = np.where(brain, some.mean(0), 0)
        found = map_of(folder, f"{name}_{start}mean")
        np.testing.assert_allclose(found, expected, atol=1e-8)
    error = np.where(brain, stats.sem(values), 0)
    np.testing.assert_allclose(map_of(folder, f"all_{start}se"), error, atol=1e-7)
    difference = np.where(brain, values[ill].mean(0) - values[~ill].mean(0), 0)
    found = map_of(folder, f"ADlessCN_{start}difference")
    np.testing.assert_allclose(found, difference, atol=1e-8)
    t = stats.ttest_ind(values[ill], values[~ill]).statistic
    real = brain & np.isfinite(t)
    found = map_of(folder, f"ADlessCN_{start}t")
    np.testing.assert_allclose(found[real], t[real], rtol=1e-3, atol=1e-4)
    p = map_of(folder, f"ADlessCN_{start}p")
    tenths = np.round(10 * p[brain], 3)  # there are 10 exchanges
    assert np.isin(tenths, np.arange(1, 11)).all()
    assert tenths.min() < 10
    assert (p[~brain] == 1).all()


def map_of_mask(folder: Path) -> np.ndarray:
    (path,) = folder.glob("group-all_*brain_mask.nii.gz")
    return nib.load(path).get_fdata() > 0


def test_tables_name_regions_on_both_sides(finished) -> None:
    config, outcome, _, _, _ = finished
    rows = rows_of(config.output / "group_regions.tsv")
    assert {row["map"] for row in rows} == {"all", "AD", "CN", "AD - CN"}
    assert {row["side"] for row in rows} == {"left", "right"}
    brain = map_of_mask(config.output)
    place = np.zeros(CONTRACT.shape, bool)
    place[4:8, 4:8, 4:12] = True  # x below 0 mm
    place &= brain
    means = [one[place].mean() for one in people_of(config.output).values()]
    row = next(r for r in rows if (r["map"], r["side"]) == ("all", "left"))
    assert float(row["mean"]) == pytest.approx(np.mean(means), rel=1e-4)
    assert float(row["se"]) == pytest.approx(stats.sem(means), rel=1e-3)
    assert float(row["size_mm3"]) == 1000 * place.sum()
    clusters = rows_of(config.output / "group_peaks.tsv")
    assert {row["sign"] for row in clusters} <= {"positive", "negative"}
    assert "region 4" in {row["region"].split(" ", 1)[-1] for row in clusters}
    members = rows_of(config.output / "group_members.tsv")
    assert [row["group"] for row in members] == [group for *_, group in PEOPLE]
    page = Path(outcome.results["report"]).read_text(encoding="utf-8")
    assert "The difference AD - CN" in page
    assert page.count("data:image/png;base64,") == 1
    assert (config.output / "figures" / "group_panel.svg").is_file()


def test_other_groups_and_wrong_names(finished) -> None:
    config, _, _, _, _ = finished
    outcome = explain(config.replace(group_by="age", regions=""), silent)
    names = {path.name.split("_")[0] for path in config.output.glob("group-*mean_map*")}
    assert {"group-all", "group-5059", "group-6069"} <= names
    assert outcome.failures == ()
    with pytest.raises(
        ConfigError, match=r"no participant of the input has a value of 'sex'"
    ):
        explain(config.replace(group_by="sex"), silent)
    with pytest.raises(ConfigError, match=r"has no sub-9"):
        explain(config.replace(scans=("sub-9",)), silent)


def test_a_scan_of_a_cohort_has_the_map_it_has_alone(finished, tmp_path) -> None:
    config, _, _, _, _ = finished
    (alone,) = config.input.glob("sub-4/anat/*preproc_T1w.nii.gz")
    changes = {"input": alone, "group_by": "", "output": tmp_path, "regions": ""}
    outcome = explain(config.replace(**changes), silent)
    single = nib.load(outcome.results["map"]).get_fdata()
    (path,) = config.output.glob("scans/sub-4/*desc-occlusion_map.nii.gz")
    np.testing.assert_allclose(nib.load(path).get_fdata(), single, atol=1e-9)
    note = json.loads((config.output / "scans" / "sub-4" / "done.json").read_text())
    assert note["results"]["map"] == str(path)
