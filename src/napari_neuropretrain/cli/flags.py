"""Flags of a job, made from its settings class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, get_origin

from jsonargparse import ArgumentParser, DefaultHelpFormatter
from pydantic.fields import FieldInfo

from napari_neuropretrain.cli.flag_texts import (
    default_of,
    flag_of,
    help_of,
    note_of,
    say_unknown_flag,
    say_wrong_value,
)
from napari_neuropretrain.config.base import Config
from napari_neuropretrain.errors import ConfigError


class FlagHelp(DefaultHelpFormatter):  # type: ignore[misc, unused-ignore]
    """Shows the default of a flag, and no Python types."""

    def _get_help_string(self, action: Any) -> str:
        text = str(action.help or "")
        if action.default in (None, "", "==SUPPRESS=="):
            return text
        return text + " (default: %(default)s)"


class FlagParser(ArgumentParser):  # type: ignore[misc, unused-ignore]
    """Raises `ConfigError` instead of leaving, and names the flag."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Turn a parser's complaint into a sentence."""
        flags = [flag for one in self._actions for flag in one.option_strings]
        text = say_wrong_value(message) or say_unknown_flag(message, flags)
        text = text or re.sub(
            r'Parser key "([\w.]+)"', lambda found: flag_of(found[1]), message
        )
        raise ConfigError(f"{text}\nSee: {self.prog} --help")


def flag_parser(job: str, config: type[Config]) -> FlagParser:
    """Build the parser of a job: ``--config`` and one flag for each setting."""
    parser = FlagParser(
        prog=f"neuropretrain {job}",
        description=config.__doc__,
        allow_abbrev=False,
        formatter_class=FlagHelp,
        print_config=None,
    )
    parser.add_argument(
        "--config",
        action="config",
        help="YAML file with any of the settings below; flags after it win",
    )
    for name, field in config.model_fields.items():
        required = field.is_required()
        # A flag alone means yes.
        alone = {"nargs": "?", "const": True} if field.annotation is bool else {}
        parser.add_argument(
            flag_of(name),
            *([flag_of(short)] if (short := note_of(field, "short")) else []),
            type=_kind(field),
            default=None if required else default_of(field),
            help=_help(field, required),
            **alone,  # type: ignore[arg-type]
        )
    return parser


def parse_flags(job: str, config: type[Config], arguments: Sequence[str]) -> Config:
    """Read the settings of a job from its command-line arguments.

    Raises
    ------
    ConfigError
        With one line for each wrong flag.
    """
    parser = flag_parser(job, config)
    # Only what was typed: the defaults live in the settings class alone.
    given = parser.parse_args(list(arguments), defaults=False).as_dict()
    given.pop("config", None)
    values = {name: value for name, value in given.items() if value is not None}
    try:
        return config.parse(values, source="the command line")
    except ConfigError as error:
        text = re.sub(
            r"(?m)^  (\w+)", lambda found: "  " + flag_of(found[1]), str(error)
        )
        raise ConfigError(f"{text}\nSee: neuropretrain {job} --help") from None


def _help(field: FieldInfo, required: bool) -> str:
    return help_of(field).replace("%", "%%") + (" (required)" if required else "")


def _kind(field: FieldInfo) -> Any:
    if note_of(field, "catalog"):
        return str | dict[str, Any]
    if note_of(field, "text"):  # YAML reads 80 as a number, and a list as one
        return str | int | list[int]
    if get_origin(field.annotation) is tuple:  # one text with commas, or a list
        return str | list[str]
    return str if field.annotation is Path else field.annotation
