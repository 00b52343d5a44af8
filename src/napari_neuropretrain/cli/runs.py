"""``neuropretrain runs``: what the plugin's run panel does, in a terminal."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from napari_neuropretrain.errors import ConfigError, unknown_name
from napari_neuropretrain.runs.account import words_for_seconds
from napari_neuropretrain.runs.command import command_line
from napari_neuropretrain.runs.control import (
    cancel_run,
    keep_best,
    pause_run,
    resume_run,
)
from napari_neuropretrain.runs.folder import LOG
from napari_neuropretrain.runs.project import Listed, Project, delete_run
from napari_neuropretrain.runs.record import RunRecord, read_run

_WITH_FOLDER: dict[str, tuple[str, Callable[[Path], str]]] = {
    "pause": ("Let a run rest at its next step; it keeps its memory", pause_run),
    "resume": ("Let a paused run go on, or start an ended one again", resume_run),
    "stop": ("End a training after its step, and keep the best weights", keep_best),
    "cancel": ("Stop a run; what was finished is kept", cancel_run),
    "delete": (
        "Move a run folder into the trash beside it",
        lambda folder: f"Moved to '{delete_run(folder, folder.absolute().parent)}'.",
    ),
}
_TITLES = {
    "list": "List the runs below a folder",
    "show": "Say how a run is, and with which command it was started",
} | {name: title for name, (title, _) in _WITH_FOLDER.items()}


def run_runs(arguments: Sequence[str]) -> int:
    """Run ``runs list``, ``show``, ``pause``, ``resume``, ``stop``, ``cancel``..."""
    given = list(arguments)
    if not given or given[0] in ("-h", "--help"):
        print(_overview())
        return 0 if given else 2
    command, rest = given[0], given[1:]
    if command not in _TITLES:
        raise unknown_name("command of runs", command, _TITLES)
    parser = _parser(command)
    try:
        options = parser.parse_args(rest)
    except SystemExit as request:
        return int(request.code or 0)
    if command == "list":
        _print_list(options.folder, options.json)
    elif command == "show":
        _print_run(read_run(options.folder), options.json)
    else:
        print(_WITH_FOLDER[command][1](options.folder))
    return 0


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"neuropretrain runs {command}",
        description=_TITLES[command] + ".",
        allow_abbrev=False,
    )
    if command == "list":
        help_text = "project folder; this one by default"
        parser.add_argument(
            "folder", type=Path, nargs="?", default=Path(), help=help_text
        )
    else:
        parser.add_argument("folder", type=Path, help="run folder")
    if command in ("list", "show"):
        parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _print_list(folder: Path, as_json: bool) -> None:
    listed = Project(folder).look()
    if as_json:
        print(json.dumps([_plain(one.record) for one in listed], indent=2))
        return
    if not listed:
        print(f"No run below '{folder}'.")
    for one in listed:
        if one.parent is None:
            _print_row(one, listed, folder, "")


def _print_row(one: Listed, listed: list[Listed], folder: Path, lead: str) -> None:
    record = one.record
    where = str(record.folder.relative_to(folder))
    done = "" if record.fraction is None else f"{100 * record.fraction:3.0f} %"
    said = record.stage or record.sentence.partition("\n")[0]
    row = (
        f"{lead}{where:<{32 - len(lead)}} {record.job:<11} {record.state:<9} {done:>5}"
    )
    print(f"{row}  {said[:100]}".rstrip())
    for part in listed:
        if part.parent == record.folder:
            _print_row(part, listed, folder, lead + "  ")


def _print_run(record: RunRecord, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_plain(record), indent=2))
        return
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.began))
    print(f"{record.job} in '{record.folder}': {record.state}")
    print(f"  began {began}, {words_for_seconds(record.seconds)}")
    for words in (record.stage, record.sentence, record.say_memory()):
        if words:
            print(f"  {words}")
    for kind, path in record.results.items():
        print(f"  {kind}: {path}")
    print(f"  log: {record.folder / LOG}")
    try:
        config = record.config()
    except (ConfigError, OSError) as error:
        print(f"  settings: {error}")
        return
    for remedy in record.remedies(config):
        print(f"  {remedy.title}: {command_line(record.job, remedy.config)}")
    print(f"  {command_line(record.job, config)}")


def _plain(record: RunRecord) -> dict[str, object]:
    names = ("job", "state", "sentence", "cause", "fraction", "stage", "began")
    found = {name: getattr(record, name) for name in (*names, "seconds", "device")}
    found |= {"memory": record.memory, "results": record.results}
    return {"folder": str(record.folder)} | found


def _overview() -> str:
    listing = "\n".join(f"  {name:<10}{title}" for name, title in _TITLES.items())
    return (
        "usage: neuropretrain runs COMMAND [FOLDER]\n\n"
        "Runs, whether started in napari or in a terminal, live and finished.\n\n"
        f"commands:\n{listing}"
    )
