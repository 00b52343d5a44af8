"""Pre-training from every kind of source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from napari_neuropretrain.config.options.methods import SupervisedOptions, YAwareOptions
from napari_neuropretrain.config.trainings import PretrainConfig
from napari_neuropretrain.errors import CohortError, ConfigError, ImageError
from napari_neuropretrain.progress import Failure, Progress, silent
from napari_neuropretrain.training.pretrain import pretrain
from napari_neuropretrain.training.pretrain_cohort import scans_of
from napari_neuropretrain.training.source_labels import source_labels
from napari_neuropretrain.training.source_volumes import KeptVolumes, SourceDataset
from napari_neuropretrain.weights.encoder_file import load_encoder

DENSE = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}


class ToySource:
    """Six volumes that hold their number; the third cannot be read."""

    shape = (2, 2, 2)
    contract = None
    failures: tuple[Failure, ...] = ()
    ids = ("a", "a", "b", "c", "d", "e")
    words = ("blue", "red")

    def __init__(self) -> None:
        self.reads = 0

    def __len__(self) -> int:
        return 6

    def volume(self, index: int) -> Tensor:
        self.reads += 1
        if index == 2:
            raise ImageError("'b.nii' is damaged.")
        return torch.full((1, 2, 2, 2), float(index))

    def label(self, index: int, name: str) -> float | None:
        if name == "colour":
            return None if index == 5 else float(index % 2)
        return float(index)

    def classes(self, name: str) -> tuple[str, ...]:
        return self.words if name == "colour" else ()


def test_one_damaged_volume_gives_its_place_to_the_next() -> None:
    source, said = ToySource(), []
    volumes = KeptVolumes(source, said.append)
    dataset = SourceDataset(volumes, [0, 2, 3], torch.tensor([10.0, 12.0, 13.0]))
    seen = [(float(v.max()), float(t)) for v, t in (dataset[i] for i in range(3))]
    assert seen == [(0, 10), (3, 13), (3, 13)]
    assert [one.state for one in said] == ["item_failed"]
    assert volumes.failures[2].item == "b"
    reads = source.reads
    _ = dataset[0], dataset[1], dataset[2]
    assert source.reads == reads  # kept, and the damaged one is not tried again
    with pytest.raises(ImageError, match="None of 1 volumes"):
        SourceDataset(volumes, [2], torch.zeros(1))[0]


def test_volumes_beyond_the_memory_are_read_again() -> None:
    source = ToySource()
    volumes = KeptVolumes(source, silent, limit_bytes=4 * 8)
    for _ in range(2):
        assert volumes.get(0) is not None
        assert volumes.get(1) is not None
    assert source.reads == 3


def test_a_second_volume_of_a_person_is_a_session() -> None:
    assert [one.key for one in scans_of(ToySource())][:3] == ["a", "a_ses-2", "b"]


def test_words_become_groups_or_classes() -> None:
    source = ToySource()
    binary = SupervisedOptions(label="colour", positive=("Red",), negative=("BLUE",))
    known, classes, failures = source_labels(source, binary, silent)
    assert known[:5] == [0, 1, 0, 1, 0]
    assert classes == 0
    assert [one.item for one in failures] == ["e"]
    several = SupervisedOptions(label="colour", kind="classes")
    assert source_labels(source, several, silent)[1] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (SupervisedOptions(label="number", kind="classes"), "no classes.*numbers"),
        (YAwareOptions(label="colour"), "must be a number.*'blue', 'red'"),
        (SupervisedOptions(label="colour"), "No volume has a positive value"),
        (
            SupervisedOptions(label="colour", positive=("red",), negative=("Red",)),
            "cannot be both",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(options: Any, message: str) -> None:
    with pytest.raises(CohortError, match=message):
        source_labels(ToySource(), options, silent)


def test_one_source_at_a_time() -> None:
    with pytest.raises(ConfigError, match="give a cohort, or choose another"):
        PretrainConfig.parse({"output": "o"})
    with pytest.raises(ConfigError, match="excludes the cohort"):
        PretrainConfig.parse({"output": "o", "cohort": "c", "source": "video"})
    both = {"output": "o", "source": {"name": "cohort", "path": "there"}}
    assert PretrainConfig.parse(both).source.name == "cohort"


def test_synthetic_participants_need_no_files(tmp_path: Path) -> None:
    source = {"name": "template_cohort", "participants": 12, "spacing_mm": 4}
    values: dict[str, Any] = {"output": tmp_path, "backbone": DENSE, "epochs": 1}
    values |= {"source": source | {"shape": 32}, "device": "cpu", "threads": 1}
    method = {"name": "supervised", "label": "diagnosis", "kind": "classes"}
    said: list[Progress] = []
    outcome = pretrain(PretrainConfig.parse(values | {"method": method}), said.append)
    (epoch,) = [one.values for one in said if one.state == "epoch"]
    assert 0 <= epoch["validation_accuracy"] <= 1
    _, card = load_encoder(Path(outcome.results["encoder"]))
    assert card.trained_on == "12 volumes of the source template_cohort"
    assert card.cohort.split_of("sub-template0n000001") in ("train", "validation")
    assert card.training["source"]["participants"] == 12
    assert card.cohort.age_range is not None
    assert sum(card.cohort.sexes.values()) == 11  # those of the training part
