"""A toy cohort, and a training that only says what a real one would say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from napari_neuropretrain.benchmark.launching import Order
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.derivatives import write_derivative
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.runs import EXIT_DONE, EXIT_STOPPED
from napari_neuropretrain.search import trial as trial_module

EDGE = 16
TOY: dict[str, Any] = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 people; those with the disease are brighter in front."""
    root = tmp_path_factory.mktemp("search") / "cohort"
    contract = PreprocessingContract(shape=(EDGE, EDGE, EDGE))
    lines = ["participant_id\tage\tsex\tdiagnosis"]
    inside = np.zeros((EDGE, EDGE, EDGE), bool)
    inside[3:13, 3:13, 3:13] = True
    for number in range(24):
        name, ill = f"sub-{number:02d}", number % 2
        image = np.random.default_rng(number).normal(0, 1, inside.shape)
        image[:, 8:] += 2 * ill
        image = np.where(inside, image, 0).astype(np.float32)
        affine = np.diag([2.0, 2.0, 2.0, 1.0])
        done = Preprocessed(image, affine, inside, inside, np.eye(4), {})
        raw = Volume.from_native(image, affine)
        scan = Scan(name, None, Path("raw.nii.gz"))
        write_derivative(root, scan, raw, done, contract, {"Path": "raw.nii.gz"})
        sex, group = "MF"[number // 2 % 2], ("CN", "AD")[ill]
        lines.append(f"{name}\t{40 + number}\t{sex}\t{group}")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def write_base(cohort: Path) -> Callable[..., Path]:
    """``write_base(path, **changes)`` writes settings of a toy fine-tuning."""

    def write(path: Path, **changes: Any) -> Path:
        values = {"cohort": str(cohort), "task": "ad", "backbone": TOY, "epochs": 6}
        values |= {"device": "cpu", "threads": 1, "validation_fraction": 0.25}
        path.write_text(yaml.safe_dump(values | changes))
        return path

    return write


class Pretend:
    """Stands for `launch`: writes the events of a training, and no network.

    The metric of epoch e is `curve(settings, e)`; `keys` are the trials that began,
    `epochs` how many epochs each of them had.
    """

    def __init__(self, curve: Callable[[dict[str, Any], int], float]) -> None:
        self.curve = curve
        self.keys: list[str] = []
        self.epochs: dict[str, int] = {}
        self.settings: dict[str, dict[str, Any]] = {}

    def __call__(self, order: Order, device: str = "", beat: Any = None) -> int:
        if order.stop.exists():
            return EXIT_STOPPED
        ((_, values),) = order.steps
        self.keys.append(order.key)
        self.settings[order.key] = values
        folder = Path(values["output"])
        folder.mkdir(parents=True, exist_ok=True)
        for epoch in range(1, values["epochs"] + 1):
            self.epochs[order.key] = epoch
            self._say(folder, epoch, self.curve(values, epoch))
            beat()
        (folder / "model.json").write_text("{}")
        return EXIT_DONE

    def _say(self, folder: Path, epoch: int, value: float) -> None:
        values = {"epoch": epoch, "validation_loss": 1 / epoch, "best": True}
        values |= {"metric": "roc_auc", "roc_auc": value}
        with (folder / "events.jsonl").open("a") as file:
            file.write(json.dumps({"state": "epoch", "values": values}) + "\n")


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pretend]:
    """``pretend(curve)`` puts a pretended training in place of the real one."""

    def begin(curve: Callable[[dict[str, Any], int], float]) -> Pretend:
        stand_in = Pretend(curve)
        monkeypatch.setattr(trial_module, "launch", stand_in)
        return stand_in

    return begin


@pytest.fixture
def rows_of() -> Callable[[Path], Sequence[dict[str, str]]]:
    """``rows_of(path)`` reads a TSV file."""

    def read(path: Path) -> Sequence[dict[str, str]]:
        head, *rows = [line.split("\t") for line in path.read_text().splitlines()]
        return [dict(zip(head, row, strict=True)) for row in rows]

    return read
