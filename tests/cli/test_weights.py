"""The commands about weights, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_neuropretrain.backbones.sfcn import build_sfcn
from napari_neuropretrain.cli.main import main
from napari_neuropretrain.config.options.backbones import SfcnOptions
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS
from napari_neuropretrain.config.weights_importers import IMPORTERS


@pytest.mark.parametrize(
    "arguments",
    [
        ["weights", "--help"],
        ["weights", "list", "--help"],
        ["weights", "list"],
        ["weights", "pull", "--help"],
        ["weights", "import", "--help"],
        ["weights", "inspect", "--help"],
        ["inspect", "--help"],
    ],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom napari_neuropretrain.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'monai', 'lightning', 'pooch', 'safetensors', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_list_shows_licence_and_preprocessing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["weights", "list"]) == 0
    printed = capsys.readouterr().out
    for known in KNOWN_WEIGHTS.values():
        for part in (known.name, known.licence, known.preprocessing):
            assert part in printed
    for entry in IMPORTERS:
        assert entry.name in printed
    assert printed.count("no published hash") == 3
    assert main(["weights", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows} == set(KNOWN_WEIGHTS)


def test_import_and_inspect_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    network = build_sfcn(SfcnOptions(), out_features=40)
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    file, output = tmp_path / "theirs.p", tmp_path / "encoder.safetensors"
    torch.save(state, file)
    command = ["weights", "import", str(file), "--output", str(output)]
    assert main([*command, "--importer", "sfcn", "--licence", "MIT"]) == 0
    captured = capsys.readouterr()
    assert "Imported 'theirs.p' for the backbone 'sfcn'" in captured.out
    assert "left out on purpose (head of another task)" in captured.err
    assert main(["inspect", str(output)]) == 0
    assert "network: sfcn, no head" in capsys.readouterr().out
    assert main([*command, "--importer", "sfcn"]) == 2
    assert "Add --overwrite" in capsys.readouterr().err
    assert main([*command, "--importer", "sfcn", "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["weights"], 2, ""),
        (["weights", "pul"], 2, "of weights 'pul'. Did you mean 'pull'? Known: list"),
        (["weights", "pull"], 2, "--name: required"),
        (["weights", "pull", "brainiac"], 2, "add --accept-licence"),
        (["weights", "pull", "video_swin_t"], 2, "add --unverified"),
        (["weights", "import", "no.pt", "--output", "o.safetensors"], 1, "no.pt"),
        (["inspect", "nowhere"], 1, "There is nothing at 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEUROPRETRAIN_CACHE", str(tmp_path))
    assert main(arguments) == code
    assert message in capsys.readouterr().err
