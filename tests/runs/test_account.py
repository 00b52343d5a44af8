from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import napari_neuropretrain
from napari_neuropretrain.runs.account import SCAN_STEPS, Account


def test_position_and_time_left_of_a_stage():
    account = Account()
    line = {"state": "step", "message": "Registering", "step": 0, "total": 10}
    account.take({**line, "time": 100.0})
    assert account.stage == "Registering · 0 of 10"
    account.take({"state": "step", "step": 2, "total": 10, "time": 104.0})
    assert account.fraction == pytest.approx(0.2)
    assert account.stage == "Registering · 2 of 10 · about 16 s left"
    account.take({**line, "message": "Next", "total": 4, "time": 110.0})
    assert account.stage == "Next · 0 of 4"


def test_losses_are_kept_per_epoch_and_not_per_step():
    account = Account()
    account.take({"state": "step", "step": 5, "total": 40, "values": {"loss": 9.0}})
    for epoch, loss in enumerate((0.5, 0.4), start=1):
        values = {"loss": loss, "validation_loss": loss + 0.1, "epoch": epoch}
        account.take({"state": "epoch", "step": epoch, "total": 2, "values": values})
    losses = account.curves.groups["Loss"]
    assert losses["loss"].values == [0.5, 0.4]
    assert losses["validation_loss"].values == [0.6, 0.5]
    assert account.fraction == pytest.approx(5 / 40)


def test_log_lines():
    account = Account()
    assert account.take({"state": "heartbeat", "values": {"rss": 1}}) == ""
    failed = {"state": "item_failed", "message": "sub-03: no brain"}
    assert account.take(failed) == "✗ sub-03: no brain"
    values = {"kind": "model", "path": "/x", "mae": 4.56789}
    metric = {"state": "metric", "message": "Test", "values": values}
    assert account.take(metric) == "Test · mae 4.568"


def test_one_scan_says_which_step_it_is_at():
    account = Account()
    step = {"state": "step", "message": "registration", "step": 2, "total": 5}
    assert account.take({**step, "time": 9.0}) == "step 3 of 5: registration"
    assert account.stage == "step 3 of 5: registration"
    assert account.fraction == pytest.approx(0.4)
    account.take({"state": "item_done", "step": 1, "total": 1, "time": 30.0})
    assert account.fraction == 1


def test_a_cohort_says_which_scan_and_how_long_still():
    account = Account()
    item = {"state": "item_done", "message": "sub", "total": 4}
    skipped = {**item, "step": 1, "values": {"status": "skipped"}, "time": 101.0}
    account.take({"state": "step", "message": "brain mask", "total": 5, "time": 100.0})
    account.take(skipped)
    assert account.stage == "scan 2 of 4"  # nothing is known about the speed yet
    account.take({**item, "step": 2, "values": {"status": "done"}, "time": 131.0})
    assert account.stage == "scan 3 of 4 · about 60 s left"
    step = {"state": "step", "message": "bias field", "step": 1, "total": 5}
    account.take({**step, "time": 140.0})
    assert account.stage == "scan 3 of 4 · step 2 of 5: bias field · about 60 s left"
    assert account.fraction == pytest.approx(2.2 / 4)
    failed = {**item, "state": "item_failed", "step": 3, "time": 161.0}
    assert account.take(failed) == "✗ sub"
    account.take({**item, "step": 4, "time": 190.0})
    assert (account.stage, account.fraction) == ("4 of 4 scans", 1)


def test_steps_are_called_what_the_engine_calls_them():
    source = Path(napari_neuropretrain.__file__).parent / "preprocessing/pipeline.py"
    found = re.search(
        r"^STEPS = (\(.*?\))", source.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found
    assert set(ast.literal_eval(found[1])) <= set(SCAN_STEPS)
