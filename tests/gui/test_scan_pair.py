from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_neuropretrain.gui.jobs.results import load_result
from napari_neuropretrain.gui.scans import layers, view
from napari_neuropretrain.gui.scans.scan_pair import (
    find_preproc,
    pair_layers,
    preproc_of,
)

pytestmark = pytest.mark.usefixtures("quick_edges")


def visible(viewer):
    return [layer.name for layer in viewer.layers if layer.visible]


def test_before_and_after_are_shown_one_at_a_time(derivatives):
    viewer = ViewerModel()
    other = viewer.add_image(np.ones((4, 4, 4)), name="other")
    preproc = preproc_of(derivatives, "sub-02", None)
    view.add_layers(viewer, pair_layers(preproc))
    before = ["sub-02_T1w", "sub-02_desc-brain_mask"]
    after = ["sub-02_space-MNI152_desc-preproc_T1w", "template edges"]
    assert [layer.name for layer in viewer.layers][1:] == before + after
    assert view.sides_of(viewer) == {layers.BEFORE, layers.AFTER}
    assert visible(viewer) == before
    assert not other.visible
    assert viewer.layers[before[1]].contour == 1
    note = viewer.canvas.overlays["text"]
    assert note.text.startswith("Before: scan with its brain mask\nup: front")
    # The slices go through the middle of the mask: voxel 10, 12, 10 at 2 mm.
    assert viewer.dims.point == pytest.approx((20, 24, 20))
    view.show_side(viewer, layers.AFTER)
    assert visible(viewer) == after
    assert viewer.layers[after[1]].contour == 0
    assert note.text.startswith("After: aligned, with the template's edges\nup: front")
    assert viewer.layers.selection.active.name == after[0]


def test_planes_and_3d_leave_the_other_side_hidden(derivatives):
    viewer = ViewerModel()
    view.add_layers(viewer, pair_layers(preproc_of(derivatives, "sub-01", None)))
    view.show_side(viewer, layers.AFTER)
    after = visible(viewer)
    view.show_3d(viewer)
    assert visible(viewer) == after[:1]  # labels are opaque in 3D
    view.show_side(viewer, layers.BEFORE)
    assert visible(viewer) == ["sub-01_T1w"]
    view.show_plane(viewer, "Coronal")
    assert visible(viewer) == ["sub-01_T1w", "sub-01_desc-brain_mask"]


def test_the_next_scan_replaces_the_last_and_keeps_side_and_slice(derivatives):
    viewer = ViewerModel()
    view.add_layers(viewer, pair_layers(preproc_of(derivatives, "sub-01", None)))
    view.show_side(viewer, layers.AFTER)
    viewer.dims.point = (6, 8, 10)
    view.add_layers(viewer, pair_layers(preproc_of(derivatives, "sub-03", None)))
    assert len(viewer.layers) == 4
    assert view.side_shown(viewer) == layers.AFTER
    assert viewer.dims.point == pytest.approx((6, 8, 10))


def test_without_the_raw_scan_there_is_only_after(derivatives, tmp_path):
    (tmp_path / "raw" / "sub-01_T1w.nii.gz").unlink()
    viewer = ViewerModel()
    view.add_layers(viewer, pair_layers(preproc_of(derivatives, "sub-01", None)))
    assert view.sides_of(viewer) == {layers.AFTER}
    assert view.side_shown(viewer) == layers.AFTER


def test_the_scan_that_was_given_is_shown(derivatives, tmp_path):
    raw = tmp_path / "raw" / "sub-02_T1w.nii.gz"
    assert find_preproc(derivatives).parts[-3] == "sub-01"
    assert find_preproc(derivatives, raw).parts[-3] == "sub-02"
    assert find_preproc(derivatives, tmp_path / "other.nii.gz") is None
    assert find_preproc(tmp_path / "raw") is None
    assert preproc_of(derivatives, "sub-09", None) is None
    shown = load_result("derivatives", derivatives, raw)
    assert shown.layers[0][1]["name"] == "sub-02_T1w"
    assert shown.layers[0][1]["metadata"]["path"] == str(raw)


def test_quality_is_counted_and_can_be_reviewed(derivatives, tmp_path):
    shown = load_result("quality", derivatives / "quality.html")
    assert shown.text == "Quality: 1 keep, 1 look, 1 reject."
    assert shown.quality == derivatives
    assert load_result("quality", tmp_path / "quality.html").quality is None
