"""``neuropretrain weights`` and ``neuropretrain inspect``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from napari_neuropretrain.cli.console import Console
from napari_neuropretrain.cli.flags import parse_flags
from napari_neuropretrain.config.weights import WEIGHTS_COMMANDS
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS, KnownWeights
from napari_neuropretrain.config.weights_importers import IMPORTERS
from napari_neuropretrain.errors import unknown_name
from napari_neuropretrain.progress import Outcome

LIST = "list"


def run_weights(arguments: Sequence[str]) -> int:
    """Run ``weights list``, ``pull``, ``import`` or ``inspect``."""
    given = list(arguments)
    if not given or given[0] in ("-h", "--help"):
        print(_overview())
        return 0 if given else 2
    command, rest = given[0], given[1:]
    if command == LIST:
        return _run_list(rest)
    if command not in WEIGHTS_COMMANDS:
        known = [LIST, *(entry.name for entry in WEIGHTS_COMMANDS)]
        raise unknown_name("command of weights", command, known)
    return _run(f"weights {command}", command, rest)


def run_inspect(arguments: Sequence[str]) -> int:
    """Run ``inspect MODEL``, the same as ``weights inspect``."""
    return _run("inspect", "inspect", list(arguments))


def _run(shown: str, command: str, arguments: list[str]) -> int:
    entry = WEIGHTS_COMMANDS[command]
    if arguments and not arguments[0].startswith("-"):
        # What the command is about may stand without its flag.
        flag = "--" + next(iter(entry.options.model_fields))
        arguments = [flag, *arguments]
    config = parse_flags(shown, entry.options, arguments)
    outcome: Outcome = entry.load()(config, Console())
    print(outcome.message)
    for name, path in outcome.results.items():
        print(f"  {name}: {path}")
    return 0


def _run_list(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="neuropretrain weights list",
        description="List the public weights that can be pulled, and the importers.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    try:
        given = parser.parse_args(arguments)
    except SystemExit as request:
        return int(request.code or 0)
    if given.json:
        rows = [known.model_dump(mode="json") for known in KNOWN_WEIGHTS.values()]
        print(json.dumps(rows, indent=2))
        return 0
    for known in KNOWN_WEIGHTS.values():
        print(_describe(known) + "\n")
    print("importers, for neuropretrain weights import --importer")
    for entry in IMPORTERS:
        print(f"  {entry.name:<18}{entry.title}")
    return 0


def _describe(known: KnownWeights) -> str:
    size = f", {known.size_mb} MB" if known.size_mb else ""
    consent = " (needs --accept-licence)" if known.needs_consent else ""
    kind = "git blob" if known.hash.startswith("git:") else "sha256"
    checked = f"published {kind}" if known.hash else "no published hash"
    return "\n".join(
        [
            f"{known.name}: {known.title}",
            f"  fits {known.backbone}; {checked}{size}",
            f"  licence: {known.licence}{consent}",
            f"  intended preprocessing: {known.preprocessing}",
        ]
    )


def _overview() -> str:
    rows = [(LIST, "List known weights and importers")]
    rows += [(entry.name, entry.title) for entry in WEIGHTS_COMMANDS]
    listing = "\n".join(f"  {name:<18}{title}" for name, title in rows)
    return (
        "usage: neuropretrain weights COMMAND [flags]\n\n"
        "Public pre-trained weights: nothing is downloaded unless you pull it.\n\n"
        f"commands:\n{listing}\n\n"
        "neuropretrain weights COMMAND --help lists the flags of a command."
    )
