"""The look of occlusion maps: two-sided, transparent below a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.utils import Colormap
from numpy.typing import NDArray

START_FRACTION = 0.4
"""Where the threshold starts, as a share of the largest value."""

_COLD_END, _COLD_START = (0.0, 0.95, 0.95, 1.0), (0.0, 0.1, 0.85, 1.0)
_HOT_START, _HOT_END = (0.85, 0.1, 0.0, 1.0), (1.0, 0.95, 0.0, 1.0)
_CLEAR = (0.0, 0.0, 0.0, 0.0)


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
        Threshold as a share of the limit, 0 to 1; it is kept within 0.01 and 0.98.

    Examples
    --------
    >>> colors = two_sided_colormap(0.5).map(np.array([0.0, 0.26, 0.5, 0.74, 1.0]))
    >>> colors[:, 3].tolist()
    [1.0, 0.0, 0.0, 0.0, 1.0]
    """
    fraction = min(max(fraction, 0.01), 0.98)
    low, high = (1 - fraction) / 2, (1 + fraction) / 2
    edge = 1e-3
    stops = [
        (0.0, _COLD_END),
        (low, _COLD_START),
        (low + edge, _CLEAR),
        (high - edge, _CLEAR),
        (high, _HOT_START),
        (1.0, _HOT_END),
    ]
    controls, colors = zip(*stops, strict=True)
    name = f"occlusion, hidden below {fraction:.0%}"
    return Colormap(colors=np.array(colors), controls=np.array(controls), name=name)
