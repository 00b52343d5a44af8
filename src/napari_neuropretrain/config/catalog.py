"""Every part a user can name: one line each."""

from napari_neuropretrain.config.options.backbones import (
    DenseNet121Options,
    MiNiTOptions,
    NiTOptions,
    ResEncOptions,
    SfcnOptions,
    SwinOptions,
    TinyDenseNetOptions,
    ViT8mOptions,
    ViTB16Options,
    ViTB16SixLayersOptions,
)
from napari_neuropretrain.config.options.methods import (
    BarlowTwinsOptions,
    MaeOptions,
    ReconstructionOptions,
    SimClrOptions,
    SimMimOptions,
    SupervisedOptions,
    VicRegOptions,
    YAwareOptions,
)
from napari_neuropretrain.config.options.sources import (
    CohortOptions,
    LabelMapsOptions,
    LatentDiffusionOptions,
    StoreOptions,
    TemplateCohortOptions,
    VideoOptions,
)
from napari_neuropretrain.config.options.tasks import (
    AdOptions,
    BrainAgeOptions,
    PdOptions,
    SexOptions,
)
from napari_neuropretrain.config.options.tunings import (
    FullTuningOptions,
    LoraTuningOptions,
    PartialTuningOptions,
    TopTuningOptions,
)
from napari_neuropretrain.config.registry import Registry

_ROOT = "napari_neuropretrain."

BACKBONES = Registry("backbone")
BACKBONES.register(
    "densenet121",
    "DenseNet121-3D, the paper's CNN; takes the weights of BHB-10K",
    DenseNet121Options,
    _ROOT + "backbones.densenet:build_densenet",
    parameters=11_243_649,
)
BACKBONES.register(
    "tiny_densenet",
    "Tiny-DenseNet, three blocks of growth 16; the smallest of all",
    TinyDenseNetOptions,
    _ROOT + "backbones.densenet:build_densenet",
    parameters=1_462_873,
)
BACKBONES.register(
    "swin_t",
    "Video Swin-T, attention in shifted windows; takes Kinetics-400 video weights",
    SwinOptions,
    _ROOT + "backbones.swin:build_swin",
    parameters=27_845_095,
)
BACKBONES.register(
    "vit_8m",
    "ViT of 8 million parameters, six layers of width 360; for masked modelling",
    ViT8mOptions,
    _ROOT + "backbones.vit:build_vit",
    parameters=8_004_169,
)
BACKBONES.register(
    "vit_b16_6l",
    "ViT-B/16 cut to six layers, as the paper's text describes it",
    ViTB16SixLayersOptions,
    _ROOT + "backbones.vit:build_vit",
    parameters=45_838_081,
)
BACKBONES.register(
    "minit",
    "MiNiT, one small transformer that sees 64 blocks of the brain",
    MiNiTOptions,
    _ROOT + "backbones.minit:build_minit",
    parameters=3_648_128,
)
BACKBONES.register(
    "nit",
    "NiT, a small ViT with patches of 8 voxels",
    NiTOptions,
    _ROOT + "backbones.nit:build_nit",
    parameters=1_924_522,
)
BACKBONES.register(
    "vit_b16",
    "ViT-B/16 in full; takes the weights of BrainIAC",
    ViTB16Options,
    _ROOT + "backbones.vit:build_vit",
    parameters=88_359_937,
)
BACKBONES.register(
    "sfcn",
    "SFCN, a plain small CNN for brain age; takes the weights of UK Biobank",
    SfcnOptions,
    _ROOT + "backbones.sfcn:build_sfcn",
    parameters=2_950_401,
)
BACKBONES.register(
    "resenc_l",
    "ResEnc-L, the residual encoder of nnU-Net; takes the weights of OpenMind",
    ResEncOptions,
    _ROOT + "backbones.resenc:build_resenc",
    parameters=90_296_897,
)

TASKS = Registry("task")
TASKS.register(
    "ad",
    "Alzheimer's disease against controls",
    AdOptions,
    _ROOT + "tasks.classification:BinaryClassification",
)
TASKS.register(
    "pd",
    "Parkinson's disease against controls",
    PdOptions,
    _ROOT + "tasks.classification:BinaryClassification",
)
TASKS.register(
    "brain_age",
    "Age in years",
    BrainAgeOptions,
    _ROOT + "tasks.regression:Regression",
)
TASKS.register(
    "sex",
    "Sex",
    SexOptions,
    _ROOT + "tasks.classification:BinaryClassification",
)

METHODS = Registry("method")
METHODS.register(
    "supervised",
    "Learn a label that is known of everyone, such as sex",
    SupervisedOptions,
    _ROOT + "methods.supervised:Supervised",
)
METHODS.register(
    "y_aware",
    "Contrastive learning where people of similar age are near",
    YAwareOptions,
    _ROOT + "methods.y_aware:YAware",
)
METHODS.register(
    "simclr",
    "Contrastive learning of two views against all others",
    SimClrOptions,
    _ROOT + "methods.simclr:SimClr",
)
METHODS.register(
    "vicreg",
    "Two views agree; variance and covariance keep outputs from collapsing",
    VicRegOptions,
    _ROOT + "methods.vicreg:VicReg",
)
METHODS.register(
    "barlow_twins",
    "Two views agree; outputs are made independent of each other",
    BarlowTwinsOptions,
    _ROOT + "methods.barlow_twins:BarlowTwins",
)
METHODS.register(
    "mae",
    "Masked autoencoder: restore hidden blocks; for ViT, NiT and Swin-T",
    MaeOptions,
    _ROOT + "methods.mae:Mae",
)
METHODS.register(
    "simmim",
    "Restore hidden blocks with one linear layer; for ViT, NiT and Swin-T",
    SimMimOptions,
    _ROOT + "methods.simmim:SimMim",
)
METHODS.register(
    "reconstruction",
    "Autoencoder, or denoising one, for every backbone",
    ReconstructionOptions,
    _ROOT + "methods.reconstruction:Reconstruction",
)

TUNINGS = Registry("tuning strategy")
TUNINGS.register(
    "full",
    "Train every parameter",
    FullTuningOptions,
    _ROOT + "tuning.full:tune_all",
)
TUNINGS.register(
    "top",
    "Train the head only; the backbone stays as it is",
    TopTuningOptions,
    _ROOT + "tuning.top:tune_top",
)
TUNINGS.register(
    "partial",
    "Train the head and the last stages",
    PartialTuningOptions,
    _ROOT + "tuning.partial:tune_from_stage",
)
TUNINGS.register(
    "lora",
    "Train the head and a low-rank update of each weight",
    LoraTuningOptions,
    _ROOT + "tuning.lora:tune_low_rank",
)

SOURCES = Registry("source")
SOURCES.register(
    "cohort",
    "Preprocessed scans with a table of participants",
    CohortOptions,
    _ROOT + "training.cohort_source:open_cohort",
)
SOURCES.register(
    "store",
    "Preprocessed scans packed for fast reading, also from object storage",
    StoreOptions,
    _ROOT + "training.store_source:open_store_source",
)
SOURCES.register(
    "template_cohort",
    "Synthetic participants made from the MNI152 template, with planted effects",
    TemplateCohortOptions,
    _ROOT + "synthesis.template_source:open_template_cohort",
)
SOURCES.register(
    "label_maps",
    "Synthetic T1s from label maps, with planted atrophy",
    LabelMapsOptions,
    _ROOT + "synthesis.label_source:open_label_maps",
)
SOURCES.register(
    "latent_diffusion",
    "T1s drawn by MONAI's latent diffusion model of UK Biobank",
    LatentDiffusionOptions,
    _ROOT + "preprocessing.latent_source:open_latent_diffusion",
)
SOURCES.register(
    "video",
    "Clips of a video data set such as Kinetics, with their classes",
    VideoOptions,
    _ROOT + "data.video_source:open_videos",
)

CATALOGS = {
    "backbones": BACKBONES,
    "methods": METHODS,
    "tasks": TASKS,
    "tunings": TUNINGS,
    "sources": SOURCES,
}
