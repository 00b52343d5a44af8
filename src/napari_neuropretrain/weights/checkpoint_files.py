"""Read checkpoint files of unknown origin without running anything in them."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from napari_neuropretrain.errors import CheckpointError

SAFE = ".safetensors"
SUFFIXES = (SAFE, ".pt", ".pth", ".ckpt", ".tar", ".bin", ".model", ".p", ".pkl")
_CHUNK = 2**20
_DEEPEST = 8
_GIB = 2**30


def read_checkpoint(path: Path) -> Any:
    """Read a file of tensors; nothing in it is ever executed.

    Parameters
    ----------
    path
        ``.safetensors``, or what ``torch.save`` wrote (``.pt``, ``.pth``, ``.ckpt``,
        ``.pth.tar``, ``.p``), which is read with ``weights_only=True`` and never
        otherwise.

    Returns
    -------
    object
        Nested dicts and lists with tensors on the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing, cut, of another kind, too large for this machine, or
        holds more than tensors and plain values.
    """
    path = Path(path)
    check_file(path)
    try:
        if path.suffix.lower() == SAFE:
            content: Any = safetensors.torch.load_file(path)
        else:
            _check_archive(path)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about the age of the format
                content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        refused = _refusal(path, str(error))
        raise CheckpointError(refused or _damaged(path, error)) from None
    except MemoryError:
        raise CheckpointError(_too_large(path, path.stat().st_size)) from None
    # A damaged pickle can raise anything; it is data, so none of it is our bug.
    except (SafetensorError, Exception) as error:  # noqa: BLE001
        raise CheckpointError(_damaged(path, error)) from None
    _check_claims(path, content)
    return content


def check_file(path: Path, name: str = "") -> None:
    """Check from the outside that a file can be a checkpoint.

    Parameters
    ----------
    path
        The file.
    name
        Its real name, where it has another one for the time being.

    Raises
    ------
    CheckpointError
        If it is missing, empty, a page of text, too large, or of another kind.
    """
    if not path.is_file():
        raise CheckpointError(
            f"There is no file '{path}'. Give a checkpoint ({', '.join(SUFFIXES)})."
        )
    suffix = Path(name or path.name).suffix
    if suffix.lower() not in SUFFIXES:
        raise CheckpointError(
            f"'{path}' ends in '{suffix}'; checkpoints that can be read end in "
            f"{', '.join(SUFFIXES)}. Unpack archives, and rename the file if it is one."
        )
    size = path.stat().st_size
    if size == 0:
        raise CheckpointError(f"'{path}' is empty. Download or copy it again.")
    if size > psutil.virtual_memory().available:
        raise CheckpointError(_too_large(path, size))
    with path.open("rb") as stream:
        start = stream.read(200).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"version https://git-lfs")):
        raise CheckpointError(
            f"'{path}' is a page of text, not weights: the server sent it in place of "
            "the file. Open the address in a browser and download the file itself."
        )


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _check_archive(path: Path) -> None:
    """Refuse an archive that would grow when it is unpacked.

    ``torch.save`` stores without compression, so one that grows is a trap.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > 1.01 * path.stat().st_size + _CHUNK:
        raise CheckpointError(
            f"'{path}' would unpack to {unpacked:,} bytes from "
            f"{path.stat().st_size:,}; torch.save never writes such a file. It was "
            "not opened."
        )


def _check_claims(path: Path, content: Any) -> None:
    """Refuse tensors larger than their file, made by repeating one number."""
    size = path.stat().st_size
    for tensor in _tensors(content):
        if tensor.numel() * tensor.element_size() > size:
            raise CheckpointError(
                f"'{path}' has {size:,} bytes but claims a tensor of shape "
                f"{tuple(tensor.shape)}, which is more. It was not used."
            )


def _tensors(content: Any, depth: int = 0) -> Iterator[Tensor]:
    if isinstance(content, Tensor):
        yield content
    elif depth < _DEEPEST and isinstance(content, Mapping | list | tuple):
        values = content.values() if isinstance(content, Mapping) else content
        for value in values:
            yield from _tensors(value, depth + 1)


def _refusal(path: Path, reason: str) -> str:
    """Say why a pickle was not opened, naming what it wanted to call.

    Empty where the file is no pickle at all.
    """
    with path.open("rb") as stream:
        if stream.read(2)[:1] not in (b"\x80", b"P"):  # a pickle, or a zip archive
            return ""
    wanted = re.search(r"(?:GLOBAL|global|class|function) ([\w.]+\.[\w.]+)", reason)
    name = f" ('{wanted[1]}')" if wanted else ""
    return (
        f"'{path}' was not opened: it holds more than tensors{name}, and to read that, "
        "Python would have to run code named in the file, which could do anything on "
        "this machine. If you trust whoever made it, open it where it can do no harm, "
        "keep only its tensors, and import the new file: "
        'torch.save(torch.load(FILE, weights_only=False)["state_dict"], "tensors.pt").'
    )


def _damaged(path: Path, error: Exception) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    first = text.split(". ")[0][:160]
    return (
        f"'{path}' cannot be read as a checkpoint: it is cut off, damaged or of "
        f"another kind ({first}). It has {path.stat().st_size:,} bytes; download or "
        "copy it again."
    )


def _too_large(path: Path, size: int) -> str:
    free = psutil.virtual_memory().available
    return (
        f"'{path}' has {size / _GIB:.1f} GiB, and {free / _GIB:.1f} GiB of memory are "
        "free. Close other programs, or import it on a machine with more."
    )
