"""Read scans, brain masks, occlusion maps, run folders and model files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_neuropretrain.gui import opened

if TYPE_CHECKING:
    from napari_neuropretrain.gui.scans.layers import LayerData

SUFFIXES = (".nii.gz", ".nii", ".mgh", ".mgz")
MAPS = (
    "_desc-occlusion_map",
    "_desc-randomised_map",
    "_desc-integratedgradients_map",
    "_desc-smoothgrad_map",
    "_desc-gradcam_map",
    "_desc-attentionrollout_map",
    "_desc-occlusionmean_map",
    "_desc-occlusiondifference_map",
)
_NOTE = "_explanation.json"
NO_LAYERS: Any = [(None,)]
"""What napari takes for a file that was read and has nothing to add."""
BRAIN_MASK, PREPROC = "_desc-brain_mask", "_space-MNI152_desc-preproc_T1w"


def get_reader(
    path: str | Sequence[str],
) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """Return `read` if every path is a scan, a map, a DICOM or run folder, a model."""
    paths = [path] if isinstance(path, str) else list(path)
    return read if paths and all(_accepts(Path(one)) for one in paths) else None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Read one or more paths, and turn the brain upright in an empty viewer.

    Run folders and model files open a panel, where the viewer has a window.

    Raises
    ------
    ImageError
        If one cannot be read.
    CheckpointError
        If a model file has no card beside it.
    """
    import napari

    from napari_neuropretrain.gui.scans.view import set_up_view

    paths = [path] if isinstance(path, str) else list(path)
    viewer = napari.current_viewer()
    layers = [layer for one in paths for layer in _open(Path(one), viewer)]
    if viewer is not None and layers and not viewer.layers:
        set_up_view(viewer)
    return layers or NO_LAYERS


def _open(path: Path, viewer: Any) -> list[LayerData]:
    """Return the layers of a path; what has none is shown in a panel."""
    if opened.is_run(path):
        return opened.open_run(path, viewer)
    if opened.is_model(path):
        opened.open_model(path, viewer)
        return []
    return read_layers(path)


def read_layers(path: Path) -> list[LayerData]:
    """Read one path as layers; what it is follows from its name. No Qt.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    from napari_neuropretrain.data.volumes import read_volume
    from napari_neuropretrain.gui.scans import layers
    from napari_neuropretrain.gui.scans.overlay import symmetric_limit

    stem = stem_of(path)
    if stem.endswith(BRAIN_MASK) or is_map(path):
        data, affine = read_map(path)
        details = {"path": str(path), **_stored(path), **_explanation(path)}
        if stem.endswith(BRAIN_MASK):
            return [layers.mask_layer(data, affine, stem, **details)]
        share = _strongest_share(details, symmetric_limit(data))
        return [layers.occlusion_layer(data, affine, stem, share, **details)]
    volume = read_volume(path)
    data, look, extra = volume.data, {}, {}
    if stem.endswith(PREPROC):
        mask = path.with_name(path.name.replace("_desc-preproc_T1w", BRAIN_MASK))
        if mask.exists():
            brain = read_map(mask)[0]
            look["contrast_limits"] = layers.brain_limits(data, brain)
            extra["outside"] = (brain <= 0.5, data[brain <= 0.5])
            data = layers.outside_dark(data, brain)
    details = {
        "path": str(path),
        "native_affine": volume.native_affine,
        "native_shape": volume.native_shape,
        "notes": volume.notes,
        **_stored(path),
        **extra,
    }
    voxels, keywords, kind = layers.t1_layer(data, volume.affine, stem, **details)
    return [(voxels, keywords | look, kind)]


def is_map(path: Path) -> bool:
    """Whether a file is a map of the explain job: by its name, or what lies beside it.

    A map that was renamed is known by the ``_explanation.json`` of its participant.
    """
    stem = stem_of(path)
    return stem.endswith(MAPS) or (stem.endswith("_map") and bool(_explanation(path)))


def stem_of(path: Path) -> str:
    """Return the file name without its image suffix.

    Examples
    --------
    >>> stem_of(Path("a/sub-01_T1w.nii.gz"))
    'sub-01_T1w'
    """
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def _accepts(path: Path) -> bool:
    if opened.is_run(path) or opened.is_model(path):
        return True
    if path.is_dir():
        from napari_neuropretrain.data.dicom import is_dicom_folder

        try:
            return is_dicom_folder(path)
        except OSError:
            return False
    return path.name.lower().endswith(SUFFIXES)


def read_map(path: Path) -> tuple[Any, Any]:
    """Read a map, which unlike a scan may be empty or negative, in RAS order.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    import nibabel as nib
    import numpy as np

    from napari_neuropretrain.data.orientation import to_canonical
    from napari_neuropretrain.errors import ImageError

    try:
        image: Any = nib.load(path)
        voxels = np.asarray(image.dataobj, dtype=np.float32)
    except (OSError, EOFError, nib.filebasedimages.ImageFileError) as error:
        raise ImageError(f"'{path}' cannot be read ({error}). Make it again.") from None
    if voxels.ndim != 3:
        raise ImageError(f"'{path}' has shape {voxels.shape}; a map has three axes.")
    return to_canonical(voxels, image.affine)


def _stored(path: Path) -> dict[str, Any]:
    """Return how a file holds its voxels, for the layer's metadata.

    nibabel takes the scaling out of the header of an image that it reads.
    """
    import nibabel as nib

    if path.is_dir():
        return {}
    image: Any = nib.load(path)
    header = image.header.copy()
    if isinstance(header, nib.Nifti1Header):
        header.set_slope_inter(image.dataobj.slope, image.dataobj.inter)
    affine, shape = image.affine, tuple(image.shape[:3])
    return {"header": header, "native_affine": affine, "native_shape": shape}


def _explanation(path: Path) -> dict[str, Any]:
    """Return what the explain job noted beside a map, if it did."""
    for beside in sorted(path.parent.glob(f"*{_NOTE}"), reverse=True):
        if path.name.startswith(f"{beside.name.removesuffix(_NOTE)}_"):
            try:
                return {"explanation": json.loads(beside.read_text(encoding="utf-8"))}
            except (OSError, ValueError):
                return {}
    return {}


def _strongest_share(details: dict[str, Any], limit: float) -> float:
    """Return the share of the limit to hide: the job's own threshold if known."""
    from napari_neuropretrain.gui.scans.overlay import START_FRACTION

    threshold = details.get("explanation", {}).get("strongest_threshold")
    known = isinstance(threshold, int | float) and 0 < threshold < limit
    return float(threshold) / limit if known else START_FRACTION
