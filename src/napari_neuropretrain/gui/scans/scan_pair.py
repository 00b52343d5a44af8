"""One scan before and after preprocessing, as layers; use a background thread."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_neuropretrain.data.orientation import spacing_of
from napari_neuropretrain.gui.reader import (
    BRAIN_MASK,
    PREPROC,
    SUFFIXES,
    read_layers,
    stem_of,
)
from napari_neuropretrain.gui.scans.layers import AFTER, BEFORE, SIDE_KEY, edges_layer
from napari_neuropretrain.gui.scans.template_edges import template_edges

if TYPE_CHECKING:
    from napari_neuropretrain.gui.scans.layers import LayerData

EDGES_NAME = "template edges"


def pair_layers(preproc: Path, scan: Path | None = None) -> list[LayerData]:
    """Return the layers of a preprocessed scan, bottom first.

    Before: the raw scan, if it is still there, and its brain mask, in the scan's own
    space. After: the aligned volume and the template's edges, in template space.

    Parameters
    ----------
    preproc
        The preprocessed image, ``*_space-MNI152_desc-preproc_T1w.nii.gz``.
    scan
        The raw scan, if known; else the JSON beside `preproc` names it.

    Raises
    ------
    ImageError
        If an image cannot be read.
    """
    raw = scan or source_of(preproc)
    before: list[LayerData] = read_layers(raw) if raw is not None else []
    mask = preproc.with_name(f"{key_of(preproc)}{BRAIN_MASK}.nii.gz")
    if before and mask.exists():
        before += read_layers(mask)
    aligned = read_layers(preproc)
    data, keywords, _ = aligned[0]
    # napari's arrays are (z, y, x); the grid is (x, y, z).
    x, y, z = data.shape[::-1]
    spacing_mm = spacing_of(keywords["metadata"]["affine"])[0]
    lines = edges_layer(*template_edges((x, y, z), spacing_mm), EDGES_NAME)
    return [*_marked(before, BEFORE), *_marked([*aligned, lines], AFTER)]


def find_preproc(folder: Path, scan: Path | None = None) -> Path | None:
    """Return the preprocessed image of `scan`, or the first below `folder`.

    Parameters
    ----------
    folder
        Derivatives folder, or the image itself.
    scan
        A raw scan; None takes the first. One whose source is gone is taken for it
        only if there is no other.
    """
    found = list(_preprocs(folder))
    if scan is None:
        return found[0] if found else None
    sources = [source_of(preproc) for preproc in found]
    for preproc, source in zip(found, sources, strict=True):
        if source is not None and source.resolve() == scan.resolve():
            return preproc
    return found[0] if sources == [None] else None


def preproc_of(folder: Path, participant: str, session: str | None) -> Path | None:
    """Return the preprocessed image of one scan of a derivatives folder."""
    anat = folder / participant / (session or "") / "anat"
    return next(_preprocs(anat), None) if anat.is_dir() else None


def source_of(preproc: Path) -> Path | None:
    """Return the raw scan that a derivative was made from, if it is still there."""
    beside = preproc.with_name(f"{stem_of(preproc)}.json")
    try:
        source = json.loads(beside.read_text(encoding="utf-8"))["Source"]
        named = Path(str(source["Path"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return named if named.exists() else None


def key_of(preproc: Path) -> str:
    """Return the name of the scan.

    Examples
    --------
    >>> key_of(Path("sub-01_ses-2_space-MNI152_desc-preproc_T1w.nii.gz"))
    'sub-01_ses-2'
    """
    return stem_of(preproc).removesuffix(PREPROC)


def is_scan(path: Path) -> bool:
    """Whether `path` is an image file, or a folder that may hold DICOM slices."""
    if path.name == "":
        return False
    return path.is_dir() or (path.is_file() and path.name.lower().endswith(SUFFIXES))


def _preprocs(path: Path) -> Iterator[Path]:
    """Give `path` itself if it is a preprocessed image, else those below it."""
    pattern = f"*{PREPROC}.nii.gz"
    if path.is_file():
        yield from [path] if path.match(pattern) else []
        return
    yield from sorted(path.rglob(pattern))


def _marked(layers: list[LayerData], side: str) -> list[LayerData]:
    marked: list[LayerData] = []
    for data, keywords, kind in layers:
        metadata: dict[str, Any] = {**keywords["metadata"], SIDE_KEY: side}
        # Hidden until the view has chosen a side.
        known = {**keywords, "metadata": metadata, "visible": False}
        marked.append((data, known, kind))
    return marked
