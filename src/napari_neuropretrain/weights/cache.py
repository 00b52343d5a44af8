"""Where pulled weights are kept, and what is known about them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.pulled import cached_file, record_path
from napari_neuropretrain.config.weights_catalog import KnownWeights
from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.weights.checkpoint_files import hash_file


@dataclass(frozen=True)
class PulledRecord:
    """What `pull` found out about a file; kept beside it.

    Parameters
    ----------
    name
        Name in the list of known weights.
    sha256
        Hash of the file.
    verified
        Which published or given hash it has; empty if none was compared.
    accepted
        Whether the person accepted the licence.
    """

    name: str
    sha256: str
    verified: str
    accepted: bool


def write_record(known: KnownWeights, record: PulledRecord) -> None:
    """Keep what is known about a pulled file."""
    write_text(record_path(known), json.dumps(asdict(record), indent=2) + "\n")


def pulled_file(known: KnownWeights) -> Path:
    """Return the file of weights that were pulled.

    Raises
    ------
    CheckpointError
        If they were not, or the file changed since.
    """
    path = cached_file(known)
    try:
        record = PulledRecord(**json.loads(record_path(known).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        record = None
    if record is None or not path.is_file():
        raise CheckpointError(
            f"The weights '{known.name}' were not pulled. Type: neuropretrain weights "
            f"pull {known.name}"
        )
    if hash_file(path) != record.sha256:
        raise CheckpointError(
            f"'{path}' changed since it was pulled. Delete it and type: neuropretrain "
            f"weights pull {known.name}"
        )
    return path


def has_hash(path: Path, expected: str) -> bool:
    """Compare a file with a published hash.

    Parameters
    ----------
    path
        The file.
    expected
        ``sha256:`` and all or the first digits, or ``git:`` and the blob hash.
    """
    kind, _, digits = expected.partition(":")
    if kind == "git":
        return _git_hash(path) == digits
    return hash_file(path).startswith(digits.lower())


def _git_hash(path: Path) -> str:
    """Return the hash under which git stores the file's content."""
    data = path.read_bytes()
    head = f"blob {len(data)}\0".encode()
    return hashlib.sha1(head + data, usedforsecurity=False).hexdigest()
