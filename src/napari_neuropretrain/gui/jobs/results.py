"""From a result's path to what the viewer shows; runs in a background thread."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_neuropretrain.data.quality import VERDICTS, read_quality
from napari_neuropretrain.gui.jobs.preview_layers import preview_layers
from napari_neuropretrain.gui.reader import read_layers
from napari_neuropretrain.gui.scans.scan_pair import (
    find_preproc,
    is_scan,
    pair_layers,
)

if TYPE_CHECKING:
    from napari_neuropretrain.gui.scans.layers import LayerData

MOST_ROWS = 2000


@dataclass(frozen=True)
class Shown:
    """What to show of one result.

    Parameters
    ----------
    layers
        Layers to add, bottom first.
    table
        Rows of a table, its header first.
    text
        Lines for the log.
    quality
        Derivatives folder whose quality can be reviewed.
    """

    layers: list[LayerData] = field(default_factory=list)
    table: list[list[str]] = field(default_factory=list)
    text: str = ""
    quality: Path | None = None


def load_result(
    kind: str,
    path: Path,
    scan: Path | None = None,
    values: Mapping[str, Any] | None = None,
) -> Shown:
    """Load what there is to see of a result.

    Parameters
    ----------
    kind
        ``derivatives``, ``quality``, ``occlusion``, ``predictions``, ``metrics``,
        ``preview``...
    path
        File or folder of the result.
    scan
        The job's input, shown below the result where it is one image.
    values
        What else the event said: ``t1`` and ``template_t1``, the volumes that
        occlusion maps lie on.

    Raises
    ------
    ImageError
        If an image cannot be read.
    """
    if kind == "derivatives":
        return Shown(layers=_derivative_layers(path, scan))
    if kind == "occlusion":
        return Shown(layers=_occlusion_layers(path, values or {}))
    if kind == "preview":
        return Shown(layers=preview_layers(_file(path, "preview.json")))
    if kind == "quality":
        return _quality(path)
    if kind in ("predictions", "peaks"):
        return Shown(table=read_table(_file(path, f"{kind}.tsv")))
    if kind == "metrics":
        return Shown(text=_metrics_text(_file(path, "metrics.json")))
    return Shown(text=f"Written: {path}")


def read_table(path: Path) -> list[list[str]]:
    """Read the rows of a TSV file, its header first; at most `MOST_ROWS`."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream, delimiter="\t")
        return [row for row, _ in zip(rows, range(MOST_ROWS + 1), strict=False)]


def _derivative_layers(path: Path, scan: Path | None) -> list[LayerData]:
    """Return one scan before and after: the given one, or the first of the folder."""
    lone = scan if scan is not None and scan.is_file() and is_scan(scan) else None
    preproc = find_preproc(path, lone)
    return [] if preproc is None else pair_layers(preproc, lone)


def _quality(path: Path) -> Shown:
    """Return how many scans have which verdict, and where the table is."""
    folder = path if path.is_dir() else path.parent
    finals = [row.final for row in read_quality(folder).values()]
    counts = [f"{finals.count(verdict)} {verdict}" for verdict in VERDICTS]
    text = f"Quality: {', '.join(counts)}." if finals else ""
    return Shown(text=text, quality=folder if finals else None)


def _occlusion_layers(path: Path, values: Mapping[str, Any]) -> list[LayerData]:
    """Return the map over the volume it lies on, in the scan's space if possible."""
    own = path.with_name(path.name.replace("_space-MNI152", "_space-T1w"))
    below = Path(str(values.get("t1") or ""))
    if not (own.is_file() and is_scan(below)):
        own, below = path, Path(str(values.get("template_t1") or ""))
    return [*(read_layers(below) if is_scan(below) else []), *read_layers(own)]


def _metrics_text(path: Path) -> str:
    """Return a metrics file as lines of ``name: value``."""
    metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return "\n".join(_flatten(metrics))


def _flatten(values: dict[str, Any], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in values.items():
        if isinstance(value, dict):
            lines += _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            lines.append(f"{prefix}{name}: {value:.4g}")
        elif isinstance(value, int | str):
            lines.append(f"{prefix}{name}: {value}")
        elif isinstance(value, list) and len(value) <= 4:
            lines.append(f"{prefix}{name}: {', '.join(_short(v) for v in value)}")
    return lines


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _file(path: Path, name: str) -> Path:
    return path / name if path.is_dir() else path
