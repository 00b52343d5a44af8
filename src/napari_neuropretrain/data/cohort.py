"""Who was scanned: the records every job passes around."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Failure

Kind: TypeAlias = Literal["raw", "preprocessed"]


@dataclass(frozen=True)
class Scan:
    """One T1-weighted scan of one participant.

    Parameters
    ----------
    participant
        BIDS id with its prefix, for example ``"sub-01"``.
    session
        BIDS session with its prefix, for example ``"ses-02"``, or None.
    path
        Image file or DICOM folder.
    row
        The participant's line of the table, column name to text. Empty if there
        is none.
    """

    participant: str
    session: str | None
    path: Path
    row: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> str:
        """Name for files and tables, unique in a cohort.

        Examples
        --------
        >>> Scan("sub-01", "ses-02", Path("t1.nii.gz")).key
        'sub-01_ses-02'
        """
        return "_".join(part for part in (self.participant, self.session) if part)


@dataclass(frozen=True)
class Cohort:
    """The scans of a study.

    Parameters
    ----------
    scans
        Sorted by key; keys are unique.
    root
        The folder, or the file, the cohort was read from.
    kind
        ``"raw"`` scans, or scans ``"preprocessed"`` by this package.
    problems
        Rows and files that could not be used, and why.
    notes
        Sentences a person should read, for example which run was taken.
    """

    scans: tuple[Scan, ...]
    root: Path
    kind: Kind = "raw"
    problems: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names of the table, in its order."""
        names = dict.fromkeys(name for scan in self.scans for name in scan.row)
        return tuple(names)


def bids_label(prefix: str, name: str) -> str:
    """Return a BIDS entity: the prefix, and the letters and digits of `name`.

    Raises
    ------
    CohortError
        If nothing of the name is left.

    Examples
    --------
    >>> bids_label("sub", "IXI012-HH-1211"), bids_label("sub", "sub-01")
    ('sub-IXI012HH1211', 'sub-01')
    """
    bare = name.strip().removeprefix(f"{prefix}-")
    label = re.sub(r"[^A-Za-z0-9]", "", bare)
    if not label:
        raise CohortError(
            f"'{name}' cannot name a participant or session: it needs at least one "
            "letter or digit (A-Z, 0-9)."
        )
    return f"{prefix}-{label}"
