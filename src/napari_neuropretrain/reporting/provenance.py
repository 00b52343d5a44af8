"""How something was made: command, settings, versions, hashes."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from napari_neuropretrain import __version__
from napari_neuropretrain.config.base import Config
from napari_neuropretrain.reporting.page import preformatted, section
from napari_neuropretrain.reporting.tables import html_table
from napari_neuropretrain.runs.command import command_line
from napari_neuropretrain.runs.folder import CONFIG


def provenance(
    job: str,
    config: Config,
    facts: Mapping[str, str],
    versions: Mapping[str, str],
) -> str:
    """Return the sections that let someone do it again.

    Parameters
    ----------
    job
        Name of the job.
    config
        Its settings.
    facts
        Hashes and the like, by what they are of.
    versions
        Software by name.
    """
    saved = Path(getattr(config, "output")) / CONFIG  # noqa: B009 - all jobs have it
    commands = [command_line(job, config), "", "# or, with every setting written out:"]
    commands.append(f'neuropretrain {job} --config "{saved}"')
    rows = [("made", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"), *facts.items()]
    found = {"napari-neuropretrain": __version__, "python": platform.python_version()}
    rows += [(f"software: {one}", text) for one, text in {**found, **versions}.items()]
    return "\n".join(
        (
            section("Do it again", preformatted("\n".join(commands))),
            section("Settings", preformatted(config.to_yaml())),
            section("Provenance", html_table(("what", "value"), rows)),
        )
    )


def sha256_of(path: Path) -> str:
    """Return the hash of a file, or a dash where it is not there.

    Examples
    --------
    >>> sha256_of(Path("there is no such file"))
    '-'
    """
    if not path.is_file():
        return "-"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
