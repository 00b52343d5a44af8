"""The examples in docstrings are run: what they print is what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import napari_neuropretrain

PACKAGE = Path(napari_neuropretrain.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text("utf-8")
)


def test_examples_are_found() -> None:
    assert len(MODULES) > 50


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
