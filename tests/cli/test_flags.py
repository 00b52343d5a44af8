"""Flags made from settings classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_neuropretrain.cli.flags import parse_flags
from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.errors import ConfigError


@pytest.mark.parametrize("flag", ["--initial-weights", "--init"])
@pytest.mark.parametrize("config", [FinetuneConfig, PretrainConfig])
def test_a_short_name_is_the_same_setting(
    flag: str, config: type[Config], tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text("cohort: c\noutput: o\ninitial_weights: there\n")
    typed = ["--config", str(tmp_path / "run.yaml"), flag, "here"]
    assert parse_flags("job", config, typed).initial_weights == "here"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--epochs many", "--epochs: must be a whole number (given: 'many')."),
        ("--learning-rate x", "--learning-rate: must be a number (given: 'x')."),
        ("--augment maybe", "--augment: must be true or false (given: 'maybe')."),
        ("--optimiser adamm", "must be one of adamw, adam, sgd, lars (given: 'adamm')"),
        ("--epoch 3", "There is no '--epoch'. Did you mean '--epochs'?"),
        ("--xyz", "There is no '--xyz'.\n"),
        ("--config no.yaml", "--config: File does not exist"),
    ],
)
def test_wrong_flags_are_named_with_what_is_allowed(typed: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_flags("finetune", FinetuneConfig, typed.split())
    assert said in str(raised.value)
    assert str(raised.value).endswith("See: neuropretrain finetune --help")
