"""Write maps as NIfTI, as a panel of slices, and as a page; no Qt.

Drawing takes seconds and imports matplotlib: call these in a background thread.
"""

from __future__ import annotations

import base64
import html
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_neuropretrain.config.base import write_bytes
from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.gui.explanation.clusters import Cluster, voxels_as_shown
from napari_neuropretrain.gui.explanation.map_files import title_of
from napari_neuropretrain.gui.explanation.places import explanation_of, in_mm, unit_of
from napari_neuropretrain.gui.explanation.slices import on_grid_of
from napari_neuropretrain.gui.explanation.trust import trust_sentences, verdict
from napari_neuropretrain.gui.reader import stem_of
from napari_neuropretrain.gui.scans.layer_scan import voxels_of
from napari_neuropretrain.gui.scans.layers import OCCLUSION_KEY, look_of
from napari_neuropretrain.gui.scans.overlay import OverlayLook

_MOST_ROWS = 20
"""Clusters on a page."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """A map as the viewer draws it, apart from the viewer.

    Parameters
    ----------
    name
        Of the layer.
    values, anatomy
        Map and scan (X, Y, Z); the scan may be missing.
    affine
        Voxel to the viewer's RAS mm (4, 4) of both.
    look
        What of it is drawn.
    unit
        Of the map.
    place
        (z, y, x) in mm that slices go through.
    """

    name: str
    values: NDArray[Any]
    anatomy: NDArray[Any] | None
    affine: NDArray[np.float64]
    look: OverlayLook
    unit: str
    place: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Page:
    """What a page says beside the slices.

    Parameters
    ----------
    explanation
        As in ``_explanation.json``.
    clusters
        Strongest first.
    """

    explanation: Mapping[str, Any] = field(default_factory=dict)
    clusters: Sequence[Cluster] = ()


def drawn(
    layer: Image, layers: Sequence[Layer], place: tuple[float, float, float]
) -> Drawn:
    """Take a map and the scan below it out of a viewer.

    Parameters
    ----------
    layer
        The map.
    layers
        All layers of the viewer; the topmost visible scan counts.
    place
        (z, y, x) in mm.
    """
    values, affine = voxels_as_shown(layer)
    scans = [
        one
        for one in layers
        if isinstance(one, Image)
        and one.visible
        and one.ndim == 3
        and not one.rgb
        and OCCLUSION_KEY not in one.metadata
    ]
    anatomy = None
    if scans:
        anatomy = np.transpose(on_grid_of(scans[-1], layer), (2, 1, 0))
    look, unit = look_of(layer), unit_of(layer)
    return Drawn(_name(layer), values, anatomy, affine, look, unit, place)


def _name(layer: Image) -> str:
    """Return the name of a layer, or where that is a file's, its model and method."""
    path = Path(str(layer.metadata.get("path") or ""))
    return title_of(path) if layer.name == stem_of(path) else str(layer.name)


def save_nifti(layer: Image, path: Path, clipped: bool = False) -> Path:
    """Write a map in the order and place of its file.

    Parameters
    ----------
    clipped
        Set what is not drawn to 0.

    Raises
    ------
    ImageError
        If the name or the folder is no good.
    """
    from napari_neuropretrain.data.volumes import write_image

    source = Path(str(layer.metadata.get("path") or ""))
    try:
        if not clipped and source.is_file() and _same_kind(source, path):
            if source.resolve() != path.resolve():
                shutil.copyfile(source, path)
            return path
        values, affine = voxels_of(layer)
        shown = _clipped(values, look_of(layer)) if clipped else values
        return write_image(path, shown, affine)
    except OSError as error:
        raise _unwritable(path, error) from None


def save_panel(rows: Sequence[Drawn], path: Path, radiological: bool = False) -> Path:
    """Draw axial, coronal and sagittal slices of maps, a row each, as a PNG.

    Raises
    ------
    ImageError
        If the folder cannot be written.
    """
    try:
        write_bytes(path, _png(rows, radiological))
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


def save_page(
    rows: Sequence[Drawn], page: Page, path: Path, radiological: bool = False
) -> Path:
    """Write slices, clusters and checks as one page that needs no other file.

    Raises
    ------
    ImageError
        If the folder cannot be written.
    """
    from napari_neuropretrain.reporting import page as pages

    picture = base64.b64encode(_png(rows, radiological)).decode("ascii")
    said = page.explanation
    doubts, _ = verdict(said)
    parts = [
        pages.warning(""),
        pages.paragraph(_headline(said, rows[0])),
        f'<p><img alt="Slices" src="data:image/png;base64,{picture}"></p>',
        pages.paragraph(_caption(rows[0]), small=True),
        pages.section("Clusters", _table(page.clusters, rows[0].unit)),
        pages.section(
            "Can the map be believed?",
            pages.statements([doubts, *trust_sentences(said)]),
        ),
        pages.section("How it was made", pages.paragraph(str(said.get("rule", "")))),
    ]
    try:
        return pages.write_page(path, f"Explanation: {rows[0].name}", parts)
    except OSError as error:
        raise _unwritable(path, error) from None


def copy_page(report: Path, path: Path) -> Path:
    """Copy the page that the job wrote.

    Raises
    ------
    ImageError
        If the folder cannot be written.
    """
    try:
        if report.resolve() != path.resolve():
            shutil.copyfile(report, path)
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


def _png(rows: Sequence[Drawn], radiological: bool) -> bytes:
    import io

    from napari_neuropretrain.explanation.panel_slices import PanelMap
    from napari_neuropretrain.explanation.panels import draw_panel
    from napari_neuropretrain.reporting.drawing import style

    maps = []
    for row in rows:
        z, y, x = row.place
        anatomy = np.zeros_like(row.values) if row.anatomy is None else row.anatomy
        maps.append(
            PanelMap(
                values=_clipped(row.values, row.look),
                anatomy=anatomy,
                affine=row.affine,
                unit=row.unit,
                threshold=(row.look.threshold, row.look.threshold),
                limit=row.look.display_high,
                place_mm=(x, y, z),
            )
        )
    names = [row.name for row in rows]
    stream = io.BytesIO()
    with style():
        figure = draw_panel([[one] for one in maps], names, radiological=radiological)
        figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def _clipped(values: NDArray[Any], look: OverlayLook) -> NDArray[Any]:
    """Return a map that is 0 where it is not drawn."""
    size = np.abs(values)
    hidden = size < look.threshold
    if look.clip_above is not None:
        hidden |= size > look.clip_above
    return np.where(hidden, 0, values)


def _headline(said: Mapping[str, Any], row: Drawn) -> str:
    if not said:
        return f"{row.name}, through {in_mm(row.place)}."
    unit = said.get("prediction_unit", "")
    return (
        f"{said.get('target', 'Output')}: {said.get('prediction', 0.0):.3g} {unit}. "
        f"Slices through {in_mm(row.place)}."
    )


def _caption(row: Drawn) -> str:
    words = f"Drawn beyond ±{row.look.threshold:.3g} {row.unit}".strip()
    if row.look.clip_above is not None:
        words += f", up to ±{row.look.clip_above:.3g}"
    return f"{words}; last colour at ±{row.look.display_high:.3g}."


def _table(clusters: Sequence[Cluster], unit: str) -> str:
    if not clusters:
        return ""
    heads = (f"Peak ({unit})" if unit else "Peak", "x", "y", "z", "mm³", "Region")
    lines = [
        (f"{one.peak:+.3g}", *one.place[::-1], f"{one.size_mm3:.0f}", one.region)
        for one in clusters[:_MOST_ROWS]
    ]
    top = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in line)
        + "</tr>"
        for line in lines
    )
    return f"<table><tr>{top}</tr>{body}</table>"


def _same_kind(source: Path, path: Path) -> bool:
    return source.name.endswith(".nii.gz") and path.name.endswith(".nii.gz")


def _unwritable(path: Path, error: OSError) -> ImageError:
    return ImageError(
        f"'{path}' cannot be written ({error.strerror or error}). Choose a folder you "
        "may write to."
    )


def facts_for_page(layer: Image, clusters: Sequence[Cluster]) -> Page:
    """Return what a page says about a map."""
    return Page(explanation_of(layer), tuple(clusters))
