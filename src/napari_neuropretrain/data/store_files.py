"""The files of a store, on this machine or in object storage."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import fsspec

from napari_neuropretrain.config.base import write_bytes
from napari_neuropretrain.errors import ConfigError, MissingDependencyError


class StoreFiles:
    """Files under an address that fsspec knows; opened anew in each process.

    Connections neither survive a fork nor can be pickled; the address can.

    Parameters
    ----------
    url
        A folder of this machine, or an address such as ``s3://bucket/cohort.zarr``.

    Raises
    ------
    ConfigError
        If there is no such kind of storage.
    MissingDependencyError
        If the package for this kind of storage is not installed; names it.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._opened: tuple[int, Any, str] | None = None
        self._open()

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "_opened": None}

    def read(
        self, name: str, start: int | None = None, end: int | None = None
    ) -> bytes:
        """Return a file, or its bytes from `start` to `end`; FileNotFoundError."""
        system, root = self._open()
        return bytes(system.cat_file(f"{root}/{name}", start=start, end=end))

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading; FileNotFoundError."""
        system, root = self._open()
        stream: IO[bytes] = system.open(f"{root}/{name}", "rb")
        return stream

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all."""
        system, root = self._open()
        if _is_local(system):
            write_bytes(Path(root) / name, data)
        else:  # one request, which object storage does wholly or not
            system.pipe_file(f"{root}/{name}", data)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, none where there is no such."""
        system, root = self._open()
        system.invalidate_cache()
        try:
            found = system.ls(f"{root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        names = (str(path).rstrip("/").rsplit("/", 1)[-1] for path in found)
        return sorted(name for name in names if not name.startswith("."))

    def remove(self, name: str) -> None:
        """Remove a file or a folder, if it is there."""
        system, root = self._open()
        system.invalidate_cache()
        if system.exists(f"{root}/{name}"):
            system.rm(f"{root}/{name}", recursive=True)

    def _open(self) -> tuple[Any, str]:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), *_connect(self.url))
        return self._opened[1:]


def is_address(url: str) -> bool:
    """Tell whether `url` is an address rather than a path of this machine.

    Examples
    --------
    >>> is_address("s3://bucket/a.zarr"), is_address("packed/volumes.zarr")
    (True, False)
    """
    return "://" in url


def _connect(url: str) -> tuple[Any, str]:
    try:
        system, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        scheme = url.split("://", maxsplit=1)[0]
        raise MissingDependencyError(
            f"'{url}' needs the fsspec driver for {scheme}://, which is not installed "
            f"({error}). Install it, for example: pip install s3fs (s3://), gcsfs "
            "(gs://), adlfs (az://)."
        ) from None
    except ValueError as error:
        raise ConfigError(
            f"'{url}' is no address of a kind that fsspec knows ({error}). Give a "
            "folder, or an address such as s3://bucket/cohort.zarr."
        ) from None
    return system, str(root).rstrip("/")


def _is_local(system: Any) -> bool:
    protocol = system.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)
