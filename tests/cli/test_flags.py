"""Flags made from settings classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_neuropretrain.cli.flags import parse_flags
from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig


@pytest.mark.parametrize("flag", ["--initial-weights", "--init"])
@pytest.mark.parametrize("config", [FinetuneConfig, PretrainConfig])
def test_a_short_name_is_the_same_setting(
    flag: str, config: type[Config], tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text("cohort: c\noutput: o\ninitial_weights: there\n")
    typed = ["--config", str(tmp_path / "run.yaml"), flag, "here"]
    assert parse_flags("job", config, typed).initial_weights == "here"  # type: ignore[attr-defined]
