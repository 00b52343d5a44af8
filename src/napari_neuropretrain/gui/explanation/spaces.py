"""The same place of a head in the template and in the scan's own space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.gui.scans.layer_scan import place_of

if TYPE_CHECKING:
    from napari.layers import Layer

TO_TEMPLATE_KEY = "neuropretrain_to_template"
"""Metadata key of a layer in the scan's own space: scan RAS mm to template RAS mm."""
Place: TypeAlias = tuple[float, float, float]
"""World coordinates (z, y, x), as the viewer counts."""


def in_template(own: Layer, point: Sequence[float]) -> Place | None:
    """Return where a place of the scan's own space is in the template.

    Parameters
    ----------
    own
        A layer in that space. It may be drawn straight though its scan is oblique.
    point
        World coordinates; the last three are z, y and x as the viewer counts.

    Returns
    -------
    tuple
        (z, y, x) in template mm. None where the layer has no transform.
    """
    transform = own.metadata.get(TO_TEMPLATE_KEY)
    if transform is None:
        return None
    mm = _moved(_drawn_to_scan(own), np.asarray(point, dtype=float)[-3:][::-1])
    return _place(_moved(np.asarray(transform), mm))


def in_own_space(
    own: Layer, point: Sequence[float], transform: NDArray[np.float64]
) -> Place:
    """Return where a place of the template is, as the viewer draws the scan.

    Parameters
    ----------
    own
        A layer in the scan's own space.
    point
        World coordinates; the last three are z, y and x in template mm.
    transform
        Scan RAS mm to template RAS mm (4, 4).
    """
    mm = _moved(np.linalg.inv(transform), np.asarray(point, dtype=float)[-3:][::-1])
    return _place(_moved(np.linalg.inv(_drawn_to_scan(own)), mm))


def _drawn_to_scan(layer: Layer) -> NDArray[np.float64]:
    """Return the viewer's RAS mm to the scanner's (4, 4); unlike for oblique scans."""
    _, affine, _ = place_of(layer, layer.metadata)
    drawn = np.eye(4)
    drawn[:3, :3] = np.diag(np.asarray(layer.scale)[-3:][::-1])
    drawn[:3, 3] = np.asarray(layer.data_to_world((0,) * layer.ndim))[-3:][::-1]
    moved: NDArray[np.float64] = affine @ np.linalg.inv(drawn)
    return moved


def _moved(affine: NDArray[Any], mm: NDArray[Any]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = affine[:3, :3] @ mm + affine[:3, 3]
    return found


def _place(mm: NDArray[np.float64]) -> Place:
    x, y, z = (float(one) for one in mm)
    return z, y, x
