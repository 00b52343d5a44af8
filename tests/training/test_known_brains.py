"""Leaks between stages, from the command line: by name, and by what volumes show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from napari_neuropretrain.cli.main import main
from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.split_files import write_splits

TOY = "{name: tiny_densenet, init_features: 4, growth_rate: 4, block_config: [2, 2]}"
LIGHT = {"device": "cpu", "threads": 1}
WriteCohort = Callable[[str, Sequence[tuple[str, int]]], Path]


def run(job: str, **values: Any) -> int:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    return main([job, *flags])


@pytest.fixture(scope="module")
def write_cohort(
    tmp_path_factory: pytest.TempPathFactory, module_volume: Callable[..., Path]
) -> WriteCohort:
    """``write_cohort(folder, people)``: (name, brain) of each."""
    root = tmp_path_factory.mktemp("cohorts")

    def write(folder: str, people: Sequence[tuple[str, int]]) -> Path:
        lines = ["participant_id\tage\tdiagnosis"]
        for number, (name, brain) in enumerate(people):
            # The darker back is another contrast: a second scan, not a copy.
            scan = Scan(f"sub-{name}", None, Path("x"))
            module_volume(root / folder, scan, brain, 0.0, 0.1 * (folder != "big"))
            lines.append(f"{scan.participant}\t{50 + number}\t{'CA'[number % 2]}N")
        table = "\n".join(lines).replace("AN", "AD")
        (root / folder / "participants.tsv").write_text(table + "\n")
        return root / folder

    return write


@pytest.fixture(scope="module")
def encoder(
    write_cohort: WriteCohort, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A network pre-trained on fourteen people, brains 0 to 13."""
    cohort = write_cohort("big", [(f"P{n:02d}", n) for n in range(14)])
    output = tmp_path_factory.mktemp("encoder") / "run"
    values = {"method": "reconstruction", "backbone": TOY, "epochs": 1, **LIGHT}
    values |= {"batch_size": 4, "probe": "none"}
    assert run("pretrain", cohort=cohort, output=output, **values) == 0
    return output


def fine_tune(
    cohort: Path, people: Sequence[str], encoder: Path, output: Path, **more: Any
) -> int:
    """Fine-tune on twelve people; the last four are the test."""
    parts = ("train",) * 5 + ("validation",) * 3 + ("test",) * 4
    names = [f"sub-{name}" for name in people]
    splits = write_splits(
        output.with_suffix(".tsv"), dict(zip(names, parts, strict=True))
    )
    values = {"task": "ad", "backbone": TOY, "epochs": 1, "batch_size": 4, **LIGHT}
    values |= {"baselines": "false", "initial_weights": encoder, "splits": splits}
    return run("finetune", cohort=cohort, output=output, **values, **more)


def test_a_test_person_of_the_pretraining_is_named(
    write_cohort: WriteCohort,
    encoder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [f"S{n:02d}" for n in range(12)]
    brains = [20 + n for n in range(12)]
    by_name = [*names[:11], "P03"]
    cohort = write_cohort("by_name", list(zip(by_name, brains, strict=True)))
    assert fine_tune(cohort, by_name, encoder, tmp_path / "a") == 1
    assert "1 of 4 participants of the test part were in" in capsys.readouterr().err
    by_brain = [*brains[:10], 5, 31]  # S10 is P05 of the pre-training
    cohort = write_cohort("by_brain", list(zip(names, by_brain, strict=True)))
    assert fine_tune(cohort, names, encoder, tmp_path / "b") == 1
    said = capsys.readouterr().err
    assert "learned from, under other names: sub-S10 shows the brain of sub-P05" in said
    allowed = {"allow_leakage": "true"}
    assert fine_tune(cohort, names, encoder, tmp_path / "b", **allowed) == 0
    assert fine_tune(cohort, names, encoder, tmp_path / "c", find_repeats="false") == 0


def test_a_person_of_another_cohort_is_known_through_two_trainings(
    write_cohort: WriteCohort,
    encoder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [f"S{n:02d}" for n in range(12)]
    mine = write_cohort("mine", [(name, 40 + n) for n, name in enumerate(names)])
    model = tmp_path / "model"
    assert fine_tune(mine, names, encoder, model) == 0
    # Brain 8 was in the pre-training, 41 in the training, 51 only in the test.
    brains = [8, 41, 51, *range(60, 71)]
    people = [(f"X{n:02d}", brain) for n, brain in enumerate(brains)]
    cohort = write_cohort("elsewhere", people)
    values = {"model": model, "cohorts": cohort, "bootstraps": 0, "permutations": 0}
    values |= LIGHT
    capsys.readouterr()
    assert run("evaluate", output=tmp_path / "a", **values) == 1
    said = capsys.readouterr().err
    assert "learned from 2 of 14 participants" in said
    assert "sub-X00 shows the brain of sub-P08" in said
    assert "sub-X01 shows the brain of sub-S01" in said
    assert "sub-X02" not in said
    assert run("evaluate", output=tmp_path / "b", seen="leave_out", **values) == 0
    assert "elsewhere (12 participants)" in capsys.readouterr().err
    assert run("evaluate", output=tmp_path / "c", find_repeats="false", **values) == 0
    assert "elsewhere (14 participants)" in capsys.readouterr().err
