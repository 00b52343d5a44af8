"""Which files belong to a map: the other space, its scan, checks and report. No Qt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from napari_neuropretrain.gui.reader import MAPS, stem_of
from napari_neuropretrain.runs.folder import CONFIG, read_events

_TEMPLATE, _OWN = "_space-MNI152", "_space-T1w"
_RANDOM = "_desc-randomised_map"
_REPORT, _NOTE = "report.html", "_explanation.json"
_PREPROC = "_space-MNI152_desc-preproc_T1w.nii.gz"


@dataclass(frozen=True)
class MapFiles:
    """What lies beside a map, each None where it is not there.

    Parameters
    ----------
    template, own
        The map on the template's and on the scan's grid.
    template_t1, own_t1
        What these two lie on.
    randomised
        The map of the randomised network, on the template's grid.
    main
        The map that this one was made to check, if it is such a map.
    regions
        Label image in template space, or name of an atlas, that the job was given.
    transform
        Scan RAS mm to template RAS mm (4, 4), by rows.
    """

    template: Path | None = None
    own: Path | None = None
    template_t1: Path | None = None
    own_t1: Path | None = None
    randomised: Path | None = None
    main: Path | None = None
    regions: str | None = None
    transform: tuple[tuple[float, ...], ...] | None = None


def files_of(path: Path) -> MapFiles:
    """Find what lies beside a map that the explain job wrote."""
    stem = stem_of(path)
    key = stem.partition("_space-")[0]
    told, note = _told(path.parent), _note(path.parent, key)
    source = note.get("scan", {}).get("path")
    preproc = told.get("template_t1") or _preprocessed(path.parent, key, source)
    random = path.with_name(f"{key}{_TEMPLATE}{_RANDOM}.nii.gz")
    main = _RANDOM not in stem
    return MapFiles(
        template=_there(path.with_name(path.name.replace(_OWN, _TEMPLATE))),
        own=_there(path.with_name(path.name.replace(_TEMPLATE, _OWN)))
        if main
        else None,
        template_t1=_there(preproc),
        own_t1=_there(told.get("t1") or source),
        # That of a run before says nothing about a map that was not checked.
        randomised=_there(random) if note.get("checks") or not note else None,
        main=None if main else _first(path.with_name(f"{key}{_TEMPLATE}"), path),
        regions=_regions(path.parent),
        transform=_transform(_there(preproc)),
    )


def report_of(path: Path) -> Path | None:
    """Return the page that the job wrote about a map, unless of a run before.

    A run that is stopped leaves a map and no page.
    """
    page = path.with_name(_REPORT)
    key = stem_of(path).partition("_space-")[0]
    try:
        note = path.with_name(f"{key}{_NOTE}").stat().st_mtime
        return page if page.stat().st_mtime >= note else None
    except OSError:
        return _there(page)


def maps_below(folder: Path, like: Path | None = None) -> list[Path]:
    """Return the occlusion maps in a folder of runs, by path.

    Parameters
    ----------
    folder
        Searched with its folders.
    like
        Only maps of the same scan and space as this one. None: any on the template.
    """
    found = sorted(folder.rglob("*_map.nii.gz"))
    maps = [path for path in found if stem_of(path).endswith(MAPS)]
    if like is None:
        return [path for path in maps if _TEMPLATE in path.name and _main(path)]
    begins = stem_of(like).partition("_desc-")[0] + "_desc-"
    return [path for path in maps if path.name.startswith(begins) and _main(path)]


def _main(path: Path) -> bool:
    return _RANDOM not in path.name


def title_of(path: Path) -> str:
    """Name a map by its model and method, for example ``densenet (occlusion)``.

    Without an explanation beside it, by its folder.
    """
    method = stem_of(path).partition("_desc-")[2].removesuffix("_map")
    key = path.name.partition("_space-")[0]
    model = _note(path.parent, key).get("model")
    if not model:
        return f"{path.parent.name} ({method})"
    named = Path(str(model))
    # A model file is called the same in each run; its folder is not.
    named = named.parent if named.suffix else named
    return f"{named.name} ({method})"


def _first(begin: Path, path: Path) -> Path | None:
    """Return the first map of a scan besides the randomised network's."""
    others = sorted(begin.parent.glob(f"{begin.name}_desc-*_map.nii.gz"))
    return next((one for one in others if one != path and _main(one)), None)


def _there(path: Any) -> Path | None:
    if not path:
        return None
    found = Path(str(path))
    return found if found.is_file() else None


def _note(folder: Path, key: str) -> dict[str, Any]:
    try:
        text = (folder / f"{key}{_NOTE}").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
    except (OSError, ValueError):
        return {}
    return found


def _told(folder: Path) -> dict[str, Any]:
    """Return what the job's last event about a map said."""
    try:
        events, _ = read_events(folder)
    except (OSError, ValueError):
        return {}
    told: dict[str, Any] = {}
    for event in events:
        values = event.get("values") or {}
        if event.get("state") == "result" and values.get("kind") == "occlusion":
            told = values
    return told


def _preprocessed(folder: Path, key: str, source: Any) -> Path | None:
    """Find the scan on the template: the job's own, or the one it was given."""
    made = sorted((folder / "preprocessed").rglob(f"{key}{_PREPROC}"))
    if made:
        return made[0]
    return Path(source) if str(source or "").endswith(_PREPROC) else None


def _transform(preproc: Path | None) -> tuple[tuple[float, ...], ...] | None:
    """Read what the preprocessing noted beside the scan on the template."""
    if preproc is None:
        return None
    try:
        note = preproc.with_name(f"{stem_of(preproc)}.json").read_text("utf-8")
        rows = tuple(tuple(map(float, row)) for row in json.loads(note)["Transform"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return rows if [len(row) for row in rows] == [4] * 4 else None


def _regions(folder: Path) -> str | None:
    try:
        settings = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return None
    given = settings.get("regions") if isinstance(settings, dict) else None
    return str(given) if given else None
