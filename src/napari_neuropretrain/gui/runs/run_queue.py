"""One run per device; the others wait for their turn. No Qt here."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from napari_neuropretrain.config.base import Config


@dataclass(eq=False)
class Ticket:
    """A place in the queue, for one device."""

    device: str
    title: str


class RunQueue:
    """Tickets in the order they were drawn; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tickets: list[Ticket] = []

    def draw(self, device: str, title: str) -> Ticket:
        """Join the queue."""
        ticket = Ticket(device, title)
        with self._lock:
            self._tickets.append(ticket)
        return ticket

    def blocker(self, ticket: Ticket) -> Ticket | None:
        """Return the ticket that must be given back first, or None: go ahead.

        Examples
        --------
        >>> queue = RunQueue()
        >>> first = queue.draw("cpu", "Fine-tune")
        >>> second = queue.draw("auto", "Predict")
        >>> queue.blocker(first) is None, queue.blocker(second).title
        (True, 'Fine-tune')
        """
        with self._lock:
            for other in self._tickets:
                if other is ticket:
                    break
                if share_device(other.device, ticket.device):
                    return other
        return None

    def give_back(self, ticket: Ticket) -> None:
        """Leave the queue, or end one's turn."""
        with self._lock:
            if ticket in self._tickets:
                self._tickets.remove(ticket)


QUEUE = RunQueue()
"""The queue of this napari."""


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
