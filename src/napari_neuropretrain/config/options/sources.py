"""Options of the sources of volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.contract import ShapeText
from napari_neuropretrain.config.fields import Device

InputPath = Annotated[Path, Field(json_schema_extra={"path": "input"})]
Share = Annotated[float, Field(ge=0, le=1)]
UkbAge = Annotated[float, Field(ge=44, le=82)]


class TemplateCohortOptions(Config):
    """Synthetic brains made from the MNI152 template."""

    participants: Annotated[int, Field(ge=2, le=100_000)] = 24
    """Number of participants."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Seed of everything that is drawn."""
    spacing_mm: Annotated[float, Field(ge=1, le=8)] = 2.0
    """Voxel size in mm."""
    shape: ShapeText = (80, 80, 80)
    """Voxels of the volumes."""


class CohortOptions(Config):
    """Preprocessed scans with a table of participants."""

    path: InputPath = Path("derivatives")
    """Folder that ``neuropretrain preprocess`` wrote."""
    memory_gib: Annotated[float, Field(ge=0, le=4096)] = 2.0
    """Memory for volumes that were read once; the others are read again."""
    cache: str = ""
    """Folder for unpacked volumes, which are mapped into memory instead of read;
    empty: none."""


class VideoOptions(Config):
    """Clips of a video data set in the layout of Kinetics; label: ``class``."""

    path: InputPath = Path("videos")
    """A folder with one folder of clips for each class, or a CSV: columns ``path``
    and ``label``, or those of Kinetics (``label``, ``youtube_id``, ``time_start``,
    ``time_end``) with the clips beside it or in folders of their classes."""
    split: str = ""
    """Only rows of the CSV with this value in the column ``split``; empty: all."""
    shape: ShapeText = (80, 80, 80)
    """Frames x height x width of a volume; time runs along x."""
    stride: Annotated[int, Field(ge=1, le=64)] = 2
    """Frames of the video from one frame of the volume to the next."""
    clips_per_video: Annotated[int, Field(ge=1, le=64)] = 1
    """Volumes cut from each video, spread evenly."""
    colour: Literal["grey", "rgb_sum"] = "grey"
    """Luminance, or the sum of red, green and blue."""
    check: Literal["decode", "first_frame"] = "decode"
    """Read each clip whole at the start, or only its first frame, which is faster and
    finds a clip damaged further on only when it is its turn."""
    memory_gib: Annotated[float, Field(ge=0, le=4096)] = 2.0
    """Memory for volumes that were decoded once; the others are decoded again."""
    cache: str = ""
    """Folder for decoded volumes, which are mapped into memory instead of decoded;
    empty: none."""


class LabelMapsOptions(TemplateCohortOptions):
    """Synthetic T1s from label maps, with planted atrophy."""

    path: InputPath = Path("label_maps")
    """Folder of FreeSurfer label maps (``*.nii.gz``)."""
    anatomy_mm: Annotated[float, Field(ge=0, le=8)] = 3.0
    """Mean length of the random deformation, in mm."""
    age_ventricle_mm: Annotated[float, Field(ge=0, le=6)] = 3.0
    """How far the walls of the ventricles move out at 85 years, in mm."""
    ad_shrink_mm: Annotated[float, Field(ge=0, le=4)] = 2.0
    """How far hippocampus and amygdala shrink in complete "AD", in mm."""
    pd_shrink_mm: Annotated[float, Field(ge=0, le=4)] = 2.0
    """How far putamen and caudate shrink in complete "PD", in mm."""
    contrast: Literal["t1", "random"] = "t1"
    """Intensities as in T1s, fluid darkest and white matter brightest, or any."""
    bias_field: Annotated[float, Field(ge=0, le=1)] = 0.15
    """Strongest bias field, the most it darkens or brightens; drawn from 0 on."""
    thickest_mm: Annotated[float, Field(ge=0, le=12)] = 4.0
    """Thickest slice of the acquisition, in mm; drawn from the voxel size on."""


class LatentDiffusionOptions(Config):
    """T1s drawn by MONAI's latent diffusion model of UK Biobank brains."""

    path: InputPath = Path("brain_image_synthesis_latent_diffusion_model")
    """Folder of the bundle: ``configs`` and ``models`` with both files of weights."""
    participants: Annotated[int, Field(ge=2, le=100_000)] = 24
    """Number of volumes."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Seed of the conditions and of the noise."""
    youngest: UkbAge = 44.0
    """Lowest age that is drawn, in years; the model knows 44 to 82."""
    oldest: UkbAge = 82.0
    """Highest age that is drawn, in years."""
    smallest_ventricles: Share = 0.0
    """Lowest volume of the ventricles, as a share of the range in UK Biobank."""
    largest_ventricles: Share = 1.0
    """Highest volume of the ventricles, as a share of the range in UK Biobank."""
    smallest_brain: Share = 0.0
    """Lowest volume of the brain, as a share of the range in UK Biobank."""
    largest_brain: Share = 1.0
    """Highest volume of the brain, as a share of the range in UK Biobank."""
    steps: Annotated[int, Field(ge=1, le=1000)] = 50
    """Denoising steps (DDIM); the bundle takes 50."""
    spacing_mm: Annotated[float, Field(ge=1, le=8)] = 2.0
    """Voxel size in mm."""
    shape: ShapeText = (80, 80, 80)
    """Voxels of the volumes."""
    device: Device = "auto"
    """auto, cpu, mps, cuda or cuda:1."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """CPU threads for the brain mask and the bias field."""
    memory_gib: Annotated[float, Field(ge=0, le=4096)] = 2.0
    """Memory for volumes that were drawn once; the others are drawn again."""
    cache: str = ""
    """Folder for drawn volumes, so that none is drawn twice; empty: none."""

    @field_validator("oldest", "largest_ventricles", "largest_brain")
    @classmethod
    def _not_below_the_lowest(cls, value: float, info: ValidationInfo) -> float:
        lowest = {
            "oldest": "youngest",
            "largest_ventricles": "smallest_ventricles",
            "largest_brain": "smallest_brain",
        }[str(info.field_name)]
        if value < info.data.get(lowest, value):
            raise ValueError(f"must be at least {lowest} ({info.data[lowest]:g})")
        return value


class StoreOptions(Config):
    """Packed volumes: fast reading, for cohorts of any size."""

    path: str = "packed"
    """Folder that ``neuropretrain pack`` wrote, or the address of a store."""
    check: Literal["sources", "voxels", "none"] = "sources"
    """What to look at first: whether the scans changed since they were packed, where
    their folder can be seen; every packed volume, too, which takes long; nothing."""
