"""From a plan to the trainings it asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_neuropretrain.benchmark.cells import Matrix
from napari_neuropretrain.benchmark.matrix import expand, read_plan
from napari_neuropretrain.benchmark.published import read_published
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.resources import resource_path

WritePlan = Callable[..., Path]


def matrix_of(write_plan: WritePlan, folder: Path, **changes: Any) -> Matrix:
    plan = read_plan(write_plan(folder / "plan.yaml", **changes))
    return expand(plan, folder / "out")


def test_every_combination_is_there_once(write_plan: WritePlan, tmp_path: Path) -> None:
    tasks = {
        "ad": {"task": "ad", "cohort": "home", "zero_shot": ["away"]},
        "age": {"task": "brain_age", "cohort": "home", "training_fractions": [1.0]},
    }
    changes: dict[str, Any] = {"tasks": tasks, "training_fractions": [0.5, 1.0]}
    changes |= {"tunings": ["full", "top"]}
    found = matrix_of(write_plan, tmp_path, **changes)
    # ad: 2 shares x 2 seeds x (scratch + 2 tunings), age: 2 seeds x the same 3.
    assert len(found.cells) == 12 + 6
    assert len({cell.key for cell in found.cells}) == 18
    scratch = [one for one in found.cells if one.setting.initialisation == "scratch"]
    assert {one.setting.tuning for one in scratch} == {"full"}
    assert {one.needs for one in scratch} == {""}
    others = [one for one in found.cells if one not in scratch]
    assert {one.needs for one in others} == {"tiny/pretrained"}
    assert [one.key for one in found.pretrainings] == ["tiny/pretrained"]
    start = str(found.pretrainings[0].config.output)
    assert {one.config.initial_weights for one in others} == {start}


def test_trainings_share_one_division(write_plan: WritePlan, tmp_path: Path) -> None:
    starts = {"scratch": {}, "own": {"cohort": "home", "pretrain": {"method": "mae"}}}
    found = matrix_of(write_plan, tmp_path, initialisations=starts)
    splits = tmp_path / "out" / "splits" / "home" / "splits.tsv"
    assert list(found.splits) == ["home"]
    assert found.splits["home"].label == "diagnosis"
    assert {Path(one.config.splits) for one in found.cells} == {splits}
    # Pre-training on the same people leaves their test part out.
    assert Path(found.pretrainings[0].config.splits) == splits
    other = matrix_of(write_plan, tmp_path)
    assert Path(other.pretrainings[0].config.splits) == Path("-")


def test_linear_models_are_trained_once_a_division(
    write_plan: WritePlan, tmp_path: Path
) -> None:
    found = matrix_of(write_plan, tmp_path, training_fractions=[0.5, 1.0])
    with_them = [one.key for one in found.cells if one.config.baselines]
    assert with_them == [
        "ad/tiny/scratch/full-50pct-seed0",
        "ad/tiny/scratch/full-50pct-seed1",
        "ad/tiny/scratch/full-100pct-seed0",
        "ad/tiny/scratch/full-100pct-seed1",
    ]


def test_nearer_settings_win(write_plan: WritePlan, tmp_path: Path) -> None:
    starts = {"scratch": {"finetune": {"epochs": 7}}, "known": "openmind_resenc_l_mae"}
    plan = {"finetune": {"epochs": 3, "batch_size": 2}, "initialisations": starts}
    first, *_, last = matrix_of(write_plan, tmp_path, **plan).cells
    assert (first.config.epochs, last.config.epochs) == (7, 3)
    assert first.config.batch_size == 2
    assert last.config.initial_weights == "openmind_resenc_l_mae"
    assert last.zero_shot["away"].bootstraps == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tasks": {"ad": {"task": "ad", "cohort": "hom"}}},
            r"'ad' names cohorts that the plan lacks: hom. It has home, away, other",
        ),
        (
            {"initialisations": {"a": {"weights": "w", "pretrain": {"epochs": 2}}}},
            "give weights or a pre-training, not both",
        ),
        ({"seeds": [1, 1]}, "each once"),
        ({"finetune": {"seed": 3}}, "seed cannot be set for all cells"),
        ({"finetune": {"epoch": 3}}, "epoch: unknown setting"),
        ({"backbones": {"a/b": "nit"}}, "a/b"),
        ({"colour": 1}, "colour: unknown setting"),
    ],
)
def test_mistakes_are_named(
    write_plan: WritePlan, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        matrix_of(write_plan, tmp_path, **changes)


def test_relative_paths_start_at_the_plan(
    write_plan: WritePlan, tmp_path: Path
) -> None:
    for name in ("maps", "synthetic"):
        (tmp_path / name).mkdir()
    source = {"name": "label_maps", "path": "synthetic"}
    changes: dict[str, Any] = {
        "finetune": {"regions": "maps", "epochs": 2},
        "evaluate": {"regions": "elsewhere"},
        "initialisations": {"scratch": {}, "made": {"pretrain": {"source": source}}},
    }
    found = matrix_of(write_plan, tmp_path, **changes)
    assert {one.config.regions for one in found.cells} == {tmp_path / "maps"}
    options = found.pretrainings[0].config.source.options
    assert options.path == tmp_path / "synthetic"  # type: ignore[attr-defined]
    tests = [one for cell in found.cells for one in cell.zero_shot.values()]
    # What is not there stays, and is an error of its own later.
    assert {one.regions for one in tests} == {Path("elsewhere")}


@pytest.mark.parametrize("name", ["toy.yaml", "ixi.yaml"])
def test_plans_of_the_docs_can_be_expanded(name: str, tmp_path: Path) -> None:
    found = expand(read_plan(resource_path("benchmarks") / name), tmp_path)
    assert len(found.cells) == {"toy.yaml": 24, "ixi.yaml": 48}[name]


def test_the_paper(tmp_path: Path) -> None:
    """Its plan asks for every number of its Tables 2, 3 and 4."""
    plan = read_plan(resource_path("benchmarks") / "paper.yaml")
    found = expand(plan, tmp_path)
    assert [one.key for one in found.pretrainings] == [
        "vit_8m/ukb_masked",
        "minit/ldm_supervised",
        "densenet121/ukb_contrastive",
        "densenet121/adni_contrastive",
        "densenet121/ldm_contrastive",
    ]
    printed = read_published(plan.published)
    # 13 rows of 5 numbers, 6 of 4 (AD is that of Table 2) and 10 of 1.
    assert len(printed) == 65 + 24 + 10
    asked = {
        (place.task, place.backbone, place.initialisation, place.fraction, cohort)
        for one in found.cells
        for cohort in (one.cohort, *one.zero_shot)
        if (place := one.setting)
    }
    assert {place[:5] for place in printed} <= asked
    known = ("ad", "swin_t", "kinetics_supervised", 1.0, "ADNI", "roc_auc")
    assert str(printed[known]) == "0.924"
    spread = ("ad", "densenet121", "ldm_contrastive", 1.0, "OASIS", "roc_auc")
    assert str(printed[spread]) == "0.724 (0.059)"
