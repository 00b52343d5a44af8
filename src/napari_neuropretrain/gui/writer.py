"""Save layers as NIfTI or MGH, where the scan truly lies, with its header."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

SUFFIXES = (".nii.gz", ".nii", ".mgz", ".mgh")


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save an image layer; called by napari.

    Parameters
    ----------
    path
        Ends with one of `SUFFIXES`.
    data
        Voxels (Z, Y, X).
    attributes
        The layer's other properties, among them its metadata.

    Raises
    ------
    ImageError
        If it is not one 3D volume, or cannot be written.
    """
    return _write(path, data, attributes, "image")


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save a labels layer, such as an edited brain mask; called by napari.

    Parameters
    ----------
    path, data, attributes
        As for `write_image`.

    Raises
    ------
    ImageError
        If it is not one 3D volume, or cannot be written.
    """
    return _write(path, data, attributes, "labels")


def _write(path: str, data: Any, attributes: dict[str, Any], kind: str) -> list[str]:
    from napari.layers import Layer

    from napari_neuropretrain.data.native_image import write_like

    layer = Layer.create(data, dict(attributes), kind)
    _check(layer)
    known = _metadata(layer)
    values, affine, header = native_voxels(layer, known)
    source = Path(str(known.get("path") or "-"))
    write_like(Path(path), values, affine, header, source)
    return [path]


def native_voxels(
    layer: Layer, metadata: dict[str, Any]
) -> tuple[NDArray[Any], NDArray[np.float64], Any]:
    """Return a layer's voxels in the order of its file, their affine, and its header.

    Where the layer was moved, cropped or resampled since, the voxels are in RAS
    order, and lie where the layer does.

    Parameters
    ----------
    layer
        A 3D layer.
    metadata
        Its own, or that of the scan it was drawn on.

    Returns
    -------
    values
        (I, J, K).
    affine
        Voxel to RAS mm (4, 4).
    header
        Of the file, or None.
    """
    from napari_neuropretrain.data.orientation import from_canonical
    from napari_neuropretrain.gui.scans.layer_scan import place_of

    values, affine, stayed = place_of(layer, metadata)
    if values.dtype.kind == "f":
        values = _light_again(values, metadata)
    native = metadata.get("native_affine")
    shape = metadata.get("native_shape")
    if not stayed or native is None:
        return values, affine, metadata.get("header")
    back = from_canonical(values, native)
    if shape is not None and back.shape != tuple(shape):
        return values, affine, metadata.get("header")
    return back, np.asarray(native, dtype=float), metadata.get("header")


def _metadata(layer: Layer) -> dict[str, Any]:
    """Return what is known of a layer: its own, or that of a scan on the same grid.

    Labels that were painted on a scan know nothing of it.
    """
    import napari

    own = dict(layer.metadata)
    viewer = napari.current_viewer()
    if "affine" in own or viewer is None:
        return own
    for other in viewer.layers:
        shared = "affine" in other.metadata and other.data.shape == layer.data.shape
        if shared and _same_place(layer, other):
            found = {key: other.metadata[key] for key in other.metadata if key in _GRID}
            return {**found, **own}
    return own


_GRID = ("affine", "native_affine", "native_shape", "header")
"""What is true of every array on the grid of a scan."""


def _same_place(layer: Layer, other: Layer) -> bool:
    corners = [(0, 0, 0), tuple(edge - 1 for edge in layer.data.shape)]
    return all(
        np.allclose(layer.data_to_world(one), other.data_to_world(one), atol=0.01)
        for one in corners
    )


def _light_again(values: NDArray[Any], metadata: dict[str, Any]) -> NDArray[Any]:
    """Undo what the reader does to the surroundings of a brain for display."""
    place, before = metadata.get("outside", (None, None))
    if place is None or before is None or place.shape != values.shape:
        return values
    restored = np.array(values)
    shown = restored[place]
    # Where somebody has painted since, the paint stays.
    restored[place] = np.where(shown == np.median(shown), before, shown)
    return restored


def _check(layer: Layer) -> None:
    """Refuse what is not one 3D volume.

    Raises
    ------
    ImageError
        Says what it is.
    """
    from napari_neuropretrain.errors import ImageError

    if getattr(layer, "multiscale", False):
        reason = "is a pyramid of several resolutions"
    elif getattr(layer, "rgb", False):
        reason = "is a colour picture"
    elif layer.ndim != 3:
        reason = f"has {layer.ndim} axes; a NIfTI of a scan has three"
    else:
        return
    raise ImageError(
        f"The layer '{layer.name}' {reason}. Save it in another format, such as .tif."
    )
