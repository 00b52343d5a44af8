"""Sample data that need no download."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_neuropretrain.gui.scans.layers import LayerData


def synthetic_head() -> list[LayerData]:
    """Make one synthetic whole head, 2 mm."""
    from napari_neuropretrain.gui.scans.layers import t1_layer
    from napari_neuropretrain.synthesis.template_cohort import single_head

    data, affine = single_head(seed=0, spacing_mm=2.0)
    return [t1_layer(data, affine, "Synthetic head", source="synthetic")]


def template() -> list[LayerData]:
    """Load the MNI152 template with its brain mask, on the model grid."""
    from napari_neuropretrain.config.contract import PreprocessingContract
    from napari_neuropretrain.data.template import load_template
    from napari_neuropretrain.gui.scans.layers import mask_layer, t1_layer

    contract = PreprocessingContract()
    loaded = load_template(contract.shape, contract.spacing_mm)
    return [
        t1_layer(loaded.data, loaded.affine, "MNI152 template"),
        mask_layer(loaded.brain_mask, loaded.affine, "MNI152 brain mask"),
    ]
