import csv
import json

import nibabel as nib
import numpy as np
import pytest

from napari_neuropretrain.data.template import load_template
from napari_neuropretrain.errors import Cancelled, CohortError
from napari_neuropretrain.synthesis.acquisition import AXIS_CODES, scan_head
from napari_neuropretrain.synthesis.deformation import (
    apply_affine,
    lattice_points,
    refine,
    sample,
)
from napari_neuropretrain.synthesis.effects import EffectSizes, Severity
from napari_neuropretrain.synthesis.head import build_head
from napari_neuropretrain.synthesis.template_cohort import (
    effect_regions,
    single_head,
    write_cohort,
)

SHAPE = (40, 40, 40)
GRID_MM = 4.0
SCAN_MM = 3.0
COUNT = 8


@pytest.fixture(scope="module")
def events():
    return []


@pytest.fixture(scope="module")
def cohort(tmp_path_factory, events):
    folder = tmp_path_factory.mktemp("synthetic")
    return write_cohort(
        folder, COUNT, 7, SCAN_MM, events.append, diagnoses=("CN", "AD")
    )


@pytest.fixture(scope="module")
def rows(cohort):
    with (cohort / "participants.tsv").open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def load(cohort, name):
    stem = cohort / name / "anat" / f"{name}_T1w"
    image = nib.load(f"{stem}.nii.gz")
    sidecar = json.loads(stem.with_suffix(".json").read_text())
    return np.asarray(image.dataobj), image.affine, sidecar


def in_template(data, affine, template_to_scan):
    """Return a scan on the model grid by its true pose, z-scored in the brain."""
    template = load_template(SHAPE, GRID_MM)
    points = refine(lattice_points(SHAPE, template.affine), SHAPE)
    moved = apply_affine(np.asarray(template_to_scan), points)
    image = sample(data.astype(np.float32), affine, moved)
    values = image[template.brain_mask]
    return (image - values.mean()) / values.std()


def test_dataset_is_bids_with_the_promised_columns(cohort, rows):
    assert list(rows[0]) == ["participant_id", "age", "sex", "diagnosis", "site"]
    assert [row["participant_id"] for row in rows][:2] == ["sub-01", "sub-02"]
    assert sorted(row["diagnosis"] for row in rows) == ["AD"] * 4 + ["CN"] * 4
    assert {row["sex"] for row in rows} <= {"M", "F"}
    description = json.loads((cohort / "dataset_description.json").read_text())
    assert description["DatasetType"] == "raw"
    assert len(list(cohort.glob("sub-*/anat/sub-*_T1w.nii.gz"))) == COUNT


def test_each_participant_is_reported(cohort, events):
    assert [(event.state, event.step) for event in events] == [
        ("item_done", number + 1) for number in range(COUNT)
    ]
    assert events[0].total == COUNT


def test_same_seed_same_voxels_however_many_are_written(cohort, tmp_path):
    again = write_cohort(tmp_path, 1, 7, SCAN_MM, diagnoses=("CN", "AD"))
    first, affine, _ = load(cohort, "sub-01")
    second, same_affine, _ = load(again, "sub-01")
    assert first.dtype == np.int16
    assert np.array_equal(first, second)
    assert np.array_equal(affine, same_affine)


def test_storage_orders_differ_and_are_told_by_the_affine(cohort, rows):
    orders = set()
    for row in rows:
        _, affine, sidecar = load(cohort, row["participant_id"])
        codes = "".join(nib.aff2axcodes(affine))
        assert codes == sidecar["AxisCodes"]
        assert 0.1 < np.degrees(nib.affines.obliquity(affine)).max() < 10
        assert np.allclose(nib.affines.voxel_sizes(affine), SCAN_MM, atol=1e-4)
        orders.add(codes)
    assert len(orders) > 2
    assert orders <= set(AXIS_CODES)


def test_every_head_lies_where_its_affine_says(cohort, rows):
    template = load_template(SHAPE, GRID_MM)
    brain = template.brain_mask
    poses = []
    for row in rows:
        data, affine, sidecar = load(cohort, row["participant_id"])
        pose = np.array(sidecar["TemplateToScan"])
        image = in_template(data, affine, pose)
        assert np.corrcoef(image[brain], template.data[brain])[0, 1] > 0.6
        corners = np.argwhere(brain)[[0, -1]].T
        voxels = np.linalg.inv(affine) @ pose @ template.affine @ [*corners, [1, 1]]
        margin = np.minimum(voxels[:3].T, np.array(data.shape) - 1 - voxels[:3].T)
        assert margin.min() > 1
        poses.append(pose[:3, 3])
    assert np.ptp(poses, axis=0).min() > 5


def test_ad_darkens_the_planted_region_in_the_written_scans(cohort, rows):
    region = effect_regions(SHAPE, GRID_MM)["ad"]
    means = {"AD": [], "CN": []}
    for row in rows:
        data, affine, sidecar = load(cohort, row["participant_id"])
        image = in_template(data, affine, sidecar["TemplateToScan"])
        means[row["diagnosis"]].append(float(image[region].mean()))
    difference = np.mean(means["CN"]) - np.mean(means["AD"])
    spread = np.sqrt((np.var(means["CN"]) + np.var(means["AD"])) / 2)
    assert difference > 0.4
    assert difference / spread > 2


@pytest.mark.parametrize(
    ("severity", "name"),
    [(Severity(age=1), "age"), (Severity(ad=1), "ad"), (Severity(pd=1), "pd")],
)
def test_the_same_head_differs_only_in_the_planted_region(severity, name):
    healthy, affected = (
        scan_head(np.random.default_rng(5), state, EffectSizes(), SCAN_MM)
        for state in (Severity(), severity)
    )
    template = load_template(SHAPE, GRID_MM)
    before, after = (
        in_template(scan.data, scan.affine, scan.template_to_scan)
        for scan in (healthy, affected)
    )
    change = np.abs(after - before)
    region = effect_regions(SHAPE, GRID_MM)[name]
    elsewhere = template.brain_mask & ~region
    assert change[region].mean() > 4 * change[elsewhere].mean()


def test_ventricles_grow_with_age():
    volumes = []
    head = build_head()
    for age in (45.0, 65.0, 85.0):
        severity = Severity.of(age, "CN", 1.0)
        rng = np.random.default_rng(2)
        scan = scan_head(rng, severity, EffectSizes(age_cortex_loss=0.0), SCAN_MM)
        points = refine(lattice_points(SHAPE, head_box()), SHAPE)
        image = sample(
            scan.data.astype(np.float32),
            scan.affine,
            apply_affine(scan.template_to_scan, points),
        )
        white = np.percentile(image, 90)
        volumes.append(float((image < 0.45 * white).sum() * 1.5**3 / 1000))
    assert head.regions.ventricles.sum() * 1.5**3 / 1000 > 15
    assert volumes[0] < volumes[1] < volumes[2]
    assert volumes[2] > 1.3 * volumes[0]


def head_box():
    """Return a 1.5 mm grid of 60 mm around the bodies of the lateral ventricles."""
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    affine[:3, 3] = (-30, -30, -10)
    return affine


def test_single_head_is_a_scan_of_its_spacing():
    data, affine = single_head(seed=1, spacing_mm=4.0)
    assert data.dtype == np.int16
    assert np.allclose(nib.affines.voxel_sizes(affine), 4.0)
    assert sorted(data.shape) == [49, 56, 61]
    assert 100 < np.percentile(data, 99) < 1500


def test_an_existing_dataset_is_not_overwritten(cohort):
    with pytest.raises(CohortError, match="already holds a dataset"):
        write_cohort(cohort, 1, 0)


@pytest.mark.parametrize("spacing_mm", [0.1, 20.0])
def test_spacing_out_of_range_is_refused(tmp_path, spacing_mm):
    with pytest.raises(CohortError, match=f"spacing_mm={spacing_mm}"):
        write_cohort(tmp_path, 1, 0, spacing_mm)


def test_a_cancelled_cohort_has_no_table(tmp_path):
    def stop(progress):
        raise Cancelled

    with pytest.raises(Cancelled):
        write_cohort(tmp_path, 2, 0, 6.0, stop)
    assert not (tmp_path / "participants.tsv").exists()
