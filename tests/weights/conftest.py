"""Key lists of public checkpoints, written down as the patterns they follow.

Each function yields (name in the file, name in our network, shape in the file); no
name in ours means that the tensor is not taken. Defaults are the released sizes, and
`DIGESTS` pins them to the lists that were read from the released networks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

Row = tuple[str, str | None, tuple[int, ...]]
Rows = Iterator[Row]

# SHA-256 of the sorted lines "name shape" of the released networks, 16 digits.
DIGESTS = {
    "torchvision_swin": "b39213bdadf8912e",
    "yaware_densenet": "5cb453e4c0f33c40",
    "sfcn": "9ba023d8fc455a71",
    "resenc_l": "1f21758ecf5f0d03",
}


def _swin_block(
    at: str, ours: str, fc: Sequence[str], c: int, heads: int, win: Any
) -> Rows:
    a, b, d = win
    tokens, entries = a * b * d, (2 * a - 1) * (2 * b - 1) * (2 * d - 1)
    same = {
        "norm1.weight": (c,),
        "norm1.bias": (c,),
        "attn.relative_position_bias_table": (entries, heads),
        "attn.qkv.weight": (3 * c, c),
        "attn.qkv.bias": (3 * c,),
        "attn.proj.weight": (c, c),
        "attn.proj.bias": (c,),
        "norm2.weight": (c,),
        "norm2.bias": (c,),
    }
    yield from ((f"{at}.{n}", f"{ours}.{n}", shape) for n, shape in same.items())
    yield f"{at}.attn.relative_position_index", None, (tokens, tokens)
    for name, index, shape in ((fc[0], 0, (4 * c, c)), (fc[1], 3, (c, 4 * c))):
        yield f"{at}.mlp.{name}.weight", f"{ours}.mlp.{index}.weight", shape
        yield f"{at}.mlp.{name}.bias", f"{ours}.mlp.{index}.bias", shape[:1]


def _swin(
    block: str, merge: str, fc: Sequence[str], norm: str, head: str,
    dim: int, depths: Any, heads: Any, window: Any, classes: int,
) -> Rows:  # fmt: skip
    yield "patch_embed.proj.weight", "patch_embed.proj.weight", (dim, 3, 2, 4, 4)
    for name in ("proj.bias", "norm.weight", "norm.bias"):
        yield f"patch_embed.{name}", f"patch_embed.{name}", (dim,)
    for stage, depth in enumerate(depths):
        c = dim * 2**stage
        for number in range(depth):
            at = block.format(stage=stage, even=2 * stage, number=number)
            ours = f"features.{2 * stage}.{number}"
            yield from _swin_block(at, ours, fc, c, heads[stage], window)
        if stage < len(depths) - 1:
            at = merge.format(stage=stage, odd=2 * stage + 1)
            ours = f"features.{2 * stage + 1}"
            yield f"{at}.reduction.weight", f"{ours}.reduction.weight", (2 * c, 4 * c)
            yield f"{at}.norm.weight", f"{ours}.norm.weight", (4 * c,)
            yield f"{at}.norm.bias", f"{ours}.norm.bias", (4 * c,)
    last = dim * 2 ** (len(depths) - 1)
    yield f"{norm}.weight", "norm.weight", (last,)
    yield f"{norm}.bias", "norm.bias", (last,)
    yield f"{head}.weight", None, (classes, last)
    yield f"{head}.bias", None, (classes,)


def torchvision_swin(
    dim: int = 96, depths: Any = (2, 2, 6, 2), heads: Any = (3, 6, 12, 24),
    window: Any = (8, 7, 7), classes: int = 400,
) -> Rows:  # fmt: skip
    block, merge = "features.{even}.{number}", "features.{odd}"
    form = (block, merge, ("0", "3"), "norm", "head")
    return _swin(*form, dim, depths, heads, window, classes)


def video_swin(
    dim: int = 96, depths: Any = (2, 2, 6, 2), heads: Any = (3, 6, 12, 24),
    window: Any = (8, 7, 7), classes: int = 400, norm: str = "backbone.norm",
) -> Rows:  # fmt: skip
    block, merge = "layers.{stage}.blocks.{number}", "layers.{stage}.downsample"
    form = (f"backbone.{block}", f"backbone.{merge}", ("fc1", "fc2"))
    head = (norm, "cls_head.fc_cls")
    for name, ours, shape in _swin(*form, *head, dim, depths, heads, window, classes):
        yield (f"backbone.{name}" if "patch" in name else name), ours, shape


def _norm(name: str, ours: str | None, width: int) -> Rows:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", ours and f"{ours}.{part}", (width,)
    yield f"{name}.num_batches_tracked", ours and f"{ours}.num_batches_tracked", ()


def _densenet(
    between: str, init: int, growth: int, blocks: Any, bottleneck: int
) -> Rows:
    yield "features.conv0.weight", "features.conv0.weight", (init, 1, 7, 7, 7)
    yield from _norm("features.norm0", "features.norm0", init)
    width, inner = init, bottleneck * growth
    for block, depth in enumerate(blocks, start=1):
        for layer in range(1, depth + 1):
            at = f"features.denseblock{block}.denselayer{layer}{between}"
            ours = f"features.denseblock{block}.denselayer{layer}.layers"
            yield from _norm(f"{at}.norm1", f"{ours}.norm1", width)
            shape = (inner, width, 1, 1, 1)
            yield f"{at}.conv1.weight", f"{ours}.conv1.weight", shape
            yield from _norm(f"{at}.norm2", f"{ours}.norm2", inner)
            shape = (growth, inner, 3, 3, 3)
            yield f"{at}.conv2.weight", f"{ours}.conv2.weight", shape
            width += growth
        if block < len(blocks):
            at = f"features.transition{block}"
            yield from _norm(f"{at}.norm", f"{at}.norm", width)
            shape = (width // 2, width, 1, 1, 1)
            yield f"{at}.conv.weight", f"{at}.conv.weight", shape
            width //= 2


def yaware_densenet(
    init: int = 64, growth: int = 32, blocks: Any = (6, 12, 24, 16), bottleneck: int = 4
) -> Rows:
    """As released: no norm5, and a projector."""
    width = init
    for row in _densenet("", init, growth, blocks, bottleneck):
        yield row
        if row[0].endswith("norm1.weight"):
            width = row[2][0] + growth
    yield "hidden_representation.weight", None, (512, width)
    yield "hidden_representation.bias", None, (512,)
    yield "head_projection.weight", None, (128, 512)
    yield "head_projection.bias", None, (128,)


def monai_densenet(
    init: int = 64, growth: int = 32, blocks: Any = (6, 12, 24, 16), bottleneck: int = 4
) -> Rows:
    width = init
    for row in _densenet(".layers", init, growth, blocks, bottleneck):
        yield row
        if row[0].endswith("norm1.weight"):
            width = row[2][0] + growth
    yield from _norm("features.norm5", "features.norm5", width)
    yield "class_layers.out.weight", None, (2, width)
    yield "class_layers.out.bias", None, (2,)


def sfcn(channels: Any = (32, 64, 128, 256, 256, 64), bins: int = 40) -> Rows:
    before = 1
    for number, width in enumerate(channels):
        at = f"feature_extractor.conv_{number}"
        edge = 1 if number == len(channels) - 1 else 3
        yield f"{at}.0.weight", f"{at}.0.weight", (width, before, edge, edge, edge)
        yield f"{at}.0.bias", f"{at}.0.bias", (width,)
        yield from _norm(f"{at}.1", f"{at}.1", width)
        before = width
    at = f"classifier.conv_{len(channels)}"
    yield f"{at}.weight", None, (bins, before, 1, 1, 1)
    yield f"{at}.bias", None, (bins,)


def _resenc_layer(at: str, outputs: int, inputs: int, edge: int) -> Rows:
    parts: dict[str, tuple[str, tuple[int, ...]]] = {
        "conv.weight": ("all_modules.0.weight", (outputs, inputs, edge, edge, edge)),
        "conv.bias": ("all_modules.0.bias", (outputs,)),
        "norm.weight": ("all_modules.1.weight", (outputs,)),
        "norm.bias": ("all_modules.1.bias", (outputs,)),
    }
    if edge == 1:
        del parts["conv.bias"]
    for name, (second, shape) in parts.items():
        yield f"{at}.{name}", f"{at}.{name}", shape
        yield f"{at}.{second}", None, shape


def resenc_l(
    channels: Any = (32, 64, 128, 256, 320, 320), blocks: Any = (1, 3, 4, 6, 6, 6)
) -> Rows:
    before = channels[0]
    yield from _resenc_layer("encoder.stem.convs.0", before, 1, 3)
    for stage, (width, depth) in enumerate(zip(channels, blocks, strict=True)):
        for number in range(depth):
            at = f"encoder.stages.{stage}.blocks.{number}"
            yield from _resenc_layer(f"{at}.conv1", width, before, 3)
            yield from _resenc_layer(f"{at}.conv2", width, width, 3)
            if before != width:
                yield from _resenc_layer(f"{at}.skip.1", width, before, 1)
            before = width


def monai_vit(
    hidden: int = 768, mlp: int = 3072, layers: int = 12, grid: int = 6,
    patch: int = 16, linear_patches: bool = False, class_token: bool = False,
) -> Rows:  # fmt: skip
    def same(name: str, *shape: int) -> Row:
        return name, name, shape

    at = "patch_embedding"
    yield same(f"{at}.position_embeddings", 1, grid**3, hidden)
    ours = f"{at}.patch_embeddings"
    if linear_patches:
        yield f"{ours}.1.weight", f"{ours}.weight", (hidden, patch**3)
        yield f"{ours}.1.bias", f"{ours}.bias", (hidden,)
    else:
        yield same(f"{ours}.weight", hidden, 1, patch, patch, patch)
        yield same(f"{ours}.bias", hidden)
    for number in range(layers):
        at = f"blocks.{number}"
        yield same(f"{at}.mlp.linear1.weight", mlp, hidden)
        yield same(f"{at}.mlp.linear1.bias", mlp)
        yield same(f"{at}.mlp.linear2.weight", hidden, mlp)
        yield same(f"{at}.mlp.linear2.bias", hidden)
        for norm in ("norm1", "norm2"):
            yield same(f"{at}.{norm}.weight", hidden)
            yield same(f"{at}.{norm}.bias", hidden)
        yield same(f"{at}.attn.out_proj.weight", hidden, hidden)
        yield same(f"{at}.attn.out_proj.bias", hidden)
        yield same(f"{at}.attn.qkv.weight", 3 * hidden, hidden)
        yield f"{at}.norm_cross_attn.weight", None, (hidden,)
        yield f"{at}.norm_cross_attn.bias", None, (hidden,)
    yield same("norm.weight", hidden)
    yield same("norm.bias", hidden)
    if class_token:
        yield same("cls_token", 1, 1, hidden)
        yield "classification_head.0.weight", None, (2, hidden)
        yield "classification_head.0.bias", None, (2,)


@dataclass(frozen=True)
class Foreign:
    """A kind of checkpoint at toy size, and the backbone it fits.

    `wrapper` and `prefix` are as in the released file.
    """

    importer: str
    backbone: str
    options: dict[str, Any]
    rows: tuple[Row, ...]
    wrapper: str = ""
    prefix: str = ""
    fresh: tuple[str, ...] = field(default=())
    """Tensors of ours that such a file does not hold."""

    def state(self, seed: int = 0) -> dict[str, Tensor]:
        """Return random tensors under the foreign names."""
        drawn = torch.Generator().manual_seed(seed)
        state = {}
        for name, _, shape in self.rows:
            values = torch.randn(shape, generator=drawn)
            if name.endswith(("relative_position_index", "num_batches_tracked")):
                values = (10 * values.abs()).long()
            state[self.prefix + name] = values
        return state

    def save(self, path: Path, state: dict[str, Tensor] | None = None) -> Path:
        """Write the file as its authors would."""
        state = self.state() if state is None else state
        whole = {self.wrapper: state, "epoch": 7} if self.wrapper else state
        torch.save(whole, path)
        return path


_SWIN = {"dim": 12, "depths": (2, 1), "heads": (1, 2), "window": (2, 3, 3)}
_SWIN_OPTIONS = {
    "embed_dim": 12, "depths": [2, 1], "heads": [1, 2], "window": [2, 3, 3],
}  # fmt: skip
_DENSE = {"init": 8, "growth": 4, "blocks": (2, 3), "bottleneck": 2}
_DENSE_OPTIONS = {
    "init_features": 8, "growth_rate": 4, "block_config": [2, 3], "bottleneck": 2,
}  # fmt: skip
_VIT = {"hidden": 12, "mlp": 20, "layers": 2, "grid": 2, "patch": 8}
_VIT_OPTIONS = {
    "hidden_size": 12, "mlp_dim": 20, "layers": 2, "heads": 2, "patch": 8,
    "shape": "16",
}  # fmt: skip
_NORM5 = ("weight", "bias", "running_mean", "running_var")

TOYS = {
    "torchvision_swin": Foreign(
        "torchvision_swin", "swin_t", _SWIN_OPTIONS,
        tuple(torchvision_swin(**_SWIN, classes=5)),
    ),
    "video_swin": Foreign(
        "video_swin", "swin_t", _SWIN_OPTIONS,
        tuple(video_swin(**_SWIN, classes=5)), "state_dict",
    ),
    "mmaction2": Foreign(
        "video_swin", "swin_t", _SWIN_OPTIONS,
        tuple(video_swin(**_SWIN, classes=5, norm="backbone.norm3")), "state_dict",
    ),
    "yaware_densenet": Foreign(
        "yaware_densenet", "densenet121", _DENSE_OPTIONS,
        tuple(yaware_densenet(**_DENSE)), "model", "module.",
        tuple(f"features.norm5.{part}" for part in _NORM5),
    ),
    "monai_densenet": Foreign(
        "monai_densenet", "densenet121", _DENSE_OPTIONS,
        tuple(monai_densenet(**_DENSE)),
    ),
    "sfcn": Foreign(
        "sfcn", "sfcn", {"channels": [2, 3, 4]}, tuple(sfcn((2, 3, 4))), "", "module.",
    ),
    "resenc_l": Foreign(
        "resenc_l", "resenc_l", {"channels": [2, 3, 4], "blocks": [1, 2, 1]},
        tuple(resenc_l((2, 3, 4), (1, 2, 1))), "network_weights",
    ),
    "monai_vit": Foreign(
        "monai_vit", "vit_b16_6l", _VIT_OPTIONS,
        tuple(monai_vit(**_VIT, class_token=True)),
    ),
    "linear_vit": Foreign(
        "monai_vit", "vit_b16", _VIT_OPTIONS,
        tuple(monai_vit(**_VIT, linear_patches=True)),
    ),
    "brainiac": Foreign(
        "brainiac", "vit_b16", _VIT_OPTIONS, tuple(monai_vit(**_VIT)),
        "state_dict", "backbone.",
    ),
}  # fmt: skip

RELEASED: dict[str, Callable[[], Rows]] = {
    "torchvision_swin": torchvision_swin,
    "video_swin": video_swin,
    "yaware_densenet": yaware_densenet,
    "monai_densenet": monai_densenet,
    "sfcn": sfcn,
    "resenc_l": resenc_l,
    "brainiac": monai_vit,
}


def digest(rows: Rows) -> str:
    """Return a short hash of names and shapes."""
    lines = sorted(f"{name} {list(shape)}" for name, _, shape in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@pytest.fixture(params=list(TOYS))
def foreign(request: pytest.FixtureRequest) -> Foreign:
    """Every kind of public checkpoint, at toy size."""
    return TOYS[request.param]


@pytest.fixture
def toys() -> dict[str, Foreign]:
    """All kinds by name."""
    return TOYS


@pytest.fixture(params=list(DIGESTS))
def pinned(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Hash of a key list as written here, and as read from the released network."""
    return digest(RELEASED[request.param]()), DIGESTS[request.param]


@pytest.fixture
def patterns() -> dict[str, Callable[[], Rows]]:
    """All released key lists by name."""
    return RELEASED


@pytest.fixture(params=list(RELEASED))
def released(request: pytest.FixtureRequest) -> tuple[str, tuple[Row, ...]]:
    """Name and rows of every kind, at the size that was released."""
    return request.param, tuple(RELEASED[request.param]())
