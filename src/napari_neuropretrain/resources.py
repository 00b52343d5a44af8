"""Files of the top-level folder `resources/`, wherever the package lies.

A wheel carries the folder inside the package; an editable install and a source
checkout have it beside `src/`.
"""

from __future__ import annotations

from pathlib import Path

from napari_neuropretrain.errors import NeuropretrainError

_PACKAGE = Path(__file__).resolve().parent
_PLACES = (_PACKAGE / "resources", _PACKAGE.parents[1] / "resources")


def resource_path(name: str) -> Path:
    """Return the path of the resource `name`.

    Raises
    ------
    NeuropretrainError
        If this installation lacks the file.
    """
    for place in _PLACES:
        if (path := place / name).exists():
            return path
    raise NeuropretrainError(
        f"The file '{name}' is missing from this installation of "
        "napari-neuropretrain. Install it again: pip install --force-reinstall "
        "napari-neuropretrain"
    )
