"""Losses are computed in float32, whatever the network runs in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

Returned = TypeVar("Returned")


def in_float32(loss: Callable[..., Returned]) -> Callable[..., Returned]:
    """Give a loss its tensors in float32, and keep autocast off within it.

    A product of half-precision embeddings divided by a temperature of 0.05 does
    not overflow in bfloat16, but has two digits only.

    Examples
    --------
    >>> in_float32(lambda x: x.dtype)(torch.ones(1, dtype=torch.bfloat16))
    torch.float32
    """

    @wraps(loss)
    def run(*given: Any, **named: Any) -> Returned:
        tensors = [one for one in given if isinstance(one, Tensor)]
        device = tensors[0].device.type if tensors else "cpu"
        with torch.autocast(device, enabled=False):
            return loss(*map(_as_float32, given), **named)

    return run


def _as_float32(given: Any) -> Any:
    low = (torch.float16, torch.bfloat16)
    return given.float() if isinstance(given, Tensor) and given.dtype in low else given
