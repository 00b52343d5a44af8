"""An interrupted training goes on as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import Cancelled, ConfigError
from napari_neuropretrain.progress import KEEP_BEST, Progress, silent
from napari_neuropretrain.runs.remedies import remedies
from napari_neuropretrain.training import callbacks
from napari_neuropretrain.training.augmentations import Augmentation
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.training.interruption import HeldReport
from napari_neuropretrain.training.memory import Pace
from napari_neuropretrain.training.resume import (
    NEXT,
    OLDER,
    STATE,
    check_settings,
    load_state,
    open_training,
    save_state,
)

# Dropout, so that the random state of the network counts, too.
TOY = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
    "dropout": 0.2,
}
EPOCHS = 3


def settings(cohort: Path, output: Path, **changes: Any) -> FinetuneConfig:
    values: dict[str, Any] = {"cohort": cohort, "output": output, "backbone": TOY}
    values |= {"epochs": EPOCHS, "task": "ad", "device": "cpu", "threads": 1}
    return FinetuneConfig.parse(values | changes)


@pytest.fixture(scope="module")
def unbroken(derivatives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nobody interrupted."""
    torch.set_num_threads(1)
    output = tmp_path_factory.mktemp("unbroken")
    finetune(settings(derivatives, output), silent)
    return output


def stopped_after(epoch: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.state == "epoch" and progress.step == epoch:
            raise Cancelled("enough")

    return report


def tensors(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_file(folder / "model.safetensors")
    return found


def assert_same(one: Path, other: Path) -> None:
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    table = "predictions.tsv"
    assert (one / table).read_text() == (other / table).read_text()


def test_stopped_after_an_epoch_and_started_again(
    derivatives: Path, tmp_path: Path, unbroken: Path
) -> None:
    config = settings(derivatives, tmp_path)
    with pytest.raises(Cancelled):
        finetune(config, stopped_after(2))
    said: list[Progress] = []
    finetune(config, said.append)
    assert [one.step for one in said if one.state == "epoch"] == [3]
    assert any("Going on after epoch 2 of 3" in one.message for one in said)
    assert_same(unbroken, tmp_path)
    again: list[Progress] = []
    finetune(config, again.append)
    assert not [one for one in again if one.state == "epoch"]
    assert any("finished already" in one.message for one in again)
    assert_same(unbroken, tmp_path)


def test_killed_within_an_epoch_with_a_damaged_state(
    derivatives: Path, tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, calls = settings(derivatives, tmp_path), []
    original = Augmentation.__call__

    def fail_in_the_third_epoch(self: Augmentation, images: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) == 8:  # three batches an epoch
            raise OSError("power cut")
        return original(self, images)

    monkeypatch.setattr(Augmentation, "__call__", fail_in_the_third_epoch)
    with pytest.raises(OSError, match="power cut"):
        finetune(config, silent)
    monkeypatch.undo()
    state = tmp_path / "checkpoints" / STATE
    assert torch.load(state, weights_only=True)["epoch"] == 2
    state.write_bytes(state.read_bytes()[:1000])
    said: list[Progress] = []
    finetune(config, said.append)
    assert [one.step for one in said if one.state == "epoch"] == [2, 3]
    assert any("is damaged" in one.message for one in said if one.state == "warning")
    assert_same(unbroken, tmp_path)


def test_other_settings_are_refused_and_named(
    derivatives: Path, unbroken: Path
) -> None:
    config = settings(derivatives, unbroken, learning_rate=0.02, epochs=1)
    with pytest.raises(ConfigError, match=r"epochs was 3, now 1; learning_rate was"):
        finetune(config, silent)


def test_overwrite_begins_anew(tmp_path: Path) -> None:
    open_training(tmp_path, {"epochs": 3}, Pace(4))
    save_state(tmp_path, {"epoch": 1})
    assert open_training(tmp_path, {"epochs": 3}, Pace(4)) == Pace(4)
    assert (tmp_path / STATE).exists()
    check_settings(tmp_path, {"epochs": 5}, overwrite=True)
    open_training(tmp_path, {"epochs": 5}, Pace(4), overwrite=True)
    assert not (tmp_path / STATE).exists()
    save_state(tmp_path, {"epoch": 1})
    with pytest.raises(ConfigError, match=r"epochs was 5, now 6.*overwrite: true"):
        open_training(tmp_path, {"epochs": 6}, Pace(4))


def test_settings_may_change_before_the_first_epoch_is_done(tmp_path: Path) -> None:
    open_training(tmp_path, {"epochs": 3}, Pace(4))
    assert open_training(tmp_path, {"epochs": 5}, Pace(2)) == Pace(2)


def test_two_states_are_kept(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        save_state(tmp_path, {"epoch": epoch, "network": {"a": torch.ones(2)}})
    assert load_state(tmp_path, silent)["epoch"] == 3
    assert torch.load(tmp_path / OLDER, weights_only=True)["epoch"] == 2
    assert {path.name for path in tmp_path.iterdir()} == {STATE, OLDER}


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    open_training(tmp_path, {"epochs": 3}, Pace(4))
    save_state(tmp_path, {"epoch": 1})
    for name in (f".{NEXT}.ab12", NEXT):
        (tmp_path / name).write_bytes(b"half")
    open_training(tmp_path, {"epochs": 3}, Pace(4))
    assert {path.name for path in tmp_path.iterdir()} == {STATE, "training.json"}


def test_a_state_that_wants_to_run_code_is_left_aside(tmp_path: Path) -> None:
    touched = tmp_path / "touched"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (touched,)

    torch.save({"epoch": Malicious()}, tmp_path / STATE)
    said: list[Progress] = []
    assert load_state(tmp_path, said.append) is None
    assert [one.state for one in said] == ["warning"]
    assert not touched.exists()


def wish_in(epoch: int, output: Path) -> Callable[[Progress], None]:
    """Ask for the best weights once an epoch has begun."""

    def report(progress: Progress) -> None:
        if progress.state == "step" and progress.values.get("epoch") == epoch:
            (output / KEEP_BEST).touch()

    return report


def test_a_training_that_is_enough_ends_as_usual_and_can_go_on(
    unbroken: Path, derivatives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "_STEP_REPORT_S", 0)
    ended: list[Progress] = []
    wish = wish_in(2, tmp_path)

    def report(progress: Progress) -> None:
        wish(progress)
        ended.append(progress)

    outcome = finetune(settings(derivatives, tmp_path), report)
    assert outcome.results["model"]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["test"]["n"] > 0
    words = "Ended on request in epoch 2; epoch 1 is kept."
    assert any(one.message == words for one in ended)
    assert not any(one.state == "epoch" and one.step == 2 for one in ended)
    # The weights are those of the best epoch, which was the first one.
    best = load_file(tmp_path / "checkpoints" / "best.safetensors")
    assert all(torch.equal(tensor, best[n]) for n, tensor in tensors(tmp_path).items())
    (tmp_path / KEEP_BEST).unlink()
    finetune(settings(derivatives, tmp_path), silent)
    assert_same(unbroken, tmp_path)


def test_before_the_first_epoch_there_is_no_best_yet(
    derivatives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "_STEP_REPORT_S", 0)
    said: list[Progress] = []
    wish = wish_in(1, tmp_path)

    def report(progress: Progress) -> None:
        wish(progress)
        said.append(progress)

    finetune(settings(derivatives, tmp_path), report)
    messages = [one.message for one in said if one.state == "warning"]
    wished = messages.index(
        "No epoch is judged yet: the training ends after the first one."
    )
    assert messages[wished + 1] == "Ended on request in epoch 1; epoch 1 is kept."
    assert [one.step for one in said if one.state == "epoch"] == [1]


def test_half_the_batch_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    given = {"batch_size": 8, "accumulate": 1, "epochs": 3}
    open_training(tmp_path, given, Pace(8))
    save_state(tmp_path, {"epoch": 1})
    half = given | {"batch_size": 4, "accumulate": 2}
    assert open_training(tmp_path, half, Pace(4, 2)) == Pace(4, 2)
    assert open_training(tmp_path, given, Pace(8)) == Pace(4, 2)
    with pytest.raises(ConfigError, match="batch_size was 8, now 4"):
        check_settings(tmp_path, given | {"batch_size": 4})
    with pytest.raises(ConfigError, match="accumulate was 1, now 2"):
        check_settings(tmp_path, given | {"accumulate": 2})


def test_half_of_an_odd_batch_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    config = settings(tmp_path, tmp_path, batch_size=5, accumulate=2)
    given = {"batch_size": 5, "accumulate": 2}
    open_training(tmp_path, given, Pace(5, 2))
    save_state(tmp_path, {"epoch": 1})
    half = remedies(config, "memory")[0].config.model_dump()
    pace = Pace(half["batch_size"], half["accumulate"])
    assert pace == Pace(5, 2).halved() == Pace(2, 5)
    asked = {name: half[name] for name in given}
    assert open_training(tmp_path, asked, pace) == pace
    # One volume of an odd batch without accumulation is left out.
    other = tmp_path / "other"
    open_training(other, {"batch_size": 5, "accumulate": 1}, Pace(5))
    save_state(other, {"epoch": 1})
    check_settings(other, {"batch_size": 2, "accumulate": 2})
    with pytest.raises(ConfigError, match="accumulate was 1, now 3"):
        check_settings(other, {"batch_size": 2, "accumulate": 3})


def test_a_rest_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def rest(progress: Progress) -> None:
        now[0] += 50

    held = HeldReport(rest)
    held(Progress("step"))
    assert held.take_rest() == 50
    assert held.take_rest() == 0
