"""The look of occlusion maps: two-sided, transparent below a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.utils import Colormap
from numpy.typing import NDArray

START_FRACTION = 0.4
"""Where the threshold starts, as a share of the largest value."""

_LEAST_SHARE, _MOST_SHARE, _EDGE = 0.002, 0.98, 1e-3
"""Of the contrast limit: range of thresholds, and the width of their edge."""
_COLD_END, _COLD_START = (0.0, 0.95, 0.95, 1.0), (0.0, 0.1, 0.85, 1.0)
_HOT_START, _HOT_END = (0.85, 0.1, 0.0, 1.0), (1.0, 0.95, 0.0, 1.0)
_CLEAR = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class OverlayLook:
    """How a signed map is drawn; sizes count for both signs, in units of the map.

    Parameters
    ----------
    threshold
        Lower end of the clipping range: smaller values are transparent.
    display_high
        Upper end of the display range: larger values have the last colour.
    display_low
        Lower end of the display range, where the colours begin. None: the threshold.
    clip_above
        Upper end of the clipping range: larger values are transparent. None: none.
    fade
        Whether smaller values are more transparent, down to 0 at 0.
    """

    threshold: float
    display_high: float
    display_low: float | None = None
    clip_above: float | None = None
    fade: bool = False

    @property
    def first_color(self) -> float:
        """Where the colours begin."""
        return self.threshold if self.display_low is None else self.display_low

    def contrast_limit(self, largest: float) -> float:
        """Return the symmetric contrast limit for a map with this largest value."""
        if self.clip_above is None or self.clip_above >= largest:
            return self.display_high
        # What is clipped must lie within the limits, which would saturate it.
        return max(self.display_high, 1.01 * self.clip_above)


def symmetric_limit(data: NDArray[Any]) -> float:
    """Return the largest finite absolute value, or 1 where all is 0.

    Examples
    --------
    >>> symmetric_limit(np.array([0.5, -2.0, np.nan]))
    2.0
    """
    finite = np.abs(data[np.isfinite(data)])
    largest = float(finite.max(initial=0.0))
    return largest if largest > 0 else 1.0


def two_sided_colormap(fraction: float) -> Colormap:
    """Return cold to clear to hot: clear within plus and minus `fraction` of the limit.

    napari's own maps are opaque at zero and would veil the brain.

    Parameters
    ----------
    fraction
        Threshold as a share of the limit, 0 to 1; it is kept within 0.002 and 0.98.

    Examples
    --------
    >>> colors = two_sided_colormap(0.5).map(np.array([0.0, 0.26, 0.5, 0.74, 1.0]))
    >>> colors[:, 3].tolist()
    [1.0, 0.0, 0.0, 0.0, 1.0]
    """
    return look_colormap(OverlayLook(fraction, 1.0), 1.0)


def look_colormap(look: OverlayLook, limit: float) -> Colormap:
    """Return the colours of a look, for contrast limits of plus and minus `limit`.

    Examples
    --------
    >>> look = OverlayLook(threshold=1, display_high=4, clip_above=3, fade=True)
    >>> values = np.array([-3.5, -2.0, -0.5, 0.0, 2.0, 3.5])
    >>> look_colormap(look, 4).map((values / 4 + 1) / 2)[:, 3].tolist()
    [0.0, 0.5, 0.0, 0.0, 0.5, 0.0]
    """
    cold = _stops(look, limit, _COLD_START, _COLD_END)
    hot = _stops(look, limit, _HOT_START, _HOT_END)
    stops = [((1 - share) / 2, color) for share, color in reversed(cold)]
    stops += [((1 + share) / 2, color) for share, color in hot]
    controls, colors = zip(*stops, strict=True)
    name = f"two-sided, beyond {look.threshold:.3g}"
    return Colormap(colors=np.array(colors), controls=np.array(controls), name=name)


def _stops(
    look: OverlayLook,
    limit: float,
    start: tuple[float, ...],
    end: tuple[float, ...],
) -> list[tuple[float, tuple[float, ...]]]:
    """Return shares of the limit and their colours for one sign, 0 to 1."""
    if look.threshold > limit:
        return [(0.5, _CLEAR), (1.0, _CLEAR)]
    first = min(max(look.threshold / limit, _LEAST_SHARE), _MOST_SHARE)
    low, high = look.first_color / limit, look.display_high / limit
    last = 1.0
    if look.clip_above is not None:
        last = min(max(look.clip_above / limit, first + _EDGE), 1.0)

    def color(share: float) -> tuple[float, ...]:
        along = min(max((share - low) / max(high - low, 1e-9), 0.0), 1.0)
        mixed = [a + along * (b - a) for a, b in zip(start[:3], end[:3], strict=True)]
        return (*mixed, min(share / high, 1.0) if look.fade else 1.0)

    between = {share for share in (low, high) if first < share < last}
    shown = sorted({first, last, *between})
    stops = [(first - _EDGE, _CLEAR), *((share, color(share)) for share in shown)]
    if last < 1.0 - _EDGE:
        stops += [(last + _EDGE, _CLEAR), (1.0, _CLEAR)]
    return stops
