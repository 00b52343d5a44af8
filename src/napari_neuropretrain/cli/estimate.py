"""``neuropretrain estimate`` and ``estimate-pretrain``: what a training would cost."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from napari_neuropretrain.cli.flags import parse_flags
from napari_neuropretrain.config.estimate import (
    ESTIMATES,
    Estimate,
    EstimateConfig,
    PretrainEstimateConfig,
)
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.runs import EXIT_DONE, EXIT_FAILED, check_inputs


def run_estimate(arguments: Sequence[str], command: str = "estimate") -> int:
    """Estimate a training; 1 where the settings cannot be trained with."""
    entry = ESTIMATES[command]
    given = ["--json-lines" if one == "--json" else one for one in arguments]
    config = parse_flags(entry.name, entry.options, given)
    if not isinstance(config, EstimateConfig | PretrainEstimateConfig):
        raise TypeError(f"{entry.name} has other settings")
    check_inputs(config)
    settle_process()
    found: Estimate = entry.load()(config, _print_json if config.json_lines else _wait)
    if not config.json_lines:
        print(_describe(found))
    return EXIT_FAILED if found.problem else EXIT_DONE


def _print_json(found: Estimate) -> None:
    print(json.dumps(found.as_dict(), ensure_ascii=False), flush=True)


def _wait(found: Estimate) -> None:
    if sys.stderr.isatty() and found.device and not found.done:
        print(f"Trying some steps on {found.device}...", file=sys.stderr)


def _describe(found: Estimate) -> str:
    lines = [*found.facts(), *found.who()]
    if found.epoch_s is not None:
        lines.append(f"An estimate from some training steps on {found.device}.")
    lines += [f"warning: {warning}" for warning in found.warnings]
    if found.too_large:
        lines.append("warning: that is more memory than is free.")
    if found.problem:
        lines.append(f"Cannot be trained: {found.problem}")
    return "\n".join(lines)
