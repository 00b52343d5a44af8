"""The job ``synthesise``: volumes of a source become a preprocessed cohort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import SynthesiseConfig
from napari_neuropretrain.data.cohort import Scan, bids_label
from napari_neuropretrain.errors import CohortError, ConfigError
from napari_neuropretrain.preprocessing.cohort_tables import (
    MISSING,
    PARTICIPANTS,
    check_own,
    remove_partial_files,
    write_description,
    write_participants,
)
from napari_neuropretrain.preprocessing.synthetic_files import PlannedVolume
from napari_neuropretrain.preprocessing.volume_workers import Made, make_volumes
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report
from napari_neuropretrain.synthesis.source import VolumeSource, label_names

TITLE = "Synthetic T1-weighted volumes made by napari-neuropretrain"
_CHANGE_NOTHING = {"participants", "memory_gib", "cache", "device", "threads"}
"""Options of sources that leave every volume as it is."""


def synthesise(config: SynthesiseConfig, report: Report) -> Outcome:
    """Write every volume of a source; those written before are kept.

    Parameters
    ----------
    config
        Source, and where to.
    report
        Hears ``item_done`` or ``item_failed`` for each volume; raises `Cancelled` to
        stop, and then what is finished stays.

    Returns
    -------
    Outcome
        How many there are; volumes that failed are its failures.

    Raises
    ------
    ConfigError
        If the source gives no MRI.
    CohortError
        If the output holds other data, or no volume could be made.
    CheckpointError, DeviceError
        If the source cannot be used.
    """
    given = getattr(config.source.options, "path", None)
    check_own(config.output, given if isinstance(given, Path) else None)
    source = _open(config.source, report)
    contract = _contract(config.source, source)
    planned = plan_volumes(config.source, source, contract, config.output)
    remove_partial_files(config.output)
    missing = [one for one in planned if config.overwrite or not one.is_written()]
    for one in missing:  # what was made otherwise must not get the new labels
        one.remove()
    write_description(config.output, TITLE)
    write_participants(config.output, [one.scan for one in planned])
    if before := len(planned) - len(missing):
        message = f"{before} of {len(planned)} volumes were made before"
        report(Progress("step", message, before, len(planned)))
    try:
        failures = _make_all(source, missing, config.workers, len(planned), report)
    finally:  # also when it was stopped
        _tidy(config.output, planned)
    return _outcome(config, planned, before, (*source.failures, *failures), report)


def plan_volumes(
    choice: Choice,
    source: VolumeSource,
    contract: PreprocessingContract,
    output: Path,
) -> list[PlannedVolume]:
    """Name every volume and its labels.

    A participant with several volumes gets a session for each.
    """
    told = _provenance(choice, source)
    counts, seen = Counter(source.ids), Counter[str]()
    names = _usable_labels(source)
    planned = []
    for index, name in enumerate(source.ids):
        seen[name] += 1
        session = f"ses-{seen[name]:02d}" if counts[name] > 1 else None
        labels = {label: _text(source, index, label) for label in names}
        scan = Scan(bids_label("sub", name), session, Path(), labels)
        about = told | {"Participant": name, "Index": index}
        planned.append(PlannedVolume.at(output, index, scan, contract, about))
    return planned


def _open(choice: Choice, report: Report) -> VolumeSource:
    """Open the source; it keeps nothing, since each volume is asked for once."""
    options = choice.options
    if "memory_gib" in type(options).model_fields:
        options = options.replace(memory_gib=0)
    source: VolumeSource = choice.entry.load()(options, report)
    return source


def _contract(choice: Choice, source: VolumeSource) -> PreprocessingContract:
    if source.contract is None:
        raise ConfigError(
            f"source: '{choice.name}' gives no MRI, and a cohort holds MRI only. "
            f"Pre-train from it directly: neuropretrain pretrain --source ..."
        )
    return source.contract


def _provenance(choice: Choice, source: VolumeSource) -> dict[str, Any]:
    """Say what decides on the voxels of every volume."""
    options = choice.options.model_dump(mode="json", exclude=_CHANGE_NOTHING)
    if tell := getattr(source, "provenance", None):
        options.pop("path", None)  # what lies there is told instead
        return {"Name": choice.name, "Options": options, **tell()}
    if "path" in options:
        options["path"] = str(Path(options["path"]).absolute())
    return {"Name": choice.name, "Options": options}


def _usable_labels(source: VolumeSource) -> list[str]:
    """Return the labels that the table can hold: numbers or words of volumes."""
    names = []
    for name in label_names(source):
        try:
            source.classes(name)
            source.label(0, name)
        except CohortError:  # a column of free text and numbers, or an empty one
            continue
        names.append(name)
    return names


def _text(source: VolumeSource, index: int, name: str) -> str:
    value = source.label(index, name)
    if value is None:
        return MISSING
    words = source.classes(name)
    return words[int(value)] if words else f"{value:.8g}"


def _make_all(
    source: VolumeSource,
    missing: Sequence[PlannedVolume],
    workers: int,
    total: int,
    report: Report,
) -> list[Failure]:
    """Make what is missing, and say what becomes of each."""
    failures: list[Failure] = []
    step = total - len(missing)
    # Closed at once when the report stops it: processes must not live on.
    with closing(make_volumes(source, missing, workers, report)) as ended:
        for made in ended:
            step += 1
            _tell(made, step, total, report, failures)
    return failures


def _tell(
    made: Made, step: int, total: int, report: Report, failures: list[Failure]
) -> None:
    key = made.planned.scan.key
    values = {"item": key, "status": "failed" if made.reason else "done"}
    if made.reason:
        failures.append(Failure(key, made.reason))
        report(Progress("item_failed", f"{key}: {made.reason}", step, total, values))
        return
    values["path"] = str(made.planned.scan.path)
    report(Progress("item_done", f"{key}: done", step, total, values))


def _tidy(output: Path, planned: Sequence[PlannedVolume]) -> None:
    """Leave nothing of volumes that are not there: no half files, no row.

    A killed run leaves them; the next run fills them or takes them out.
    """
    for one in planned:
        if not one.is_there():
            one.remove()
    there = [one.scan for one in planned if one.is_there()]
    absent = {one.scan.key for one in planned} - {scan.key for scan in there}
    if absent and there:
        write_participants(output, there, without=absent)
    elif absent:
        (output / PARTICIPANTS).unlink(missing_ok=True)


def _outcome(
    config: SynthesiseConfig,
    planned: Sequence[PlannedVolume],
    before: int,
    failures: Sequence[Failure],
    report: Report,
) -> Outcome:
    there = sum(one.is_there() for one in planned)
    if not there:
        reason = f": {failures[0].item}: {failures[0].reason}" if failures else "."
        raise CohortError(
            f"None of the {len(planned)} volumes of '{config.source.name}' could be "
            f"made{reason}"
        )
    message = f"{there} of {len(planned)} volumes of '{config.source.name}' are there"
    message += f" ({before} were made before)." if before else "."
    path = str(config.output)
    report(Progress("result", message, values={"kind": "derivatives", "path": path}))
    return Outcome(message, tuple(failures), {"derivatives": path})
