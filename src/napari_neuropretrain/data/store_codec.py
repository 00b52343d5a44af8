"""How a volume becomes the bytes of a store, and back.

A volume is 0 outside the brain and nowhere else, so both precisions keep zeros exactly
and turn no other value into 0.

``float16``
    The nearest half-precision number: off by at most 2^-11 of the value, or by 2^-24
    where that is more.
``int8``
    8 bits. Code 0 is 0. The other 255 codes are equal steps between the lowest and the
    highest value, with a border between two of them at 0 and each restored to its
    middle: off by at most half a step.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import google_crc32c
import numpy as np
from numcodecs.blosc import NOSHUFFLE, Blosc
from numpy.typing import NDArray

from napari_neuropretrain.errors import ImageError

FloatArray = NDArray[np.float32]
Precision: TypeAlias = Literal["float16", "int8"]

COMPRESSOR: Literal["lz4hc"] = "lz4hc"
"""On brains 12 % (float16) and 22 % (int8) larger than Zstandard, and unpacked in a
tenth of its time."""
COMPRESSION_LEVEL = 5
CODE_TYPES: dict[str, str] = {"float16": "<f2", "int8": "|u1"}
_LEVELS = 255
_LEAST_HALF = np.float16(2.0**-24)
_MOST_HALF = 65504.0


@dataclass(frozen=True)
class EncodedVolume:
    """A volume as a store keeps it.

    Parameters
    ----------
    chunk
        Codes, compressed by Blosc, and their CRC-32C.
    step
        Distance of two codes, in units of the volume; 0 for float16.
    origin
        Number of codes below 0.
    """

    chunk: bytes
    step: float
    origin: int


def encode(image: FloatArray, precision: Precision) -> EncodedVolume:
    """Quantise and compress a volume (X, Y, Z).

    Raises
    ------
    ImageError
        If a value is not finite, or too large for half precision.

    Examples
    --------
    >>> image = np.array([[[0, 1e-9, -1.5, 2.5]]], np.float32)
    >>> kept = encode(image, "int8")
    >>> kept.step == 4 / 254, kept.origin
    (True, 96)
    >>> decode(kept.chunk, "int8", image.shape, kept.step, kept.origin).round(2)
    array([[[ 0.  ,  0.01, -1.5 ,  2.5 ]]], dtype=float32)
    """
    lowest, highest = float(image.min()), float(image.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise ImageError("it has voxels that are no finite numbers")
    if precision == "float16":
        return EncodedVolume(_pack(_to_half(image, lowest, highest)), 0.0, 0)
    codes, step, origin = _to_steps(image, lowest, highest)
    return EncodedVolume(_pack(codes), step, origin)


def _to_half(image: FloatArray, lowest: float, highest: float) -> NDArray[np.float16]:
    if max(highest, -lowest) > _MOST_HALF:
        raise ImageError(
            f"its values reach from {lowest:g} to {highest:g}; float16 ends at "
            f"{_MOST_HALF:g}: choose int8"
        )
    codes = image.astype(np.float16)
    vanished = (codes == 0) & (image != 0)
    codes[vanished] = np.copysign(_LEAST_HALF, image[vanished])
    return codes


def _to_steps(
    image: FloatArray, lowest: float, highest: float
) -> tuple[NDArray[np.uint8], float, int]:
    # One step less than there are codes: moving the border to 0 costs up to one.
    step = (max(highest, 0.0) - min(lowest, 0.0)) / (_LEVELS - 1)
    if step == 0:
        return np.zeros(image.shape, np.uint8), 0.0, 0
    below = math.ceil(max(-lowest, 0.0) / step)
    above = math.ceil(max(highest, 0.0) / step)
    cells = np.floor(image / np.float64(step)).clip(-below, above - 1)
    return np.where(image != 0, cells + below + 1, 0).astype(np.uint8), step, below


def _pack(codes: NDArray[Any]) -> bytes:
    blosc = Blosc(COMPRESSOR, COMPRESSION_LEVEL, NOSHUFFLE)
    packed = bytes(blosc.encode(np.ascontiguousarray(codes)))
    return packed + struct.pack("<I", google_crc32c.value(packed))


def decode(
    chunk: bytes,
    precision: Precision,
    shape: tuple[int, int, int],
    step: float,
    origin: int,
) -> FloatArray:
    """Restore a volume, float32 (X, Y, Z).

    Raises
    ------
    ImageError
        If the bytes are not those that were written.
    """
    packed = chunk[:-4]
    if len(chunk) < 4 or struct.pack("<I", google_crc32c.value(packed)) != chunk[-4:]:
        raise ImageError("its checksum differs")
    codes = np.frombuffer(Blosc().decode(packed), CODE_TYPES[precision])
    if codes.size != math.prod(shape):
        raise ImageError(f"it has {codes.size} voxels, not {math.prod(shape)}")
    codes = codes.reshape(shape)
    if precision == "float16":
        return _from_half(codes)
    # Code 0 comes out as 0 without a look-up, in half the time of one.
    image = codes.astype(np.float32)
    image *= np.float32(step)
    image -= (codes != 0) * np.float32((origin + 0.5) * step)
    return image


def _from_half(codes: NDArray[np.float16]) -> FloatArray:
    import torch

    # numpy takes fifty times as long, which would be most of the time of a read.
    restored: FloatArray = torch.from_numpy(codes.copy()).float().numpy()
    return restored
