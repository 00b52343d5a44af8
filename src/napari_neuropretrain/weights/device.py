"""Choose where the tensors live."""

from __future__ import annotations

import torch

from napari_neuropretrain.errors import DeviceError


def find_device(name: str) -> torch.device:
    """Return the device called `name`; ``"auto"`` takes CUDA, then MPS, then CPU.

    Raises
    ------
    DeviceError
        If that device is absent, saying which there are.

    Examples
    --------
    >>> find_device("cpu")
    device(type='cpu')
    """
    there = available_devices()
    if name == "auto":
        return torch.device(there[0])
    if name == "cuda" and "cuda:0" in there:
        return torch.device("cuda:0")
    if name not in there:
        raise DeviceError(
            f"The device '{name}' is not available here; there is {', '.join(there)}. "
            f"Use --device auto or one of these."
            + (" PyTorch finds no NVIDIA GPU." if name.startswith("cuda") else "")
        )
    return torch.device(name)


def available_devices() -> list[str]:
    """List the devices of this machine, the fastest kind first."""
    found = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]
