"""No file does harm, and every bad one is explained."""

from __future__ import annotations

import argparse
import ast
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import napari_neuropretrain
from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.weights.checkpoint_files import hash_file, read_checkpoint


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"echo harm > {self.target}",)


def new_style(path: Path, target: Path) -> None:
    torch.save({"state_dict": {"w": torch.ones(2)}, "x": Malicious(target)}, path)


def old_style(path: Path, target: Path) -> None:
    whole = {"x": Malicious(target)}
    torch.save(whole, path, _use_new_zipfile_serialization=False)


def bare_pickle(path: Path, target: Path) -> None:
    path.write_bytes(pickle.dumps(Malicious(target)))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pth.tar", ".p"])
@pytest.mark.parametrize("write", [new_style, old_style, bare_pickle])
def test_a_malicious_pickle_does_nothing(
    tmp_path: Path, write: Callable[[Path, Path], None], suffix: str
) -> None:
    file, target = tmp_path / f"evil{suffix}", tmp_path / "harm"
    write(file, target)
    with pytest.raises(CheckpointError, match="was not opened: it holds more than"):
        read_checkpoint(file)
    assert not target.exists()


def test_the_test_would_notice_harm(tmp_path: Path) -> None:
    target = tmp_path / "harm"
    bare_pickle(tmp_path / "evil.p", target)
    pickle.loads((tmp_path / "evil.p").read_bytes())
    assert target.exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"args": argparse.Namespace(lr=1)}, "argparse.Namespace"),
        ({"best": np.float64(0.5)}, "scalar"),
        (torch.nn.Linear(2, 2), "Linear"),
    ],
)
def test_what_a_pickle_wants_is_named(tmp_path: Path, content: Any, named: str) -> None:
    file = tmp_path / "more.pt"
    torch.save(content, file)
    with pytest.raises(CheckpointError, match=named) as caught:
        read_checkpoint(file)
    assert "If you trust whoever made it" in str(caught.value)
    assert str(file) in str(caught.value)


def test_plain_files_are_read(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.n": torch.tensor(3)}
    torch.save({"state_dict": tensors, "epoch": 3, "lr": 0.1}, tmp_path / "new.ckpt")
    old = {"module": tensors}
    torch.save(old, tmp_path / "old.p", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(tensors, tmp_path / "safe.safetensors")
    for read in (
        read_checkpoint(tmp_path / "new.ckpt")["state_dict"],
        read_checkpoint(tmp_path / "old.p")["module"],
        read_checkpoint(tmp_path / "safe.safetensors"),
    ):
        assert torch.equal(read["a.weight"], tensors["a.weight"])
        assert int(read["a.n"]) == 3


def cut(path: Path) -> None:
    torch.save({"w": torch.randn(1000)}, path)
    path.write_bytes(path.read_bytes()[:-2000])


def cut_old(path: Path) -> None:
    torch.save({"w": torch.randn(1000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-2000])


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(3000))


def empty(path: Path) -> None:
    path.touch()


def page(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html>Quota exceeded</html>")


def pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")


def swollen(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(5_000_000))


def repeated(path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(100_000, 1_000_000)}, path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (cut, "cut off, damaged or of another kind"),
        (cut_old, "cut off, damaged or of another kind|was not opened"),
        (noise, "cut off, damaged or of another kind"),
        (empty, "is empty"),
        (page, "is a page of text, not weights"),
        (pointer, "is a page of text, not weights"),
        (swollen, "would unpack to 5,000,000 bytes"),
        (repeated, r"claims a tensor of shape \(100000, 1000000\)"),
    ],
)
def test_bad_files_are_explained(
    tmp_path: Path, write: Callable[[Path], None], message: str
) -> None:
    file = tmp_path / "bad.pth"
    write(file)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(file)
    assert str(file) in str(caught.value)


def test_a_cut_safetensors_file_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "bad.safetensors"
    safetensors.torch.save_file({"w": torch.randn(100)}, file)
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="cut off, damaged"):
        read_checkpoint(file)


def test_a_file_larger_than_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "large.pt"
    torch.save({"w": torch.randn(100)}, file)

    class Little:
        available = 100

    monkeypatch.setattr("psutil.virtual_memory", Little)
    with pytest.raises(CheckpointError, match="GiB of memory are free"):
        read_checkpoint(file)


def test_other_suffixes_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "weights.zip").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match=r"ends in '\.zip'"):
        read_checkpoint(tmp_path / "weights.zip")
    with pytest.raises(CheckpointError, match="There is no file"):
        read_checkpoint(tmp_path / "nowhere.pt")


def test_the_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert hash_file(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_nothing_in_the_package_opens_a_pickle_otherwise() -> None:
    root = Path(napari_neuropretrain.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                given = {one.arg: ast.unparse(one.value) for one in node.keywords}
                assert given.get("weights_only") == "True", path
