"""The scan behind a napari layer: its file, or a NIfTI written of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_neuropretrain.data.orientation import (
    Affine,
    from_canonical,
    from_napari,
    to_canonical,
    to_napari,
)
from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.gui.reader import MAPS, PREPROC, stem_of
from napari_neuropretrain.gui.scans.scan_pair import is_scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

INPUT_FOLDER = "input"
"""Within the output folder: scans that were written of layers."""

_ADVICE = "Select the image layer of a raw T1-weighted head, and press again."


def current_layer(viewer: ViewerModel, raw: bool = True) -> Image:
    """Return the selected image layer, or the only one there is.

    Parameters
    ----------
    raw
        Whether a layer of a preprocessed scan is refused.

    Raises
    ------
    ImageError
        If none or several are selected, or it is not one 3D volume.
    """
    chosen = [one for one in viewer.layers.selection if isinstance(one, Image)]
    if len(viewer.layers.selection) != 1 or not chosen:
        chosen = [one for one in viewer.layers if isinstance(one, Image)]
    if len(chosen) != 1:
        what = "There is no image layer." if not chosen else "Which layer?"
        raise ImageError(f"{what} {_ADVICE}")
    layer = chosen[0]
    _check(layer, raw)
    return layer


def file_of(layer: Layer) -> Path | None:
    """Return the file or DICOM folder a layer came from, if it still holds it.

    A layer that was cropped or resampled since has another shape than its file.
    """
    named = layer.metadata.get("path") or layer.source.path
    if not named or not is_scan(path := Path(str(named))):
        return None
    if path.is_dir():
        return path
    import nibabel as nib

    try:
        image: Any = nib.load(path)
    except (OSError, EOFError, nib.filebasedimages.ImageFileError):
        return None
    shape = [edge for edge in image.shape if edge > 1]
    mine = [edge for edge in layer.data.shape if edge > 1]
    return path if sorted(shape) == sorted(mine) else None


def write_scan(data: NDArray[Any], affine: Affine, name: str, output: Path) -> Path:
    """Write voxels (X, Y, Z) as a NIfTI into the input folder of `output`.

    Parameters
    ----------
    data, affine
        As `voxels_of` returns them.
    name
        Of the layer; it becomes the name of the participant.

    Raises
    ------
    ImageError
        If the folder cannot be written.
    """
    from napari_neuropretrain.data.volumes import write_image

    plain = re.sub(r" \(oblique .*\)$", "", name)  # added for display
    word = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-") or "layer"
    path = output / INPUT_FOLDER / f"{word}_T1w.nii.gz"
    try:
        return write_image(path, np.asarray(data, dtype=np.float32), affine)
    except OSError as error:
        raise ImageError(
            f"The layer cannot be written to '{path}' ({error.strerror}). Give an "
            "output folder you may write to."
        ) from None


def voxels_of(layer: Image) -> tuple[NDArray[Any], Affine]:
    """Return a layer's voxels (X, Y, Z) and voxel to RAS mm (4, 4).

    The affine in the metadata, which may be oblique, is believed as long as the
    layer still lies where it puts it; else napari's scale, translate and rotation
    are, with z to the top, y to the front and x to the right.
    """
    voxels, affine, _ = place_of(layer, layer.metadata)
    return voxels, affine


def place_of(
    layer: Layer, metadata: Mapping[str, Any]
) -> tuple[NDArray[Any], Affine, bool]:
    """Return voxels (X, Y, Z), voxel to RAS mm, and whether the metadata said it.

    Parameters
    ----------
    layer
        A 3D layer.
    metadata
        May hold the affine (4, 4) of the scan the layer was read from.
    """
    voxels = from_napari(np.asarray(layer.data))
    known = metadata.get("affine")
    if known is not None and np.shape(known) == (4, 4):
        _, affine = to_canonical(from_canonical(voxels, known), known)
        placed = to_napari(voxels, affine)
        corner = layer.data_to_world((0, 0, 0))
        if np.allclose(placed.scale, layer.scale, rtol=1e-3) and np.allclose(
            placed.translate, corner, atol=0.01
        ):
            return voxels, affine, True
    return voxels, _affine_of(layer), False


def suggest_output(scan: Path) -> Path:
    """Return a folder for the derivatives of `scan`: beside it, out of its way.

    Examples
    --------
    >>> suggest_output(Path("study/sub-01/anat/sub-01_T1w.nii.gz")).as_posix()
    'study/derivatives/neuropretrain'
    >>> suggest_output(Path("scans/a.nii.gz")).as_posix()
    'scans/neuropretrain'
    """
    from napari_neuropretrain.data.dicom import is_dicom_folder

    cohort = scan.is_dir() and not is_dicom_folder(scan)
    folder = scan if cohort else scan.parent
    if not os.access(folder, os.W_OK) and folder.exists():
        return Path.home() / "neuropretrain" / stem_of(scan)
    for parent in (folder, *folder.parents):
        if parent.name.startswith("sub-"):
            return parent.parent / "derivatives" / "neuropretrain"
    if any(folder.glob("sub-*/")):
        return folder / "derivatives" / "neuropretrain"
    return folder / "neuropretrain"


def _check(layer: Image, raw: bool) -> None:
    """Refuse what is not one 3D volume of a head."""
    made = (*MAPS, PREPROC) if raw else MAPS
    shape = "x".join(str(edge) for edge in layer.data.shape)
    if layer.rgb:
        reason = f"is a colour picture ({shape})"
    elif layer.multiscale:
        reason = "is a pyramid of several resolutions"
    elif layer.ndim != 3:
        reason = f"has {layer.ndim} axes ({shape}); a scan has three"
    elif min(layer.data.shape) < 2:
        reason = f"is a single slice ({shape})"
    elif stem_of(Path(str(layer.metadata.get("path")))).endswith(made):
        reason = "was made by this plugin: it is preprocessed already"
    else:
        return
    raise ImageError(f"The layer '{layer.name}' {reason}. {_ADVICE}")


def _affine_of(layer: Layer) -> Affine:
    """Read voxel to RAS mm off the layer's place in the world."""
    origin = np.array(layer.data_to_world((0, 0, 0)), dtype=float)
    # Column i: how one step along array axis z, y, x moves through the world.
    steps = [np.array(layer.data_to_world(row)) - origin for row in np.eye(3)]
    to_mm = np.array([_mm_of(unit) for unit in layer.units])
    affine = np.eye(4)
    affine[:3, :3] = (np.stack(steps, axis=1) * to_mm[:, None])[::-1, ::-1]
    affine[:3, 3] = (origin * to_mm)[::-1]
    return affine


def _mm_of(unit: Any) -> float:
    """Return how many mm a napari unit is; a pixel counts as 1 mm."""
    quantity = 1 * unit
    if not quantity.check("[length]"):
        return 1.0
    return float(quantity.to("mm").magnitude)
