"""Precision, compilation and gradient checkpointing of any backbone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from napari_neuropretrain.backbone import Backbone
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import ConfigError

Precision: TypeAlias = Literal["32-true", "16-mixed", "bf16-mixed"]


def choose_precision(choice: str, device: torch.device) -> Precision:
    """Return Lightning's name of the precision.

    Parameters
    ----------
    choice
        auto, float32, bfloat16 or float16. On CPUs auto is float32: bfloat16 is many
        times slower on those without instructions for it.
    device
        Where to train.

    Raises
    ------
    ConfigError
        If the device cannot do it.

    Examples
    --------
    >>> choose_precision("auto", torch.device("cpu"))
    '32-true'
    """
    able = device.type == "cuda" and torch.cuda.is_bf16_supported(False)
    if choice == "float32" or (choice == "auto" and not able):
        return "32-true"
    if choice == "float16":
        if device.type != "cuda":
            raise ConfigError(
                f"precision: float16 needs an NVIDIA GPU, and the device is {device}. "
                "Use auto."
            )
        return "16-mixed"
    return "bf16-mixed"


def prepare_network(network: nn.Module, config: FinetuneConfig) -> None:
    """Apply what the settings ask for; names and shapes of the weights stay.

    Raises
    ------
    ConfigError
        If the backbone has nothing to checkpoint.
    """
    if config.channels_last:
        # torch's own types forgot the keyword.
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    if config.checkpointing and not checkpoint_stages(network):
        raise ConfigError(
            f"checkpointing: the stages of {type(network).__name__} are single layers, "
            "which have nothing to save. Turn it off, or lower batch_size."
        )
    if config.compile:
        network.compile()


def checkpoint_stages(network: nn.Module) -> int:
    """Compute the inside of each stage again in the backward pass.

    Chen et al. (2016), "Training deep nets with sublinear memory cost". Evaluation
    is not affected.

    Returns
    -------
    int
        Number of modules that this applies to.
    """
    stages = cast(Backbone, network).stages
    modules = [
        part for names in stages for name in names for part in _parts(network, name)
    ]
    for module in modules:
        module.forward = _again(module, module.forward)
    return len(modules)


def _parts(network: nn.Module, name: str) -> list[nn.Module]:
    """Return the modules of that name with layers inside; a list's are its own."""
    try:
        module = network.get_submodule(name)
    except AttributeError:  # a single parameter, such as a position embedding
        return []
    if isinstance(module, nn.ModuleList):
        return [one for one in module if any(one.children())]
    return [module] if any(module.children()) else []


def _again(module: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(forward)
    def run(*given: Any, **named: Any) -> Any:
        if module.training and torch.is_grad_enabled():
            return checkpoint(forward, *given, use_reentrant=False, **named)
        return forward(*given, **named)

    return run
