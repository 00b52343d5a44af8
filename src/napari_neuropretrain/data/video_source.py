"""The source ``video``: clips of a labelled video data set as volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.config.options.sources import VideoOptions
from napari_neuropretrain.data.clips import Clip, read_clips
from napari_neuropretrain.data.unpacked import UnpackedVolumes
from napari_neuropretrain.data.video import check_first_frame, decode_clip, load_pyav
from napari_neuropretrain.errors import CohortError, ImageError
from napari_neuropretrain.progress import Failure, Progress, Report

if TYPE_CHECKING:
    from torch import Tensor

CLASS = "class"
"""The one label that clips have."""


class VideoSource:
    """Clips as volumes (1, T, H, W) with the number of their class.

    Parameters
    ----------
    clips
        Usable ones.
    options
        How to cut and where to keep.
    failures
        What was left out.
    unpacked
        Keeps what was decoded.
    """

    contract = None

    def __init__(
        self,
        clips: Sequence[Clip],
        options: VideoOptions,
        failures: Sequence[Failure],
        unpacked: UnpackedVolumes,
    ) -> None:
        parts = options.clips_per_video
        self.clips = tuple(clip for clip in clips for _ in range(parts))
        self.ids = tuple(clip.path.stem for clip in self.clips)
        self.shape = options.shape
        self.failures = tuple(failures)
        self._names = tuple(sorted({clip.label for clip in clips}))
        self._options = options
        self._unpacked = unpacked

    def __len__(self) -> int:
        return len(self.clips)

    def volume(self, index: int) -> Tensor:
        """Return a clip, float32 (1, T, H, W), z-scored.

        Raises
        ------
        ImageError
            If the file is gone or damaged.
        """
        import torch

        options = self._options
        path = self.clips[index].path
        place = _place(index % options.clips_per_video, options.clips_per_video)
        variant = f"{self.shape} {options.stride} {options.colour} {place}"

        def decode() -> NDArray[np.float32]:
            return decode_clip(path, self.shape, options.stride, options.colour, place)

        try:
            return torch.from_numpy(self._unpacked.get(path, variant, decode))[None]
        except FileNotFoundError:
            raise ImageError(f"'{path}' is gone. Put it back, or start anew.") from None

    def label(self, index: int, name: str = CLASS) -> float | None:
        """Return the number of a clip's class.

        Raises
        ------
        CohortError
            If another label is asked for.
        """
        return float(self.classes(name).index(self.clips[index].label))

    def classes(self, name: str = CLASS) -> tuple[str, ...]:
        """Return the names of the classes, in alphabetical order.

        Raises
        ------
        CohortError
            If another label is asked for.
        """
        if name != CLASS:
            raise CohortError(
                f"Clips have no label '{name}', only '{CLASS}'. Give that one."
            )
        return self._names


def _place(part: int, parts: int) -> float:
    """Return where in its video a part lies; a lone one lies in the middle."""
    return 0.5 if parts == 1 else part / (parts - 1)


def open_videos(options: VideoOptions, report: Report) -> VideoSource:
    """Open a data set of clips; damaged ones are left out and counted.

    Parameters
    ----------
    options
        Where the clips are and how to cut them.
    report
        Hears of each damaged clip, and how many there are; may raise `Cancelled`.

    Raises
    ------
    CohortError
        If there is no clip that can be decoded.
    ConfigError
        If PyAV is not installed.
    """
    load_pyav()
    clips, missing = read_clips(options.path, options.split)
    unpacked = UnpackedVolumes(options.cache, options.memory_gib)
    usable, damaged = _check(clips, options, unpacked, report)
    failures = [*missing, *damaged]
    for failure in failures:
        report(Progress("item_failed", f"{failure.item}: {failure.reason}"))
    if not usable:
        raise CohortError(
            f"None of the {len(clips)} clips in '{options.path}' can be decoded: "
            f"{failures[0].reason}"
        )
    if failures:
        every = len(clips) + len(missing)
        report(Progress("warning", f"{len(failures)} of {every} clips are left out."))
    return VideoSource(usable, options, failures, unpacked)


def _check(
    clips: Sequence[Clip],
    options: VideoOptions,
    unpacked: UnpackedVolumes,
    report: Report,
) -> tuple[list[Clip], list[Failure]]:
    """Divide into clips that can be decoded and others."""
    usable, failures = [], []
    for number, clip in enumerate(clips):
        message = "" if number else "Checking clips"
        report(Progress("step", message, number, len(clips)))
        try:
            if options.check == "first_frame":
                check_first_frame(clip.path)
            else:
                lone = VideoSource([clip], options, (), unpacked)
                for index in range(len(lone)):
                    lone.volume(index)
        except ImageError as error:
            failures.append(Failure(f"{clip.label}/{clip.path.name}", str(error)))
            continue
        usable.append(clip)
    return usable, failures
