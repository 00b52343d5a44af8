"""Kill ``neuropretrain preprocess`` anywhere; the next run ends with the same files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from napari_neuropretrain.data.tables import read_table
from napari_neuropretrain.runs import read_events

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

# Its workers load it as their main module, and so get the same quick steps.
DRIVER = '''
import os, signal, sys, time
from pathlib import Path

import numpy as np

from napari_neuropretrain.cli.main import main
from napari_neuropretrain.preprocessing import cohort, scan_task
from napari_neuropretrain.preprocessing.pipeline import Preprocessed


def preprocess_quickly(volume, contract, report, threads):
    time.sleep(0.1)
    image = (volume.data - volume.data.mean()).astype(np.float32)
    mask = image > 0
    return Preprocessed(image, volume.affine, mask, mask, np.eye(4), {"dice": 1.0})


scan_task.preprocess_scan = preprocess_quickly
scan_task.with_quality = lambda volume, done: done
scan_task.complete_quality = lambda scan, image, output, quality: quality
scan_task.draw_mosaic = lambda *anything: None
cohort.write_cohort_quality = lambda *anything: None


def kill_at_write(number):
    """Die when the file of the `number`th atomic write is about to get its name."""
    rename, left = Path.replace, [number]

    def replace(path, target):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(path, target)

    Path.replace = replace


if __name__ == "__main__":
    print("ready", flush=True)
    while line := sys.stdin.readline():
        number, *arguments = line.rstrip("\\n").split("\\t")
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if int(number):
                kill_at_write(int(number))
            os._exit(main(arguments))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
'''


class Driver:
    """Starts runs in processes of their own; the imports are done once."""

    def __init__(self, script: Path) -> None:
        with script.with_suffix(".log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._answer() == "ready"

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def start(self, raw: Path, out: Path, workers: int = 1, kill_at: int = 0) -> int:
        """Return the pid of a new run."""
        flags = {"--input": raw, "--output": out, "--shape": 32, "--workers": workers}
        words = [str(word) for flag in flags.items() for word in flag]
        assert self.process.stdin is not None
        self.process.stdin.write("\t".join([str(kill_at), "preprocess", *words]) + "\n")
        self.process.stdin.flush()
        return int(self._answer())

    def end(self) -> int:
        """Return the exit code of the run."""
        return int(self._answer())

    def run(self, raw: Path, out: Path, kill_at: int = 0) -> int:
        self.start(raw, out, kill_at=kill_at)
        return self.end()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    script = tmp_path_factory.mktemp("driver") / "driver.py"
    script.write_text(DRIVER)
    driver = Driver(script)
    yield driver
    driver.process.communicate()
    assert "Traceback" not in script.with_suffix(".log").read_text()


@pytest.fixture
def raw(tmp_path: Path, write_scan: Callable[..., Path]) -> Path:
    for number in (1, 2, 3):
        name = f"sub-{number:02d}"
        write_scan(tmp_path / f"raw/{name}/anat/{name}_T1w.nii.gz", seed=number)
    return tmp_path / "raw"


def derivatives_of(out: Path) -> dict[str, bytes]:
    """Every file of every scan; in JSON, times do not count."""
    files = {}
    for path in sorted(out.glob("sub-*/**/*")):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".json":
                data = re.sub(rb'"ModifiedNs": \d+', b"", data)
            files[path.relative_to(out).as_posix()] = data
    return files


def kill_tree(pid: int) -> None:
    """Send kill -9 to a process and all that it has started."""
    process = psutil.Process(pid)
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            one.kill()


def wait_for_items(out: Path, count: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        events, _ = read_events(out)
        if sum(event["state"] == "item_done" for event in events) >= count:
            return
        time.sleep(0.01)
    raise TimeoutError(f"{count} scans were not done in time")


def check_same(out: Path, expected: dict[str, bytes]) -> None:
    assert derivatives_of(out) == expected
    assert [row["reason"] for row in read_table(out / "preprocess.tsv")] == ["n/a"] * 3
    assert [row["participant_id"] for row in read_table(out / "participants.tsv")] == [
        "sub-01",
        "sub-02",
        "sub-03",
    ]


def test_a_kill_at_any_write_loses_nothing(
    tmp_path: Path, raw: Path, driver: Driver
) -> None:
    assert driver.run(raw, tmp_path / "unbroken") == 0
    expected = derivatives_of(tmp_path / "unbroken")
    assert len(expected) == 3 * 8
    out, kills = tmp_path / "broken", 0
    # 3 tables and the 8 files of a scan: each run dies one write later than the last.
    for number in range(1, 16):
        kills += driver.run(raw, out, kill_at=number) == -9
        for path in out.glob(".*"):
            os.utime(path, (0, 0))  # as if it had been a while ago
    assert kills >= 12
    assert driver.run(raw, out) == 0
    check_same(out, expected)
    assert not list(out.glob(".*"))


def test_a_kill_at_any_time_loses_nothing(
    tmp_path: Path, raw: Path, driver: Driver
) -> None:
    assert driver.run(raw, tmp_path / "unbroken") == 0
    expected = derivatives_of(tmp_path / "unbroken")
    for items, delay in ((0, 0.05), (1, 0.0), (1, 0.11), (2, 0.06)):
        out = tmp_path / f"after_{items}_{delay}"
        pid = driver.start(raw, out)
        wait_for_items(out, items)
        time.sleep(delay)
        kill_tree(pid)
        assert driver.end() == -9
        assert driver.run(raw, out) == 0
        check_same(out, expected)


def test_workers_do_not_outlive_a_killed_parent(
    tmp_path: Path, raw: Path, driver: Driver
) -> None:
    assert driver.run(raw, tmp_path / "unbroken") == 0
    out = tmp_path / "out"
    pid = driver.start(raw, out, workers=2)
    wait_for_items(out, 1)
    children = psutil.Process(pid).children(recursive=True)
    psutil.Process(pid).kill()
    assert driver.end() == -9
    _, alive = psutil.wait_procs(children, timeout=60)
    assert len(children) >= 2
    assert not alive  # the workers have noticed
    assert driver.run(raw, out) == 0
    check_same(out, derivatives_of(tmp_path / "unbroken"))
