from __future__ import annotations

import numpy as np
import pytest

from napari_neuropretrain.data.template import load_template, template_grid
from napari_neuropretrain.gui.scans import template_edges
from napari_neuropretrain.gui.scans.template_edges import BRAIN, TISSUE


def test_lines_lie_on_the_edges_of_the_template(monkeypatch):
    monkeypatch.setattr(template_edges, "FINEST_MM", 2.0)
    lines, affine = template_edges.template_edges((24, 30, 26), 8.0)
    assert lines.shape == (96, 120, 104)
    assert affine[0, 0] == 2.0
    # The box is that of the coarse grid, whose voxels are larger.
    coarse = template_grid((24, 30, 26), 8.0)
    assert affine[:3, 3] - 1.0 == pytest.approx(coarse[:3, 3] - 4.0)
    assert set(np.unique(lines)) == {0, BRAIN, TISSUE}
    assert 0.01 < (lines > 0).mean() < 0.08
    brain = load_template((96, 120, 104), 2.0).brain_mask
    assert brain[lines > 0].all()
    # The template is symmetric.
    left, right = (lines == BRAIN)[:48].sum(), (lines == BRAIN)[48:].sum()
    assert left == pytest.approx(right, rel=0.02)


def test_where_the_grid_cuts_the_brain_there_is_no_line():
    lines, _ = template_edges.template_edges((20, 20, 20), 2.0)
    assert not (lines == BRAIN).any()
