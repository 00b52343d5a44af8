"""One run per device, on this machine; the others wait for their turn.

Each run that asks for it holds a ticket, a file in a folder that all processes of a
person share. A run that waits is a process by itself, which has loaded nothing yet:
it starts when its turn comes, whether napari is open or not, and several napari
windows cannot start two runs on one device.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.base import Config, write_text
from napari_neuropretrain.config.pulled import cache_folder

FOLDER_VARIABLE = "NEUROPRETRAIN_QUEUE"
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Ticket:
    """A place in the queue.

    Parameters
    ----------
    device
        As in the settings; ``auto`` may be any.
    title
        What waits or runs, for people.
    folder
        Its run folder.
    pid, created
        The process that holds it, and when that began.
    number
        The lower one goes first.
    """

    device: str
    title: str
    folder: str
    pid: int
    created: float
    number: int = 0

    def alive(self) -> bool:
        """Whether the process that holds it is still there."""
        return process_alive(self.pid, self.created)


class DeviceQueue:
    """The tickets of this machine.

    Parameters
    ----------
    folder
        Where they lie; the usual place by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = queue_folder() if folder is None else folder

    def draw(self, device: str, title: str, folder: Path) -> Ticket:
        """Join the queue, as this process."""
        import psutil

        created = psutil.Process().create_time()
        with self._lock():
            number = max((one.number for one in self._read()), default=0) + 1
            place, pid = str(folder.absolute()), os.getpid()
            ticket = Ticket(device, title, place, pid, created, number)
            text = json.dumps(asdict(ticket), ensure_ascii=False)
            write_text(self._file(ticket), text + "\n")
        return ticket

    def blocker(self, ticket: Ticket) -> Ticket | None:
        """Return the ticket that must be given back first, or None: go ahead."""
        for other in self.tickets():
            if other.number >= ticket.number:
                break
            if share_device(other.device, ticket.device):
                return other
        return None

    def give_back(self, ticket: Ticket) -> None:
        """Leave the queue, or end one's turn."""
        with self._lock():
            self._file(ticket).unlink(missing_ok=True)

    def tickets(self) -> list[Ticket]:
        """Return who runs or waits; tickets of processes that are gone are removed."""
        with self._lock():
            found = self._read()
            for one in found:
                if not one.alive():
                    self._file(one).unlink(missing_ok=True)
        return [one for one in found if one.alive()]

    def _read(self) -> list[Ticket]:
        found = []
        for path in sorted(self.folder.glob("*.ticket")):
            with suppress(OSError, ValueError, TypeError):
                found.append(Ticket(**json.loads(path.read_text(encoding="utf-8"))))
        return sorted(found, key=lambda one: one.number)

    def _file(self, ticket: Ticket) -> Path:
        return self.folder / f"{ticket.number:08d}.ticket"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "lock", timeout=_PATIENCE_S):
            yield


def queue_folder() -> Path:
    """Return where the tickets of this machine are.

    It is ``NEUROPRETRAIN_QUEUE``, or a folder beside the pulled weights.
    """
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder)
    host = re.sub(r"\W+", "-", platform.node()) or "here"
    return cache_folder().parent / "queue" / host


def device_of(config: Config) -> str:
    """Return the device a job will use; a job without the setting uses the CPU."""
    return str(getattr(config, "device", "cpu"))


def share_device(one: str, other: str) -> bool:
    """Whether two device names may mean the same one; ``auto`` may be any.

    Examples
    --------
    >>> share_device("cuda", "cuda:0"), share_device("cuda:1", "cpu")
    (True, False)
    >>> share_device("auto", "mps")
    True
    """
    one, other = (name.replace("cuda:0", "cuda") for name in (one, other))
    return one == other or "auto" in (one, other)


def process_alive(pid: int, created: float) -> bool:
    """Whether a process of this machine still runs; its number may be another's now.

    Parameters
    ----------
    pid
        Its number.
    created
        When it began, in seconds since 1970.
    """
    import psutil

    try:
        process: Any = psutil.Process(pid)
        same = abs(process.create_time() - created) < 2.0
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
