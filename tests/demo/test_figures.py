"""Pictures and choices of the demo, without running it."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from matplotlib.image import imread

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.demo.figures import draw_occlusion, draw_training, slice_of
from napari_neuropretrain.demo.report import table_of
from napari_neuropretrain.demo.run import choose_participant
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


def test_evidence_for_is_red_and_evidence_against_is_blue():
    shape = (16, 16, 16)
    contract = PreprocessingContract(shape=shape, spacing_mm=8.0)
    brain = np.ones(shape, dtype=bool)
    scan = Derivative(
        np.zeros(shape, np.float32),
        np.diag([8.0, 8, 8, 1]),
        brain,
        np.eye(4),
        contract,
        {},
    )
    occlusion = np.zeros(shape, dtype=np.float32)
    occlusion[8, 8, 8] = 0.5
    flat = np.zeros(shape, dtype=bool)
    above = decode(draw_occlusion(scan, occlusion, flat, 0.1, "probability"))
    below = decode(draw_occlusion(scan, -occlusion, flat, 0.1, "probability"))
    left = slice(0, int(above.shape[1] * 0.7))  # without the colour bar
    redder = (above[:, left, 0] - above[:, left, 2]).max()
    bluer = (below[:, left, 2] - below[:, left, 0]).max()
    assert redder > 0.2
    assert bluer > 0.2


def test_the_training_curve_is_a_picture():
    epochs = [
        {"epoch": number, "loss": 1 / number, "validation_loss": 1.1 / number}
        for number in (1, 2, 3)
    ]
    assert decode(draw_training(epochs)).std() > 0.05


def test_tables_are_escaped():
    assert "<script>" not in table_of(["a"], [["<script>"]])


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
