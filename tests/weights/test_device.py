"""Which device a name means."""

from __future__ import annotations

import pytest
import torch

from napari_neuropretrain.errors import DeviceError
from napari_neuropretrain.weights.device import available_devices, find_device


def test_cpu_is_always_there() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert str(find_device("auto")) == available_devices()[0]


def test_an_absent_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert find_device("cuda") == torch.device("cuda:0")
    assert find_device("auto") == torch.device("cuda:0")
    with pytest.raises(DeviceError, match=r"'cuda:1' is not available.*cuda:0, "):
        find_device("cuda:1")
