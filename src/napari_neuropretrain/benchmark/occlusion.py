"""What the networks of a benchmark look at: the paper's Figure 4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_neuropretrain.benchmark.cells import Setting
from napari_neuropretrain.benchmark.gather import Trained
from napari_neuropretrain.benchmark.steps import RESULT, Unit
from napari_neuropretrain.config.benchmarking import BenchmarkPlan
from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.explanation.panel_slices import PanelMap
from napari_neuropretrain.explanation.panels import draw_panel
from napari_neuropretrain.reporting.drawing import save_figure, style

FOLDER, NAME = "occlusion", "occlusion"
_BOUNDED = {"positions": "adaptive", "seconds": 60.0, "checks": False}
_MOST_ROWS = 12
_START = "group-all_space-MNI152_desc-"


def occlusion_units(plan: BenchmarkPlan, trained: Sequence[Trained]) -> list[Unit]:
    """Return the explanations to make: one network for each task and start.

    Parameters
    ----------
    plan
        Says who is explained, and how.
    trained
        Finished cells; those with all data, the first strategy and the first seed are
        explained. A map of a network that was trained again since is forgotten.
    """
    units = []
    for one in _representatives(trained):
        names = _scans(plan, one)
        if not names:
            continue
        cell, folder = one.cell, Path(one.cell.config.output)
        values: dict[str, Any] = {"device": cell.config.device}
        values |= {"threads": cell.config.threads, **_BOUNDED, **plan.occlusion.explain}
        values |= {"model": folder, "input": cell.config.cohort, "scans": names}
        values |= {"output": folder / FOLDER, "permutations": 0}
        config = ExplainConfig.parse(values, "occlusion of the plan")
        result = folder / FOLDER / RESULT["explain"]
        if result.is_file() and _is_older(result, folder / "model.json"):
            result.unlink()
        units.append(Unit(f"{NAME} of {cell.key}", (config,)))
    return units


def _is_older(one: Path, other: Path) -> bool:
    return one.stat().st_mtime < other.stat().st_mtime


def _representatives(trained: Sequence[Trained]) -> Iterator[Trained]:
    """Yield the first cell with most data of each task, backbone and start."""
    found: dict[tuple[str, str, str], Trained] = {}
    for one in trained:
        place = _place(one.cell.setting)
        best = found.get(place)
        if best is None or one.cell.setting.fraction > best.cell.setting.fraction:
            found[place] = one
    yield from found.values()


def _place(setting: Setting) -> tuple[str, str, str]:
    return setting.task, setting.backbone, setting.initialisation


def _scans(plan: BenchmarkPlan, one: Trained) -> list[str]:
    """Return the scans to explain: those named, or the first of the test part.

    Of groups, people of the positive one: what a disease looks like is asked.
    """
    tested = one.tested[one.cell.cohort]
    if plan.occlusion.scans:
        known = {*tested.scans.tolist(), *tested.participants.tolist()}
        return [name for name in plan.occlusion.scans if name in known]
    return sorted(_asked_about(tested).scans.tolist())[: plan.occlusion.participants]


def _asked_about(tested: Predictions) -> Predictions:
    positive = tested.labels > 0.5
    if tested.kind != "binary" or not positive.any():
        return tested
    return tested.take(positive)


def write_occlusion_figures(
    folder: Path, trained: Sequence[Trained]
) -> dict[str, Path]:
    """Draw the mean maps, rows for networks and columns for tasks, as in Figure 4.

    Returns
    -------
    dict
        The PNG of each figure by its name: one, or one for each backbone where there
        are many rows; nothing where nothing was explained.
    """
    maps = {
        _place(one.cell.setting): found
        for one in _representatives(trained)
        if (found := _read(one)) is not None
    }
    tasks = list(dict.fromkeys(task for task, *_ in maps))
    rows = list(dict.fromkeys((network, start) for _, network, start in maps))
    groups = {NAME: rows}
    if len(rows) > _MOST_ROWS:
        networks = dict.fromkeys(network for network, _ in rows)
        groups = {
            f"{NAME}_{one}": [row for row in rows if row[0] == one] for one in networks
        }
    written = {}
    with style():
        for name, some in groups.items():
            if some:
                grid = [[maps.get((task, *row)) for task in tasks] for row in some]
                figure = draw_panel(grid, ["\n".join(row) for row in some], tasks)
                written[name] = save_figure(figure, folder, name)
    return written


def _read(one: Trained) -> PanelMap | None:
    folder = Path(one.cell.config.output) / FOLDER
    if not (folder / RESULT["explain"]).is_file():
        return None
    (path,) = folder.glob(f"{_START}*mean_map.nii.gz")
    volume = read_volume(path)
    return PanelMap(
        volume.data,
        read_volume(folder / f"{_START}mean_T1w.nii.gz").data,
        volume.affine,
        np.asarray(read_volume(folder / f"{_START}brain_mask.nii.gz").data > 0),
        f"change ({one.card.unit})",
    )
