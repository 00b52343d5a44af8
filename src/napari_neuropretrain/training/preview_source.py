"""One volume of a source, without preparing all the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.options.sources import CohortOptions
from napari_neuropretrain.config.preview import PreviewConfig
from napari_neuropretrain.data.participants import Cohort, read_cohort
from napari_neuropretrain.errors import CohortError, ConfigError, ImageError
from napari_neuropretrain.preprocessing.derivatives import contract_of, read_sidecar
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.synthesis.source import VolumeSource
from napari_neuropretrain.training.cohort_source import source_of
from napari_neuropretrain.training.preprocessed import preprocessed_cohort

_FOLDER = "preprocessed"


def open_one(config: PreviewConfig, report: Report) -> tuple[VolumeSource, int, int]:
    """Open the source of a preview; of a raw cohort, preprocess one scan.

    Parameters
    ----------
    config
        Source, and which volume.
    report
        Hears what happens; may raise `Cancelled`.

    Returns
    -------
    source
        Where the volume is.
    index
        Of the volume in it.
    count
        Volumes of the whole source.

    Raises
    ------
    ConfigError
        If there is no such volume.
    """
    choice, path = config.source, Path(config.cohort)
    if path == NOTHING:
        source: VolumeSource = choice.entry.load()(choice.options, report)
        return source, check_index(config.index, len(source)), len(source)
    cohort, options = read_cohort(path), cast(CohortOptions, choice.options)
    if cohort.kind == "preprocessed":
        source = source_of(cohort, options, report)
        return source, check_index(config.index, len(source)), len(source)
    scan = cohort.scans[check_index(config.index, len(cohort.scans))]
    contract = PreprocessingContract(shape=config.shape)
    ready = _done_before(Path(config.run) / _FOLDER, scan.key, contract)
    if ready is None:
        report(Progress("step", f"Preprocessing {scan.key}, which is raw", 0, 2))
        folder = Path(config.output) / _FOLDER
        ready = preprocessed_cohort(scan.path, contract, folder, report)
    return source_of(ready, options, report), 0, len(cohort.scans)


def _done_before(
    folder: Path, key: str, contract: PreprocessingContract
) -> Cohort | None:
    """Return one scan of a run's derivatives, or None if it is not there yet."""
    if not folder.is_dir():
        return None
    try:
        made = read_cohort(folder)
        found = tuple(scan for scan in made.scans if scan.key == key)
        same = [contract_of(one.path, read_sidecar(one.path)) for one in found]
    except (CohortError, ImageError):  # while the run has only just begun
        return None
    return replace(made, scans=found) if same == [contract] else None


def check_index(index: int, count: int) -> int:
    """Return `index` if there is such a volume.

    Raises
    ------
    ConfigError
        If not.

    Examples
    --------
    >>> check_index(2, 3)
    2
    """
    if index >= count:
        raise ConfigError(
            f"index: there is no volume {index}; the source has {count}, numbered from "
            f"0 to {count - 1}."
        )
    return index
