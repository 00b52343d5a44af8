"""Pictures and choices of the demo, without running it."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from matplotlib.image import imread

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.demo.figures import draw_mosaic, slice_of
from napari_neuropretrain.demo.steps import choose_participant
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.preprocessing.derivatives import Derivative


def decode(element: str) -> np.ndarray:
    data = element.split("base64,")[1].split('"')[0]
    return imread(io.BytesIO(base64.b64decode(data)))[..., :3]


def test_the_top_of_the_head_is_up_and_left_is_left():
    volume = np.zeros((4, 5, 6))
    volume[0, 2, 5] = 1.0  # left, top
    coronal = slice_of(volume, axis=1, index=2)
    assert coronal.shape == (6, 4)
    assert coronal[0, 0] == 1.0


def test_the_mosaic_shows_each_scan():
    shape = (16, 16, 16)
    contract = PreprocessingContract(shape=shape, spacing_mm=8.0)
    brain = np.zeros(shape, dtype=bool)
    brain[4:12, 4:12, 4:12] = True
    image, affine = np.zeros(shape, np.float32), np.diag([8.0, 8, 8, 1])
    scan = Derivative(image, affine, brain, np.eye(4), contract, {})
    assert decode(draw_mosaic([("sub-01", scan), ("sub-02", scan)])).std() > 0.05


def test_the_surest_held_out_ad_participant_is_explained(tmp_path):
    table = tmp_path / "predictions.tsv"
    lines = [
        "participant_id\tsplit\tlabel\tprediction\tpredicted_label",
        "sub-01\ttrain\tAD\t0.99\tAD",
        "sub-02\ttest\tCN\t0.95\tAD",
        "sub-03\ttest\tAD\t0.70\tAD",
        "sub-04\ttest\tAD\t0.90\tAD",
    ]
    table.write_text("\n".join(lines))
    assert choose_participant(table) == "sub-04"
    table.write_text("\n".join(lines[:3]))
    with pytest.raises(CohortError, match="no held-out participant with AD"):
        choose_participant(table)
