"""Read the slices of one DICOM series with GDCM."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.image_checks import (
    MIN_EDGE,
    check_shape,
    check_spacing,
)
from napari_neuropretrain.data.orientation import from_itk
from napari_neuropretrain.errors import ImageError

_T1_NAMES = re.compile(r"t1|mp2?rage|spgr|bravo|tfe|tfl", re.IGNORECASE)
_SLICE_SUFFIXES = (".dcm", ".ima")
_GAP_TOLERANCE = 0.05
"""Slice gaps may differ by this fraction: scanners round positions."""


@dataclass(frozen=True)
class Series:
    """One DICOM series of a folder."""

    uid: str
    files: tuple[str, ...]
    """Sorted along the slice axis by GDCM."""
    description: str
    modality: str

    def __str__(self) -> str:
        """Name the series the way a person knows it."""
        name = self.description or self.uid
        return f"'{name}' ({self.modality or '?'}, {len(self.files)} files)"


def is_dicom_folder(path: Path) -> bool:
    """Say whether a folder directly holds a DICOM file."""
    return path.is_dir() and any(_is_dicom(file) for file in sorted(path.iterdir()))


def read_dicom_folder(
    path: Path,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read the T1-weighted series of a folder of slices.

    Parameters
    ----------
    path
        Folder that holds the slices themselves, not in subfolders.

    Returns
    -------
    tuple
        float32 voxels (I, J, K) and voxel to RAS mm affine (4, 4).

    Raises
    ------
    ImageError
        If there is no series, more than one that may be the T1, or a slice is
        missing or damaged.
    """
    import SimpleITK as sitk

    every_series = list_series(path)
    _check_left_out(path, every_series)
    series = _choose_series(path, every_series)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(series.files)
    reader.MetaDataDictionaryArrayUpdateOn()
    reader.SetOutputPixelType(sitk.sitkFloat32)
    _check_slices(path, series)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise ImageError(
            f"The series {series} in '{path}' cannot be read "
            f"({_last_line(error)}). Export it again."
        ) from None
    check_shape(path, image.GetSize())
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    check_spacing(path, image.GetSpacing())
    affine = from_itk(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    # ITK arrays are (K, J, I).
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0), affine


def list_series(path: Path) -> list[Series]:
    """List the image series whose slices lie directly in a folder."""
    import SimpleITK as sitk

    found = []
    for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(path)):
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path), uid)
        tags = _read_tags(Path(files[0]))
        description = tags.get("0008|103e", "") or tags.get("0018|1030", "")
        modality = tags.get("0008|0060", "")
        found.append(Series(uid, tuple(files), description, modality))
    return sorted(found, key=str)


def _check_left_out(path: Path, series: list[Series]) -> None:
    """Refuse damaged slices, which GDCM leaves out without a word."""
    listed = {Path(file).name for one in series for file in one.files}
    left_out = [
        file.name
        for file in sorted(path.iterdir())
        if file.name not in listed
        and file.name != "DICOMDIR"
        and (_is_dicom(file) or file.suffix.lower() in _SLICE_SUFFIXES)
    ]
    if left_out:
        raise ImageError(
            f"DICOM files in '{path}' cannot be read as slices: "
            f"{', '.join(repr(name) for name in left_out[:5])}"
            f"{f' and {len(left_out) - 5} more' if len(left_out) > 5 else ''}. Export "
            "the series again, or remove these files if they are no slices."
        )


def _choose_series(path: Path, series: list[Series]) -> Series:
    """Return the only series, or the only one that can be a T1-weighted volume."""
    if not series:
        raise ImageError(
            f"The folder '{path}' holds no readable DICOM series. Export the "
            "T1-weighted series again."
        )
    fitting = [one for one in series if one.modality in ("MR", "")]
    volumes = [one for one in fitting if len(one.files) >= MIN_EDGE]
    if len(volumes) > 1:
        volumes = [one for one in volumes if _T1_NAMES.search(one.description)]
    # One file may be a multi-frame volume; check_shape decides.
    if not volumes and len(series) == 1 and fitting:
        volumes = fitting
    if len(volumes) == 1:
        return volumes[0]
    raise ImageError(
        f"The folder '{path}' holds {len(series)} DICOM series, and which one is the "
        f"T1-weighted volume is not clear: {', '.join(map(str, series))}. Put the "
        "slices of that series alone into a folder."
    )


def _check_slices(path: Path, series: Series) -> None:
    """Refuse a series with missing, repeated or differently angled slices."""
    if len(series.files) < MIN_EDGE:
        return
    gaps = np.diff(np.sort(_positions_mm(path, series)))
    usual = float(np.median(gaps))
    if gaps.min() < usual / 2 or usual <= 0:
        raise ImageError(
            f"Several slices of {series} in '{path}' lie at the same place: it is a "
            "time series or several volumes. Give one volume alone."
        )
    if gaps.max() > usual * (1 + _GAP_TOLERANCE) + 0.01:
        missing = int(np.round(gaps / usual - 1).clip(min=0).sum())
        raise ImageError(
            f"Slices are missing from {series} in '{path}': the gap is "
            f"{usual:.2f} mm, but up to {gaps.max():.2f} mm ({missing} missing). "
            "Export the series again."
        )


def _positions_mm(path: Path, series: Series) -> NDArray[np.float64]:
    """Return where each slice lies along the normal of the first one."""
    tags = [_read_tags(Path(file)) for file in series.files]
    try:
        corners = np.array([_numbers(one["0020|0032"]) for one in tags])
        axes = np.array([_numbers(one["0020|0037"]) for one in tags])
    except (KeyError, ValueError):
        raise ImageError(
            f"Slices of {series} in '{path}' do not say where they lie (tags "
            "ImagePositionPatient, ImageOrientationPatient). Export the original "
            "series."
        ) from None
    if np.abs(axes - axes[0]).max() > 1e-3:
        raise ImageError(
            f"The slices of {series} in '{path}' are not parallel. This is a "
            "localiser or several volumes; give the T1-weighted series alone."
        )
    along: NDArray[np.float64] = corners @ np.cross(axes[0, :3], axes[0, 3:])
    return along


def _numbers(text: str) -> list[float]:
    r"""Split a DICOM multi-value, for example ``"1.0\\\\2.0\\\\3.0"``."""
    return [float(value) for value in text.split("\\")]


def _is_dicom(file: Path) -> bool:
    """Say whether a file has the DICOM mark after its 128-byte preamble."""
    if not file.is_file():
        return False
    try:
        with file.open("rb") as stream:
            stream.seek(128)
            return stream.read(4) == b"DICM"
    except OSError:  # not ours to read, so not a slice of this scan
        return False


def _read_tags(file: Path) -> dict[str, str]:
    """Read the header of one slice."""
    import SimpleITK as sitk

    reader: Any = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise ImageError(
            f"The DICOM slice '{file}' cannot be read ({_last_line(error)}). Export "
            "the series again."
        ) from None
    return {
        key: reader.GetMetaData(key).strip()
        for key in ("0008|103e", "0018|1030", "0008|0060", "0020|0032", "0020|0037")
        if reader.HasMetaDataKey(key)
    }


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
