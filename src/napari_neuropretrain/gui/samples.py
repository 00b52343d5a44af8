"""Sample data that need no download, read from files so that nobody waits.

To draw the head and to resample the template takes seconds, in which the viewer would
stand still; so both were made once, by `write_samples`, and are shipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_neuropretrain.resources import resource_path

if TYPE_CHECKING:
    from napari_neuropretrain.gui.scans.layers import LayerData

FOLDER = "samples"
HEAD, TEMPLATE, MASK = (
    f"{name}.nii.gz" for name in ("synthetic_head", "template", "template_mask")
)
HEAD_SPACING_MM = 2.0


def synthetic_head() -> list[LayerData]:
    """Load one synthetic whole head, 2 mm."""
    from napari_neuropretrain.gui.scans.layers import t1_layer

    data, affine = _read(HEAD)
    _upright()
    return [t1_layer(data, affine, "Synthetic head", source="synthetic")]


def template() -> list[LayerData]:
    """Load the MNI152 template with its brain mask, on the model grid."""
    from napari_neuropretrain.gui.scans.layers import mask_layer, t1_layer

    _upright()
    return [
        t1_layer(*_read(TEMPLATE), "MNI152 template"),
        mask_layer(*_read(MASK), "MNI152 brain mask"),
    ]


def write_samples(folder: Path) -> None:
    """Write the files that the samples are read from.

    Parameters
    ----------
    folder
        ``resources/samples`` of a source checkout; made if missing.
    """
    import nibabel as nib
    import numpy as np

    from napari_neuropretrain.config.contract import PreprocessingContract
    from napari_neuropretrain.data.template import load_template
    from napari_neuropretrain.synthesis.template_cohort import single_head

    contract = PreprocessingContract()
    head, head_affine = single_head(seed=0, spacing_mm=HEAD_SPACING_MM)
    loaded = load_template(contract.shape, contract.spacing_mm)
    folder.mkdir(parents=True, exist_ok=True)
    brain = nib.Nifti1Image(loaded.data, loaded.affine)
    brain.set_data_dtype(np.uint16)  # scaled: a quarter of the size of floats
    for name, image in (
        (HEAD, nib.Nifti1Image(head, head_affine)),
        (TEMPLATE, brain),
        (MASK, nib.Nifti1Image(loaded.brain_mask.astype(np.uint8), loaded.affine)),
    ):
        nib.save(image, folder / name)


def _read(name: str) -> tuple[Any, Any]:
    """Return voxels and affine of a shipped file."""
    import nibabel as nib
    import numpy as np

    image: Any = nib.load(resource_path(f"{FOLDER}/{name}"))
    data = np.asarray(image.dataobj)
    # A scaled file is read as float64, of which nothing is gained.
    return data.astype(np.float32) if data.dtype == np.float64 else data, image.affine


def _upright() -> None:
    """Turn the brain upright in an empty viewer, as for a file that is opened."""
    import napari

    from napari_neuropretrain.gui.scans.view import set_up_view

    viewer = napari.current_viewer()
    if viewer is not None and not viewer.layers:
        set_up_view(viewer)
