import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_neuropretrain.cli.flags import parse_flags
from napari_neuropretrain.cli.main import main
from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import ConfigError

COMMANDS = [entry.name for entry in JOBS] + ["list", "doctor"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_there_and_fast(command: str) -> None:
    times = []
    for _ in range(4):
        start = _processor_seconds()
        done = subprocess.run(
            [sys.executable, "-m", "napari_neuropretrain", command, "--help"],
            capture_output=True,
            text=True,
        )
        times.append(_processor_seconds() - start)
        assert done.returncode == 0, done.stderr
        assert "usage: neuropretrain" in done.stdout
        if times[-1] < 0.6:
            break
    assert min(times) < 0.6, times


def _processor_seconds() -> float:
    """Time spent by child processes, so that a busy machine does not count."""
    if sys.platform == "win32":
        return time.perf_counter()
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "preprocess" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepocess"], "Unknown command 'prepocess'. Did you mean 'preprocess'?"),
        (["preprocess"], "--input: required"),
        (["preprocess", "--shap", "80"], "--shap"),
        (
            ["finetune", "--cohort", "c", "--output", "o", "--epochs", "many"],
            "--epochs",
        ),
        (
            ["finetune", "--cohort", "c", "--output", "o", "--task", "x"],
            "Known: ad, pd",
        ),
        (["finetune", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["predict", "--model", "no", "--input", "no", "--output", "o"], "nothing at"),
    ],
)
def test_wrong_usage_is_exit_2_with_the_flag_named(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("cohort: c\noutput: o\nepochs: 7\ntask: sex\n")
    config = parse_flags(
        "finetune", FinetuneConfig, ["--config", str(file), "--epochs", "9"]
    )
    assert config.epochs == 9
    assert config.task.name == "sex"
    assert config.batch_size == FinetuneConfig.model_fields["batch_size"].default


def test_a_choice_with_options_on_the_command_line() -> None:
    given = ["--cohort", "c", "--output", "o"]
    given += ["--backbone", "{name: tiny_densenet, growth_rate: 8}"]
    config = parse_flags("finetune", FinetuneConfig, given)
    assert config.backbone.options.growth_rate == 8


def test_an_unknown_key_in_the_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("cohort: c\noutput: o\nepochz: 7\n")
    with pytest.raises(ConfigError, match="epochz"):
        parse_flags("finetune", FinetuneConfig, ["--config", str(file)])


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "backbones", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["densenet121"]["parameters"] == 11_243_649
    assert set(listed["tiny_densenet"]) == {"name", "title", "parameters"}


def test_list_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for word in ("tiny_densenet", "brain_age", "template_cohort", "cpu"):
        assert word in printed
    assert main(["list", "cakes"]) == 2


def test_doctor_reports_and_finds_everything_here(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "device cpu" in printed
    assert "Ready for every job." in printed
