"""The plugin's settings, kept by napari: File > Preferences > NeuroPretrain.

They are declared in ``napari.yaml`` (``configurations``) and read here. A panel asks
once, when it opens, so that a change counts for every panel opened after it::

    from napari_neuropretrain.gui.settings import read_settings

    settings = read_settings()
    settings.project_folder      # where runs are written and looked for
    settings.data_folder         # where choosing a cohort or scan begins
    settings.models_folder       # models to predict with
    settings.default_model       # model file or run folder, or None
    settings.device, settings.threads

The form of a job takes `form_defaults(options, job)`. A panel that lets people choose
one of these folders keeps the choice with ``change_settings(models_folder=folder)``.
Nothing here can fail: where napari keeps no settings (before 0.9, or the plugin is
run without its manifest), the defaults are returned.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.base import Config

PLUGIN = "napari-neuropretrain"
SECTION = "defaults"
"""Key of the section in ``napari.yaml``."""
HOME = Path.home() / "neuropretrain"
"""Where runs go while no project folder is chosen."""


@dataclass(frozen=True)
class Settings:
    """What a person set in napari's preferences.

    Parameters
    ----------
    data_folder
        Where choosing scans, cohorts and tables begins; None where it is not set.
    project_folder
        Where runs are written and looked for.
    models_folder
        Folder with models; the project folder where it is not set.
    default_model
        Model file or run folder to predict with; None where it is not set.
    device
        As a job takes it: auto, cpu, mps, cuda or cuda:1.
    threads
        CPU threads of a job; 0 leaves each form its own number.
    chosen
        Names of the settings that a person changed.
    """

    data_folder: Path | None = None
    project_folder: Path = HOME
    models_folder: Path = HOME
    default_model: Path | None = None
    device: str = "auto"
    threads: int = 0
    chosen: frozenset[str] = frozenset()


def read_settings() -> Settings:
    """Return the settings as they are now."""
    section = _section()
    if section is None:
        return Settings()
    data, project, models, model = (
        _path(getattr(section, name, ""))
        for name in ("data_folder", "project_folder", "models_folder", "default_model")
    )
    named = {"data_folder": data, "project_folder": project, "models_folder": models}
    named |= {"default_model": model}
    chosen = {name for name, path in named.items() if path is not None}
    device, threads = str(section.device), int(section.threads)
    chosen |= {"device"} if device != "auto" else set()
    chosen |= {"threads"} if threads else set()
    return Settings(
        data,
        project or HOME,
        models or project or HOME,
        model,
        device,
        threads,
        frozenset(chosen),
    )


def change_settings(**values: str | int | Path) -> bool:
    """Keep settings as if they had been set in the preferences.

    Parameters
    ----------
    **values
        Fields of `Settings`, without `chosen`.

    Returns
    -------
    bool
        False where napari keeps no settings.

    Raises
    ------
    TypeError
        If there is no such setting.
    """
    known = {field.name for field in fields(Settings)} - {"chosen"}
    if unknown := sorted(set(values) - known):
        raise TypeError(f"There are no settings named {', '.join(unknown)}.")
    section = _section()
    if section is None:
        return False
    for name, value in values.items():
        setattr(section, name, str(value) if isinstance(value, Path) else value)
    return True


def form_defaults(options: type[Config], job: str = "") -> dict[str, Any]:
    """Return what a form shows at first in place of the defaults of its class.

    Only what a person has set: the device, the threads, the default model, and a new
    folder for the run of a job within the project folder.

    Parameters
    ----------
    options
        Settings class of the form.
    job
        Name of the job; empty leaves the output folder alone.

    Returns
    -------
    dict
        Value by field name.
    """
    settings = read_settings()
    values: dict[str, Any] = {
        "device": settings.device,
        "threads": settings.threads,
        "model": settings.default_model,
    }
    wanted = {"device", "threads"} & settings.chosen
    wanted |= {"model"} if settings.default_model else set()
    if job and "project_folder" in settings.chosen:
        values["output"] = free_folder(settings.project_folder, job)
        wanted.add("output")
    return {
        name: value
        for name, value in values.items()
        if name in wanted and name in options.model_fields
    }


def free_folder(project: Path, job: str) -> Path:
    """Return a folder in `project` for a new run, which does not exist yet.

    Examples
    --------
    >>> free_folder(Path("project"), "finetune").as_posix()
    'project/finetune-1'
    """
    number = 1
    while (folder := project / f"{job}-{number}").exists():
        number += 1
    return folder


def _path(text: object) -> Path | None:
    words = str(text).strip()
    return Path(words).expanduser() if words else None


def _section() -> Any:
    """Return napari's own settings of this plugin, or None."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # napari before 0.9
        return None
    try:
        return getattr(get_plugin_settings(PLUGIN), SECTION, None)
    except KeyError:  # the manifest is not registered
        return None
