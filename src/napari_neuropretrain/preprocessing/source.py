"""Recognise a raw scan that was already done, by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 20


def describe_source(path: Path) -> dict[str, Any]:
    """Return path, size, time and SHA-256 of a scan's file, or DICOM folder."""
    size, modified = _size_and_time(path)
    return {
        "Path": str(path.absolute()),
        "Bytes": size,
        "ModifiedNs": modified,
        "SHA256": _hash(path),
    }


def same_source(path: Path, source: Mapping[str, Any]) -> bool:
    """Tell whether `path` still holds the scan that `source` describes.

    Size and time are compared first; only a file with another time, for example a
    copied one, is read.
    """
    size, modified = _size_and_time(path)
    if size != source.get("Bytes"):
        return False
    if modified == source.get("ModifiedNs"):
        return True
    return _hash(path) == source.get("SHA256")


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.is_file())


def _size_and_time(path: Path) -> tuple[int, int]:
    stats = [file.stat() for file in _files(path)]
    newest = max((stat.st_mtime_ns for stat in stats), default=0)
    return sum(stat.st_size for stat in stats), newest


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    for file in _files(path):
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
