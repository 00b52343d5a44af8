"""How public checkpoints name their tensors, and how we do.

Each layout is a table: what is left out on purpose and why, and how the rest is
renamed. Nothing here looks at values or shapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True)
class Layout:
    """Names of one kind of checkpoint.

    Parameters
    ----------
    drops
        (pattern of a name, reason) for what is left out on purpose.
    renames
        (pattern, replacement), applied in order to every other name.
    fresh
        (pattern of a name of ours, reason) for what such files may lack.
    """

    drops: tuple[tuple[str, str], ...] = ()
    renames: tuple[tuple[str, Replacement], ...] = ()
    fresh: tuple[tuple[str, str], ...] = ()

    def reason_to_drop(self, name: str) -> str:
        """Return why `name` is left out, or an empty string."""
        return _reason(self.drops, name)

    def reason_to_lack(self, name: str) -> str:
        """Return why a file may lack our `name`, or an empty string."""
        return _reason(self.fresh, name)

    def rename(self, name: str) -> str:
        """Return our name for `name`.

        Examples
        --------
        >>> VIDEO_SWIN.rename("layers.1.blocks.0.mlp.fc2.bias")
        'features.2.0.mlp.3.bias'
        """
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        return name


def _reason(table: tuple[tuple[str, str], ...], name: str) -> str:
    return next((reason for part, reason in table if re.search(part, name)), "")


_HEAD = "head of another task"
_REBUILT = "rebuilt for our windows"
_PROJECTOR = "projection head of the pre-training"
_UNUSED = "cross-attention, which is not used"
_DECODER = "decoder of the pre-training"

TORCHVISION_SWIN = Layout(
    drops=((r"^head\.", _HEAD), (r"relative_position_index$", _REBUILT)),
)

VIDEO_SWIN = Layout(
    drops=(
        (r"^(cls_)?head\.", _HEAD),
        (r"(relative_position_index|attn_mask)$", _REBUILT),
    ),
    renames=(
        (r"^layers\.(\d+)\.blocks\.", lambda found: f"features.{2 * int(found[1])}."),
        (
            r"^layers\.(\d+)\.downsample\.",
            lambda found: f"features.{2 * int(found[1]) + 1}.",
        ),
        (r"\.mlp\.fc1\.", ".mlp.0."),
        (r"\.mlp\.fc2\.", ".mlp.3."),
        (r"^norm3\.", "norm."),  # mmaction2 from 1.0 on
    ),
)

MONAI_DENSENET = Layout(
    drops=((r"^class_layers\.", _HEAD), (r"^(fc|classifier)\.", _HEAD)),
)

# As torchvision and y-aware name it; until 2018 torchvision wrote "norm.1".
PLAIN_DENSENET = Layout(
    drops=(
        (r"^(hidden_representation|head_projection)\.", _PROJECTOR),
        (r"^(fc|classifier)\.", _HEAD),
    ),
    renames=(
        (r"(denselayer\d+)\.(norm|conv)\.?([12])\.", r"\1.layers.\2\3."),
        (r"^(conv0|norm0|norm5|denseblock|transition)", r"features.\1"),
    ),
    fresh=(
        (
            r"^features\.norm5\.",
            "no part of y-aware training; an identity at first",
        ),
    ),
)

SFCN = Layout(drops=((r"^classifier\.", _HEAD),))

RESENC = Layout(
    drops=(
        (r"\.all_modules\.", "second name of the same tensor"),
        (r"^decoder\.", _DECODER),
        (r"^(projector|projection_head|prediction_head|head)\.", _PROJECTOR),
    ),
    renames=((r"^(stem|stages)\.", r"encoder.\1."),),
)

MONAI_VIT = Layout(
    drops=(
        (r"^classification_head\.", _HEAD),
        (r"\.(norm_cross_attn|cross_attn)\.", _UNUSED),
        (r"^(decoder_|mask_token|conv3d_transpose)", _DECODER),
        (r"^(projector|projection_head|fc)\.", _PROJECTOR),
    ),
    renames=((r"patch_embeddings\.1\.", "patch_embeddings."),),  # "perceptron"
)

OURS = Layout(
    drops=((r"relative_position_index$", _REBUILT), (r"\.norm_cross_attn\.", _UNUSED))
)
"""Files that carry our own names."""
