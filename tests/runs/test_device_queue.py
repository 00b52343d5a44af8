"""One run per device; the others wait, whoever started them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from napari_neuropretrain import runs
from napari_neuropretrain.errors import Cancelled
from napari_neuropretrain.runs.device_queue import DeviceQueue, Ticket, process_alive

HOLD = """
import sys, time
from pathlib import Path
from napari_neuropretrain.runs.device_queue import DeviceQueue
DeviceQueue(Path(sys.argv[1])).draw("cpu", "finetune in 'a'", Path("a"))
print("drawn", flush=True)
time.sleep(60)
"""


@pytest.fixture
def queue(tmp_path: Path) -> DeviceQueue:
    return DeviceQueue(tmp_path / "queue")


def test_first_come_first_served_on_each_device(queue: DeviceQueue) -> None:
    first = queue.draw("cuda:0", "Fine-tune", Path("a"))
    other = queue.draw("cuda:1", "Explain", Path("b"))
    third = queue.draw("auto", "Predict", Path("c"))
    assert queue.blocker(first) is None
    assert queue.blocker(other) is None
    assert queue.blocker(third) == first
    queue.give_back(first)
    assert queue.blocker(third) == other
    queue.give_back(other)
    assert queue.blocker(third) is None
    queue.give_back(third)
    assert queue.tickets() == []


def test_the_ticket_of_a_killed_process_is_void(queue: DeviceQueue) -> None:
    words = [sys.executable, "-c", HOLD, str(queue.folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        mine = queue.draw("cpu", "Mine", Path("b"))
        blocker = queue.blocker(mine)
        assert blocker is not None
        assert blocker.pid == holder.pid
        holder.kill()
        holder.wait()
    assert queue.blocker(mine) is None
    assert [one.title for one in queue.tickets()] == ["Mine"]


def test_a_number_given_to_another_process_is_not_alive() -> None:
    import os

    import psutil

    created = psutil.Process().create_time()
    assert process_alive(os.getpid(), created)
    assert not process_alive(os.getpid(), created - 100)


def test_a_job_waits_for_its_turn(run, queue: DeviceQueue) -> None:
    ticket = queue.draw("cpu", "Fine-tune", Path("a"))
    worker = threading.Thread(target=run, args=("good",), kwargs={"queue": queue})
    worker.start()
    wait_for(lambda: "queued" in states(run.folder))
    queue.give_back(ticket)
    worker.join(10)
    told = states(run.folder)
    assert told == ["started", "queued", "running", "step", "finished"]
    assert queue.tickets() == []


def test_a_job_leaves_the_queue_when_stopped(run, queue: DeviceQueue) -> None:
    queue.draw("cpu", "Fine-tune", Path("a"))
    ended: list[BaseException] = []

    def work() -> None:
        try:
            run("good", queue=queue)
        except Cancelled as error:
            ended.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    wait_for(lambda: "queued" in states(run.folder))
    runs.request_stop(run.folder)
    worker.join(10)
    assert len(ended) == 1
    assert states(run.folder) == ["started", "queued", "stopped"]
    assert [one.title for one in queue.tickets()] == ["Fine-tune"]


def states(folder: Path) -> list[str]:
    found = [event["state"] for event in runs.read_events(folder)[0]]
    return [state for state in found if state != "heartbeat"]


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_damaged_ticket_is_passed_over(queue: DeviceQueue) -> None:
    queue.folder.mkdir(parents=True)
    (queue.folder / "00000001.ticket").write_text("{")
    ticket = queue.draw("cpu", "Mine", Path("b"))
    assert isinstance(ticket, Ticket)
    assert queue.blocker(ticket) is None
