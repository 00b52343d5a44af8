"""The job ``preview``: what the network of a pre-training sees of one volume."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.choice import fit_backbone
from napari_neuropretrain.config.options.views import ViewOptions
from napari_neuropretrain.config.preview import PreviewConfig
from napari_neuropretrain.data.template import template_grid
from napari_neuropretrain.data.volumes import write_image
from napari_neuropretrain.methods.batch import Method
from napari_neuropretrain.methods.masked_modelling import Restored
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.synthesis.source import VolumeSource
from napari_neuropretrain.training.preview_source import open_one
from napari_neuropretrain.training.preview_weights import load_weights
from napari_neuropretrain.training.views import Views
from napari_neuropretrain.weights.device import find_device

NOTES = "preview.json"
_VIEWS = 2


@dataclass(frozen=True, eq=False)
class Picture:
    """One volume to look at.

    Parameters
    ----------
    name
        For people.
    volume
        (1, 1, X, Y, Z).
    hidden
        bool of that shape: what the network does not see; None: it sees all.
    """

    name: str
    volume: Tensor
    hidden: Tensor | None = None


def preview(config: PreviewConfig, report: Report) -> Outcome:
    """Write one volume as it is, as views, and masked and restored.

    Views are drawn by the methods that compare them; `mae`, `simmim` and
    `reconstruction` hide blocks and restore them.

    Parameters
    ----------
    config
        Settings of the pre-training, which volume, and whose weights restore.
    report
        Hears of the result; may raise `Cancelled`.

    Raises
    ------
    ConfigError
        If there is no such volume, or the method cannot work with the backbone.
    """
    torch.set_num_threads(config.threads)
    kind = _check_pair(config)
    report(Progress("step", "Reading the volume", 0, 2))
    source, index, count = open_one(config, report)
    volume = source.volume(index)[None]  # (1, X, Y, Z) -> (1, 1, X, Y, Z)
    report(Progress("step", "Drawing what the network sees", 1, 2))
    pictures = [Picture("original", volume), *_views(config, volume)]
    weights = ""
    if hasattr(kind, "restore"):
        shown, weights = _restored(config, source, volume, report)
        pictures += shown
    notes: dict[str, Any] = {
        "index": config.index,
        "volumes": count,
        "id": source.ids[index],
        "source": config.source.name,
        "method": config.method.name,
        "backbone": config.backbone.name,
        "weights": weights,
    }
    path = _write(Path(config.output), pictures, _affine(source), notes)
    values = {"kind": "preview", "path": str(path), "volumes": count}
    report(Progress("result", values=values))
    message = f"Volume {config.index} of {count}: {notes['id']}."
    return Outcome(message, results={"preview": str(path)})


def _check_pair(config: PreviewConfig) -> type[Method]:
    """Refuse a method that cannot work with the backbone, before any work."""
    kind: type[Method] = config.method.entry.load()
    with torch.device("meta"):
        kind.check_backbone(config.backbone.entry.load()(config.backbone.options))
    return kind


def _generator(config: PreviewConfig) -> torch.Generator:
    """Return draws that follow from the seed and the volume."""
    generator = torch.Generator()
    generator.manual_seed((config.seed * 1_000_003 + config.index) % 2**63)
    return generator


def _views(config: PreviewConfig, volume: Tensor) -> Iterator[Picture]:
    options = config.method.options
    if not isinstance(options, ViewOptions):
        return
    views, generator = Views(options), _generator(config)
    for number in range(1, _VIEWS + 1):
        yield Picture(f"view {number}", views(volume, generator))


def _restored(
    config: PreviewConfig, source: VolumeSource, volume: Tensor, report: Report
) -> tuple[list[Picture], str]:
    """Return the masked and the restored volume, and whose weights restored it."""
    backbone = fit_backbone(config.backbone, source.shape)
    torch.manual_seed(config.seed)
    method: nn.Module = config.method.entry.load()(
        config.method.options, backbone.entry.load()(backbone.options)
    )
    weights = load_weights(config, method, backbone.name, report)
    device = find_device(config.device)
    with torch.no_grad():
        given = volume.to(device)
        restored: Restored = (
            method.to(device)
            .eval()
            .restore(  # type: ignore[operator]
                given, _generator(config)
            )
        )
        prediction, hidden = restored.prediction.float(), restored.mask
        if hasattr(method, "undo_normalisation"):
            prediction = cast(Any, method).undo_normalisation(prediction, given)
    return _pictures(given.cpu(), prediction.cpu(), hidden.cpu(), weights), weights


def _pictures(
    volume: Tensor, prediction: Tensor, hidden: Tensor, weights: str
) -> list[Picture]:
    """Name the masked and the restored volume."""
    name = f"restored ({weights})"
    if not hidden.any():
        return [Picture(name, prediction)]
    share = f"masked ({float(hidden.float().mean()):.0%})"
    masked = Picture(share, volume.masked_fill(hidden, 0), hidden)
    # What was not hidden is not trained, and means nothing.
    return [masked, Picture(name, torch.where(hidden, prediction, volume))]


def _affine(source: VolumeSource) -> NDArray[np.float64]:
    """Return voxel to RAS mm (4, 4); voxels are 1 mm where volumes are no MRI."""
    if source.contract is None:
        return np.eye(4)
    return template_grid(source.shape, source.contract.spacing_mm)


def _write(
    folder: Path,
    pictures: list[Picture],
    affine: NDArray[np.float64],
    notes: dict[str, Any],
) -> Path:
    """Write the volumes, and what they are; return the path of the notes."""
    images = []
    for picture in pictures:
        stem = picture.name.partition(" (")[0].replace(" ", "-")
        image = {"name": picture.name, "file": f"{stem}.nii.gz"}
        write_image(folder / image["file"], picture.volume[0, 0].numpy(), affine)
        if picture.hidden is not None:
            image["hidden"] = "hidden.nii.gz"
            write_image(folder / image["hidden"], picture.hidden[0, 0].numpy(), affine)
        images.append(image)
    text = json.dumps(notes | {"images": images}, indent=2, ensure_ascii=False)
    write_text(folder / NOTES, text + "\n")
    return folder / NOTES
