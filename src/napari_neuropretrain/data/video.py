"""Decode clips: T frames of H x W from a video file, with PyAV."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.errors import ConfigError, ImageError

Colour: TypeAlias = Literal["grey", "rgb_sum"]
Shape: TypeAlias = tuple[int, int, int]


def load_pyav() -> ModuleType:
    """Import PyAV.

    Raises
    ------
    ConfigError
        If it is not installed; says how to install it.
    """
    try:
        import av
    except ImportError:
        raise ConfigError(
            "Reading videos needs PyAV, which is not installed. Install it with: "
            "pip install 'napari-neuropretrain[video]'"
        ) from None
    return av  # type: ignore[no-any-return, unused-ignore]


def decode_clip(
    path: Path,
    shape: Shape,
    stride: int = 1,
    colour: Colour = "grey",
    place: float = 0.5,
) -> NDArray[np.float32]:
    """Decode a part of a video as a volume, z-scored.

    The short edge of the frames is scaled to the volume's, and the middle is cut out.
    A video that is too short goes on with its last frame.

    Parameters
    ----------
    path
        The video file.
    shape
        Frames, height and width of the volume (T, H, W).
    stride
        Frames of the video from one frame of the volume to the next.
    colour
        Luminance, or the sum of red, green and blue.
    place
        Where in the video the part lies, from 0 (start) to 1 (end).

    Returns
    -------
    ndarray
        float32 (T, H, W), mean 0 and standard deviation 1.

    Raises
    ------
    ImageError
        If the file is damaged, holds no video, or one without any contrast.
    ConfigError
        If PyAV is not installed.
    """
    av = load_pyav()
    try:
        with av.open(str(path)) as container:
            frames = _decode(container, shape, stride, colour, place)
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise ImageError(
            f"'{path}' cannot be decoded ({error}). Download it again, or leave it out."
        ) from None
    deviation = frames.std()
    if not deviation > 0:
        raise ImageError(f"'{path}' shows the same grey everywhere. Leave it out.")
    return np.asarray((frames - frames.mean()) / deviation, dtype=np.float32)


def check_first_frame(path: Path) -> None:
    """Decode one frame.

    Raises
    ------
    ImageError
        If that fails.
    """
    av = load_pyav()
    try:
        with av.open(str(path)) as container:
            next(container.decode(container.streams.video[0]))
    except (av.error.FFmpegError, IndexError, StopIteration) as error:
        raise ImageError(
            f"'{path}' cannot be decoded ({error}). Download it again, or leave it out."
        ) from None


def _decode(
    container: Any, shape: Shape, stride: int, colour: Colour, place: float
) -> NDArray[np.float32]:
    """Return frames float32 (T, H, W)."""
    stream = container.streams.video[0]
    # Packets are counted without decoding; headers often do not know.
    count = sum(1 for packet in container.demux(stream) if packet.size)
    container.seek(0)
    wanted = frame_numbers(count, shape[0], stride, place)
    seen: dict[int, NDArray[np.float32]] = {}
    for number, frame in enumerate(container.decode(stream)):
        if number in wanted:
            seen[number] = _shrunk(frame, shape[1], shape[2], colour)
        if number >= wanted[-1]:
            break
    lost = len(set(wanted) - set(seen))
    if lost:
        raise ValueError(f"{lost} of {len(set(wanted))} frames are missing")
    return np.stack([seen[number] for number in wanted])


def frame_numbers(count: int, frames: int, stride: int, place: float) -> list[int]:
    """Return which frames of a video to take.

    Raises
    ------
    ValueError
        If it has none.

    Examples
    --------
    >>> frame_numbers(100, 3, 2, place=0.5), frame_numbers(4, 3, 2, place=0.5)
    ([47, 49, 51], [0, 2, 3])
    """
    if count < 1:
        raise ValueError("it has no frames")
    room = max(count - 1 - (frames - 1) * stride, 0)
    first = int(room * place)
    return [min(first + stride * step, count - 1) for step in range(frames)]


def _shrunk(frame: Any, height: int, width: int, colour: Colour) -> NDArray[np.float32]:
    """Scale a frame to cover (H, W), and cut out the middle."""
    scale = max(height / frame.height, width / frame.width)
    tall = max(round(frame.height * scale), height)
    wide = max(round(frame.width * scale), width)
    kind = "gray" if colour == "grey" else "rgb24"
    scaled = frame.reformat(width=wide, height=tall, format=kind, interpolation="AREA")
    pixels = np.asarray(scaled.to_ndarray(), dtype=np.float32)
    if pixels.ndim == 3:
        pixels = pixels.sum(2)  # (H, W, 3) -> (H, W)
    top, left = (tall - height) // 2, (wide - width) // 2
    return pixels[top : top + height, left : left + width]
