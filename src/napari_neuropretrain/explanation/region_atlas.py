"""Label images with names: a file, or an atlas that nilearn fetches by its name."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from napari_neuropretrain.data.volumes import Volume, read_volume
from napari_neuropretrain.errors import ConfigError


@dataclass(frozen=True)
class Part:
    """One image that nilearn fetches.

    Parameters
    ----------
    fetcher
        Name of a function of ``nilearn.datasets``.
    arguments
        Of the call.
    without
        Names that contain this are left out.
    """

    fetcher: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    without: str = "\0"


def _schaefer(regions: int) -> tuple[Part, ...]:
    arguments = {"n_rois": regions, "resolution_mm": 1}
    return (Part("fetch_atlas_schaefer_2018", arguments),)


_CORTICAL = Part("fetch_atlas_harvard_oxford", {"atlas_name": "cort-maxprob-thr25-1mm"})
# Its "cerebral cortex" and "cerebral white matter" would hide the cortical regions.
_SUBCORTICAL = Part(
    "fetch_atlas_harvard_oxford", {"atlas_name": "sub-maxprob-thr25-1mm"}, "Cerebral"
)
ATLASES: Mapping[str, tuple[Part, ...]] = {
    "harvard_oxford": (_SUBCORTICAL, _CORTICAL),
    "aal": (Part("fetch_atlas_aal", {"version": "SPM12"}),),
    "destrieux": (Part("fetch_atlas_destrieux_2009"),),
    "juelich": (Part("fetch_atlas_juelich", {"atlas_name": "maxprob-thr25-1mm"}),),
    "schaefer_100": _schaefer(100),
    "schaefer_200": _schaefer(200),
    "schaefer_400": _schaefer(400),
}
"""Atlases in MNI space by name; where parts overlap, the first one counts."""


def open_atlas(given: str | Path) -> tuple[Volume, dict[int, str]]:
    """Read a label image and the names of its numbers.

    Parameters
    ----------
    given
        A file of whole numbers in template space, with a table of the same name that
        ends with ``.tsv`` (columns ``index`` and ``name``, as BIDS has them), or one
        of `ATLASES`. Those are fetched once; nilearn keeps them in its data folder.

    Raises
    ------
    ConfigError
        If there is neither such a file nor such an atlas, or it cannot be fetched.
    ImageError
        If the file cannot be read.
    """
    path = Path(given)
    if path.exists():
        return read_volume(path), region_names(path)
    if str(given) in ATLASES:
        return _merge([_fetch(str(given), part) for part in ATLASES[str(given)]])
    raise ConfigError(
        f"regions: '{given}' is neither a file nor a known atlas. Give a label image "
        f"in template space (MNI152), or one of {', '.join(ATLASES)}."
    )


def _fetch(name: str, part: Part) -> tuple[Volume, dict[int, str]]:
    # nilearn imports scikit-learn and pandas, which takes seconds.
    from nilearn import datasets

    try:
        found = getattr(datasets, part.fetcher)(**part.arguments, verbose=0)
    except OSError as error:  # what the network says is one, too
        folder = datasets.get_data_dirs()[0]
        raise ConfigError(
            f"regions: the atlas '{name}' is not on this machine, and could not be "
            f"fetched ({type(error).__name__}). Run this once where there is internet, "
            f"copy the folder '{folder}' from such a machine, or give a label image in "
            "template space."
        ) from None
    volume = _volume_of(found["maps"])
    names = {
        int(index): str(text)
        for index, text in zip(found["lut"]["index"], found["lut"]["name"], strict=True)
        if int(index) > 0 and part.without not in str(text)
    }
    data = np.where(np.isin(volume.data, list(names)), volume.data, 0)
    return Volume.from_native(data, volume.affine), names


def _volume_of(maps: Any) -> Volume:
    if isinstance(maps, str | Path):
        return read_volume(maps)
    image: nib.Nifti1Image = maps
    return Volume.from_native(np.asarray(image.dataobj), image.affine)


def _merge(
    parts: list[tuple[Volume, dict[int, str]]],
) -> tuple[Volume, dict[int, str]]:
    """Put parts of one grid together; later numbers are moved behind earlier ones."""
    (volume, names), *others = parts
    data, all_names = volume.data.copy(), dict(names)
    for other, more in others:
        after = max(all_names)
        free = (data == 0) & (other.data > 0)
        data[free] = other.data[free] + after
        all_names |= {index + after: text for index, text in more.items()}
    return Volume.from_native(data, volume.affine), all_names


def region_names(path: Path) -> dict[int, str]:
    """Read the names of a label image's numbers from the table beside it, if any.

    Raises
    ------
    ConfigError
        If the table lacks the columns ``index`` and ``name``.
    """
    table = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    return dict(_read_names(table)) if table.is_file() else {}


def _read_names(table: Path) -> Iterator[tuple[int, str]]:
    with table.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            try:
                yield int(row["index"]), str(row["name"])
            except (KeyError, TypeError, ValueError):
                raise ConfigError(
                    f"regions: '{table}' must have the columns 'index' (whole numbers) "
                    "and 'name', as in BIDS; or take it away for numbers only."
                ) from None
