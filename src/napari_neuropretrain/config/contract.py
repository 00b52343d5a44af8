"""What was done to a scan before a network sees it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from napari_neuropretrain.config.base import Config

Edge = Annotated[int, Field(ge=16, le=512)]


class PreprocessingContract(Config):
    """The preprocessing a model was trained with and therefore insists on."""

    orientation: str = "RAS"
    """Voxel order of the volume."""
    spacing_mm: Annotated[float, Field(gt=0, le=10)] = 2.0
    """Isotropic voxel size in mm."""
    shape: tuple[Edge, Edge, Edge] = (80, 80, 80)
    """Voxels along left-right, posterior-anterior, inferior-superior."""
    template: str = "MNI152NLin2009aSym"
    """Template the scan is aligned with."""
    dof: int = 9
    """Degrees of freedom of the linear registration."""
    bias_correction: str = "n4"
    """Bias field correction."""
    intensity: str = "zscore_brain"
    """Intensity normalisation; voxels outside the brain are 0."""
    version: int = 1
    """Version of the preprocessing steps."""

    def differences(self, other: PreprocessingContract) -> list[str]:
        """List the fields that differ, as ``name: self, not other``.

        Examples
        --------
        >>> a, b = PreprocessingContract(), PreprocessingContract(shape=(96, 96, 96))
        >>> a.differences(b)
        ['shape: (80, 80, 80), not (96, 96, 96)']
        """
        mine, theirs = self.model_dump(), other.model_dump()
        return [
            f"{name}: {mine[name]}, not {theirs[name]}"
            for name in mine
            if mine[name] != theirs[name]
        ]
