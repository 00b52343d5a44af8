"""The command ``neuropretrain``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from napari_neuropretrain import __version__
from napari_neuropretrain.cli.catalogs import run_list
from napari_neuropretrain.cli.console import Console
from napari_neuropretrain.cli.doctor import run_doctor
from napari_neuropretrain.cli.estimate import run_estimate
from napari_neuropretrain.cli.flags import parse_flags
from napari_neuropretrain.cli.runs import run_runs
from napari_neuropretrain.cli.weights import run_inspect, run_weights
from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.errors import (
    Cancelled,
    ConfigError,
    NeuropretrainError,
    unknown_name,
)
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.progress import silent
from napari_neuropretrain.runs import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_STOPPED,
    EXIT_USAGE,
    execute,
    ranks_of,
    request_stop,
)
from napari_neuropretrain.runs.device_queue import DeviceQueue

QUEUE = "--queue"
"""Any job takes it: wait until no other queued run uses the device."""

_OTHERS: dict[str, tuple[str, Callable[[Sequence[str]], int]]] = {
    "list": ("List backbones, methods, tasks, tunings, sources, devices", run_list),
    "weights": ("Known public weights: list, pull, import, inspect", run_weights),
    "inspect": ("Print the card of a model, or what is in a file", run_inspect),
    "estimate": ("Say what a fine-tuning would cost, before it starts", run_estimate),
    "estimate-pretrain": (
        "Say what a pre-training would cost, before it starts",
        partial(run_estimate, command="estimate-pretrain"),
    ),
    "runs": ("List, pause, resume, stop, cancel runs", run_runs),
    "doctor": ("Check this installation and this machine", run_doctor),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: all done; 1: failed, or something in a cohort failed; 2: wrong usage or
    settings; 3: stopped by the user.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(_overview())
        return EXIT_DONE if given else EXIT_USAGE
    if given[0] in ("-V", "--version"):
        print(f"napari-neuropretrain {__version__}")
        return EXIT_DONE
    command, rest = given[0], given[1:]
    try:
        if command in _OTHERS:
            return _OTHERS[command][1](rest)
        return _run_job(command, rest)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except NeuropretrainError as error:
        print(f"Failed: {error}", file=sys.stderr)
        return EXIT_FAILED
    except Cancelled:
        print("Stopped; what was finished is kept.", file=sys.stderr)
        return EXIT_STOPPED
    except BrokenPipeError:  # the reader, for example `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE


def _run_job(job: str, arguments: Sequence[str]) -> int:
    if job not in JOBS:
        raise unknown_name("command", job, [entry.name for entry in JOBS] + [*_OTHERS])
    words = [word for word in arguments if word != QUEUE]
    queue = DeviceQueue() if len(words) < len(arguments) else None
    config = parse_flags(job, JOBS[job].options, words)
    follows = bool(ranks_of(config).rank)
    console = Console()
    _stop_on_interrupt(Path(getattr(config, "output")))  # noqa: B009
    settle_process()
    if follows:  # the first process speaks for all
        with suppress(Cancelled):
            execute(JOBS, job, config, silent)
        return EXIT_DONE
    outcome = execute(JOBS, job, config, console, queue)
    console.close(outcome)
    return EXIT_FAILED if outcome.failures else EXIT_DONE


def _stop_on_interrupt(folder: Path) -> None:
    """Let the first Ctrl-C ask the job to stop cleanly; the second one kills."""

    def ask(signum: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nStopping... press Ctrl-C again to kill.", file=sys.stderr)
        request_stop(folder)

    signal.signal(signal.SIGINT, ask)


def _overview() -> str:
    rows = [(entry.name, entry.title) for entry in JOBS]
    rows += [(name, title) for name, (title, _) in _OTHERS.items()]
    listing = "\n".join(f"  {name:<18}{title}" for name, title in rows)
    return (
        "usage: neuropretrain COMMAND [--config FILE] [flags]\n\n"
        "Learn from T1-weighted brain MRI.\n\n"
        f"commands:\n{listing}\n\n"
        "neuropretrain COMMAND --help lists the flags of a command.\n"
        "--queue lets a job wait until no other queued run uses its device.\n"
        "For research use only."
    )
