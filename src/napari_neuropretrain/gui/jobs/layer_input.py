"""Make the current layer the input of a job: its file, or one written of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_neuropretrain.errors import ImageError, NeuropretrainError
from napari_neuropretrain.gui.scans.layer_scan import (
    current_layer,
    file_of,
    voxels_of,
    write_scan,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel


class LayerInput(QObject):
    """Finds the scan of the current layer; one without a file is written first.

    Parameters
    ----------
    viewer
        Whose layer.
    raw
        Whether layers of preprocessed scans are refused.
    """

    ready = Signal(object)
    """Emitted with the path of the scan."""
    failed = Signal(str)
    """Emitted with why there is none."""

    def __init__(self, viewer: ViewerModel, raw: bool = True) -> None:
        super().__init__()
        self._viewer, self._raw = viewer, raw

    def take(self, output: Path) -> bool:
        """Find the scan of the current layer; `ready` or `failed` follow.

        Parameters
        ----------
        output
            Output folder of the job; a layer without a file is written into it.

        Returns
        -------
        bool
            Whether it is being written, which takes seconds.
        """
        try:
            layer = current_layer(self._viewer, self._raw)
        except ImageError as error:
            self.failed.emit(str(error))
            return False
        if (path := file_of(layer)) is not None:
            self.ready.emit(path)
            return False
        given = (*voxels_of(layer), layer.name, output)
        worker = create_worker(write_scan, *given, _ignore_errors=True)
        worker.returned.connect(self.ready)
        worker.errored.connect(self._not_written)
        worker.start()
        return True

    def _not_written(self, error: Exception) -> None:
        kind = "" if isinstance(error, NeuropretrainError) else type(error).__name__
        self.failed.emit(f"{kind} {error}".strip())
