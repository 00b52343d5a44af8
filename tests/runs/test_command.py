from __future__ import annotations

import shlex
import sys

import pytest

from napari_neuropretrain.cli.flags import parse_flags
from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.runs.command import command_line

DX = {"name": "ad", "label": "dx"}


@pytest.mark.skipif(sys.platform == "win32", reason="shlex splits POSIX command lines")
@pytest.mark.parametrize(
    ("job", "settings"),
    [
        ("preprocess", {"input": "my scans/a'b", "output": "out", "overwrite": True}),
        ("finetune", {"cohort": "c", "output": "o", "augment": False, "task": "pd"}),
        (
            "finetune",
            {"cohort": "c", "output": "o", "task": DX},
        ),
        ("explain", {"model": "m", "input": "i", "output": "o", "baseline": "black"}),
    ],
)
def test_command_line_gives_the_same_settings(job, settings):
    config = JOBS[job].options(**settings)
    words = shlex.split(command_line(job, config))
    assert words[:2] == ["neuropretrain", job]
    assert parse_flags(job, type(config), words[2:]) == config


def test_only_what_differs_from_the_default_is_named():
    config = JOBS["finetune"].options(cohort="c", output="o", epochs=31)
    expected = "neuropretrain finetune --cohort c --output o --epochs 31"
    assert command_line("finetune", config) == expected
