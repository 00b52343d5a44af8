from __future__ import annotations

import json
import os

from napari_neuropretrain.gui.explanation.map_files import (
    MapFiles,
    files_of,
    maps_below,
    report_of,
    title_of,
)


def test_what_lies_beside_a_map(run, tmp_path):
    (run.parent / "config.yaml").write_text("regions: harvard_oxford\n")
    folder, key = run.parent, "sub-01_space"
    scan = tmp_path / "raw/sub-01_T1w.nii.gz"
    preproc = folder / f"preprocessed/{key}-MNI152_desc-preproc_T1w.nii.gz"
    wanted = MapFiles(
        template=run,
        own=folder / f"{key}-T1w_desc-occlusion_map.nii.gz",
        template_t1=preproc,
        own_t1=scan,
        randomised=folder / f"{key}-MNI152_desc-randomised_map.nii.gz",
        regions="harvard_oxford",
    )
    assert files_of(run) == wanted
    # From the map on the scan, the same.
    assert files_of(wanted.own) == wanted
    random = files_of(wanted.randomised)
    assert (random.main, random.own) == (run, None)
    # Without events, by the explanation and by names.
    (folder / "events.jsonl").write_text("not json")
    assert files_of(run) == wanted


def test_what_a_run_before_left_is_not_of_a_map_that_was_stopped(run):
    note, page = run.with_name("sub-01_explanation.json"), run.with_name("report.html")
    page.write_text("of the run before")
    assert report_of(run) == page
    os.utime(page, (1, 1))
    assert report_of(run) is None
    note.write_text(json.dumps({"complete": False, "checks": None}))
    assert files_of(run).randomised is None
    note.unlink()
    assert report_of(run) == page


def test_a_map_alone(run):
    for path in list(run.parent.iterdir()):
        if path != run and path.is_file():
            path.unlink()
    (run.parent / "preprocessed").rename(run.parent / "away")
    assert files_of(run) == MapFiles(template=run)
    assert title_of(run) == "a (occlusion)"


def test_maps_of_the_same_scan_and_space(run, make_run, tmp_path):
    other = make_run(tmp_path / "deep/er", "second")
    stranger = other.with_name(other.name.replace("sub-01", "sub-02"))
    stranger.write_bytes(other.read_bytes())
    assert maps_below(tmp_path, run) == [run, other]
    assert maps_below(tmp_path) == [run, other, stranger]
    assert title_of(other) == "second (occlusion)"
