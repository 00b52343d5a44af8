from __future__ import annotations

import pytest

from napari_neuropretrain.gui.account import Account


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
    for loss in (0.5, 0.4):
        values = {"loss": loss, "validation_loss": loss + 0.1, "epoch": 1}
        account.take({"state": "epoch", "step": 1, "total": 2, "values": values})
    assert account.losses == {"loss": [0.5, 0.4], "validation_loss": [0.6, 0.5]}
    assert account.fraction == pytest.approx(5 / 40)


def test_log_lines():
    account = Account()
    assert account.take({"state": "heartbeat", "values": {"rss": 1}}) == ""
    failed = {"state": "item_failed", "message": "sub-03: no brain"}
    assert account.take(failed) == "✗ sub-03: no brain"
    values = {"kind": "model", "path": "/x", "mae": 4.56789}
    metric = {"state": "metric", "message": "Test", "values": values}
    assert account.take(metric) == "Test · mae 4.568"
