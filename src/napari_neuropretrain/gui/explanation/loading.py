"""Read maps and regions as layers, for the panel; runs in a background thread."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.gui.explanation.map_files import (
    files_of,
    maps_below,
    title_of,
)
from napari_neuropretrain.gui.explanation.places import REGIONS_KEY
from napari_neuropretrain.gui.reader import read_layers, stem_of
from napari_neuropretrain.gui.scans.layers import labels_layer

if TYPE_CHECKING:
    from napari_neuropretrain.gui.scans.layers import LayerData


def over_scan(path: Path, scan: Path | None) -> list[LayerData]:
    """Read a map, and the scan below it where there is one.

    Raises
    ------
    ImageError
        If one cannot be read.
    """
    below = read_layers(scan) if scan is not None else []
    return [*below, *read_layers(path)]


def maps_of_folder(
    folder: Path, like: Path | None, known: Iterable[Path]
) -> list[LayerData]:
    """Read the maps of a folder that overlap with one.

    Parameters
    ----------
    folder
        Searched with its folders.
    like
        A map of the same scan in the same space. None: the first scan that is found,
        which is read as well.
    known
        Maps that need not be read again.

    Raises
    ------
    ImageError
        If there is none, or one cannot be read.
    """
    shown = {path.resolve() for path in known}
    found = maps_below(folder, like)
    read: list[LayerData] = []
    if like is None and found:
        found = maps_below(folder, found[0])
        scan = files_of(found[0]).template_t1
        read = read_layers(scan) if scan is not None else []
    paths = [path for path in found if path.resolve() not in shown]
    if not paths:
        more = "no other map" if found else "no map"
        whose = "of this scan in this space " if like is not None else ""
        raise ImageError(
            f"There is {more} {whose}in '{folder}'. Choose a folder with runs of "
            "Explain."
        )
    titles: list[str] = []
    for path in paths:
        title = title_of(path)
        if title in titles:  # two runs of one model
            title = f"{path.parent.name}: {title}"
        titles.append(title)
        voxels, keywords, kind = read_layers(path)[0]
        read.append((voxels, keywords | {"name": title, "visible": False}, kind))
    return read


def regions_layer(given: str | Path) -> LayerData:
    """Read regions in template space, with names, as hidden labels.

    Parameters
    ----------
    given
        A label image, or the name of an atlas.

    Raises
    ------
    NeuropretrainError
        If it cannot be read, or there is no such atlas.
    """
    from napari_neuropretrain.explanation.region_atlas import open_atlas

    volume, names = open_atlas(given)
    known = {REGIONS_KEY: dict(names), "path": str(given)}
    name = stem_of(Path(given))
    data, keywords, kind = labels_layer(volume.data, volume.affine, name, **known)
    return data, keywords | {"visible": False}, kind
