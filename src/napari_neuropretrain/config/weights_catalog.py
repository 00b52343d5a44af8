"""Public weights that can be named."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.errors import unknown_name

Hash = Annotated[
    str, Field(pattern=r"^(sha256:[0-9a-f]{8,64}|git:[0-9a-f]{40})?$", max_length=71)
]


class KnownWeights(Config):
    """One file of public weights, as its authors publish it."""

    name: str
    """What users type."""
    title: str
    """One line for people."""
    backbone: str
    """Catalog name of the network it fits."""
    importer: str
    """Name in `weights_importers.IMPORTERS`."""
    file: str
    """Name of the file."""
    url: str
    """Where it is downloaded from."""
    page: str
    """Page of the authors about it."""
    hash: Hash = ""
    """Published ``sha256:`` (whole, or the first digits) or ``git:`` blob hash."""
    hash_source: str = ""
    """Where the hash is published."""
    size_mb: Annotated[int, Field(ge=0)] = 0
    """Size of the file in megabytes; 0 where it is not known."""
    licence: str
    """Licence of the weights."""
    needs_consent: bool = False
    """Whether the licence forbids some uses or is not stated."""
    preprocessing: str
    """What its input was like."""
    differs: str = ""
    """In what its input differs from our volumes, briefly."""
    shape: str = ""
    """Input shape it was trained with."""
    trained_on: str
    """Data and method."""
    citation: str
    """Whom to cite."""
    note: str = ""
    """What else to know."""

    @property
    def verifiable(self) -> bool:
        """Whether the authors publish a hash."""
        return bool(self.hash)


_KINETICS = (
    "RGB video clips of 32 frames at 224x224, 0 to 1, then minus (0.485, 0.456, "
    "0.406) and divided by (0.229, 0.224, 0.225). Z-scored MRI is close to that in "
    "range; the colour channels are summed to one."
)
_VIDEO_SWIN = "Liu et al. (2022), Video Swin Transformer, CVPR, arXiv:2106.13230"

_ALL = (
    KnownWeights(
        name="kinetics_swin_t",
        title="Swin-T of torchvision, Kinetics-400 videos",
        backbone="swin_t",
        importer="torchvision_swin",
        file="swin3d_t-7615ae03.pth",
        url="https://download.pytorch.org/models/swin3d_t-7615ae03.pth",
        page="https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.video.swin3d_t.html",
        hash="sha256:7615ae035996b65eb38dad437ae533d2dfcd36f9f89d28c0f0fa7bfb8e6b3130",
        hash_source="first 8 digits in torchvision's file name; the rest as recorded "
        "by a public project that downloaded it",
        size_mb=122,
        licence="BSD-3-Clause (torchvision); Kinetics-400 has terms of its own",
        preprocessing=_KINETICS,
        differs="videos, not brains",
        shape="32x224x224",
        trained_on="Kinetics-400, action recognition, after ImageNet-1K; acc@1 77.7",
        citation=_VIDEO_SWIN,
    ),
    KnownWeights(
        name="video_swin_t",
        title="Swin-T of the Video Swin authors, Kinetics-400 videos",
        backbone="swin_t",
        importer="video_swin",
        file="swin_tiny_patch244_window877_kinetics400_1k.pth",
        url="https://github.com/SwinTransformer/storage/releases/download/v1.0.4/"
        "swin_tiny_patch244_window877_kinetics400_1k.pth",
        page="https://github.com/SwinTransformer/Video-Swin-Transformer",
        licence="Apache-2.0 (code); Kinetics-400 has terms of its own",
        preprocessing=_KINETICS,
        differs="videos, not brains",
        shape="32x224x224",
        trained_on="Kinetics-400, action recognition, after ImageNet-1K; acc@1 78.8",
        citation=_VIDEO_SWIN,
    ),
    KnownWeights(
        name="mmaction_swin_t",
        title="Swin-T of mmaction2, Kinetics-400 videos",
        backbone="swin_t",
        importer="video_swin",
        file="swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb_"
        "20220930-241016b2.pth",
        url="https://download.openmmlab.com/mmaction/v1.0/recognition/swin/"
        "swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb/"
        "swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb_"
        "20220930-241016b2.pth",
        page="https://github.com/open-mmlab/mmaction2/tree/main/configs/recognition/swin",
        hash="sha256:241016b2",
        hash_source="first 8 digits in the file name, as OpenMMLab publishes models",
        licence="Apache-2.0 (mmaction2); Kinetics-400 has terms of its own",
        preprocessing=_KINETICS,
        differs="videos, not brains",
        shape="32x224x224",
        trained_on="Kinetics-400, action recognition, after ImageNet-1K; acc@1 78.9",
        citation=_VIDEO_SWIN,
    ),
    KnownWeights(
        name="bhb_yaware_densenet121",
        title="DenseNet121 of y-aware contrastive learning on BHB-10K",
        backbone="densenet121",
        importer="yaware_densenet",
        file="DenseNet121_BHB-10K_yAwareContrastive.pth",
        url="https://drive.google.com/uc?export=download&id=1BmDC4USdZmX0ZSi-jQyUVmKHaDFIJFo2",
        page="https://github.com/Duplums/yAwareContrastiveLearning",
        licence="none stated by the authors",
        needs_consent=True,
        preprocessing="Grey matter maps of CAT12 (VBM), 1.5 mm, 121x145x121, z-scored. "
        "Not T1 intensities: expect less of it on skull-stripped T1.",
        differs="grey matter maps at 1.5 mm, not T1",
        shape="121x145x121",
        trained_on="BHB-10K: 10,420 scans of 7,764 healthy people, 13 studies (also "
        "ABIDE 1 and 2, OASIS 3, IXI, HCP), contrastive with age",
        citation="Dufumier et al. (2021), Contrastive Learning with Continuous Proxy "
        "Meta-Data for 3D MRI Classification, MICCAI",
        note="Its last normalisation (norm5) was not part of the pre-training and "
        "starts fresh. Do not test on the studies it has seen.",
    ),
    KnownWeights(
        name="ukb_sfcn",
        title="SFCN brain age network, UK Biobank",
        backbone="sfcn",
        importer="sfcn",
        file="run_20190719_00_epoch_best_mae.p",
        url="https://github.com/ha-ha-ha-han/UKBiobank_deep_pretrain/raw/master/"
        "brain_age/run_20190719_00_epoch_best_mae.p",
        page="https://github.com/ha-ha-ha-han/UKBiobank_deep_pretrain",
        hash="git:3631938002f789a842469132155380fa36de7d4d",
        hash_source="blob hash of the file in its git repository",
        licence="MIT",
        preprocessing="T1, skull-stripped, bias-corrected, aligned linearly with "
        "MNI152 at 1 mm, cropped to 160x192x160, divided by its mean.",
        differs="1 mm, and divided by the mean in place of z-scored",
        shape="160x192x160",
        trained_on="UK Biobank, 12,949 people of 44 to 80 years, brain age; test MAE "
        "2.14 years",
        citation="Peng et al. (2021), Accurate brain age prediction with lightweight "
        "deep neural networks, Medical Image Analysis",
    ),
    KnownWeights(
        name="openmind_resenc_l_mae",
        title="ResEnc-L encoder, masked autoencoder on OpenMind",
        backbone="resenc_l",
        importer="resenc_l",
        file="ResEncL-OpenMind-MAE_checkpoint_final.pth",
        url="https://huggingface.co/MIC-DKFZ/ResEncL-OpenMind-MAE/resolve/main/"
        "checkpoint_final.pth",
        page="https://huggingface.co/MIC-DKFZ/ResEncL-OpenMind-MAE",
        hash="sha256:7a847af785635335c00e711d16ff4d225d86ecd5992b14c059df2b520e3ee933",
        hash_source="Git LFS details on the file's page",
        size_mb=491,
        licence="CC-BY-4.0",
        preprocessing="Whole heads, 1 mm isotropic, z-scored, patches of 160x160x160.",
        differs="whole heads at 1 mm, in patches",
        shape="160x160x160",
        trained_on="OpenMind: 114,000 brain MRI volumes of 23 modalities from "
        "OpenNeuro, masked autoencoder",
        citation="Wald et al. (2024), An OpenMind for 3D medical vision "
        "self-supervised learning, arXiv:2412.17041",
        note="Only the encoder is imported.",
    ),
    KnownWeights(
        name="brainiac",
        title="BrainIAC ViT-B, SimCLR on 32,000 brain scans",
        backbone="vit_b16",
        importer="brainiac",
        file="BrainIAC.ckpt",
        url="https://www.dropbox.com/scl/fo/i51xt63roognvt7vuslbl/"
        "AMblt6reQVvlSrORTB3_2lE/BrainIAC.ckpt?rlkey=9w55le6tslwxlfz6c0viylmjb&dl=1",
        page="https://github.com/AIM-KannLab/BrainIAC",
        licence="CC-BY-NC-4.0 (non-commercial)",
        needs_consent=True,
        preprocessing="T1, T2, FLAIR or T1 with contrast, N4, aligned with a template, "
        "skull-stripped (HD-BET), resized to 96x96x96, z-scored inside the head.",
        differs="resized to 96x96x96 whatever the voxel size; T2 and FLAIR, too",
        shape="96x96x96",
        trained_on="32,000 brain MRI scans of several sequences, SimCLR",
        citation="Tak et al. (2026), BrainIAC, Nature Neuroscience; "
        "doi:10.1101/2024.12.02.24317992",
        note="Releases before 2026 were a ResNet50 and do not fit.",
    ),
)

KNOWN_WEIGHTS: dict[str, KnownWeights] = {entry.name: entry for entry in _ALL}


def known_weights(name: str) -> KnownWeights:
    """Return the entry called `name`.

    Raises
    ------
    ConfigError
        If there is none, with the nearest name and all of them.
    """
    if name in KNOWN_WEIGHTS:
        return KNOWN_WEIGHTS[name]
    raise unknown_name("weights", name, KNOWN_WEIGHTS)
