"""Toy networks for the methods: those of the backbones' own tests."""

from __future__ import annotations

import runpy
from pathlib import Path

_TOYS = runpy.run_path(str(Path(__file__).parents[1] / "backbones" / "conftest.py"))

toy_options = _TOYS["toy_options"]
toy_network = _TOYS["toy_network"]
_one_thread = _TOYS["_one_thread"]
