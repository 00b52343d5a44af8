"""Where the volumes of a pre-training come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.progress import Failure

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class VolumeSource(Protocol):
    """Volumes and labels for any method.

    A source of the catalog is opened with ``entry.load()(options, report)``. It can
    be pickled, so that workers of a loader may read from it.
    """

    ids: tuple[str, ...]
    """Whom each volume shows, one id for each volume: a participant that was scanned
    twice is there twice. Their hashes travel with the weights."""
    shape: tuple[int, int, int]
    """Voxels of every volume."""
    contract: PreprocessingContract | None
    """How the volumes were preprocessed; None where they are no MRI."""
    failures: tuple[Failure, ...]
    """What could not be used, and why."""

    def __len__(self) -> int:
        """Return how many volumes there are."""

    def volume(self, index: int) -> Tensor:
        """Return a volume, float32 (1, X, Y, Z), z-scored in the brain, 0 outside.

        Raises
        ------
        ImageError
            If it cannot be read any more.
        """

    def label(self, index: int, name: str) -> float | None:
        """Return a label of a volume, or None where it has none.

        Words are numbered as in `classes`.

        Raises
        ------
        CohortError
            If no volume has such a label.
        """

    def classes(self, name: str) -> tuple[str, ...]:
        """Return the words of a label, numbered from 0; none where it is a number.

        Raises
        ------
        CohortError
            If no volume has such a label.
        """


def label_names(source: VolumeSource) -> tuple[str, ...]:
    """Return the names of all labels of a source; none where it does not list them.

    A source lists them as ``label_names``. One whose volumes depend on files besides
    its options tells these apart by ``provenance()``, plain values by name.
    """
    return cast("tuple[str, ...]", getattr(source, "label_names", ()))
