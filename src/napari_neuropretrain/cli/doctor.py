"""``neuropretrain doctor``: what this machine has, lacks, and how to get it."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from napari_neuropretrain import __version__
from napari_neuropretrain.cli.system_packages import install_line, missing_packages
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.resources import resource_path

NEEDED = (
    "torch", "monai", "lightning", "nibabel", "SimpleITK", "nilearn",
    "scikit-learn", "pydantic", "safetensors", "pooch",
)  # fmt: skip
FOR_THE_PLUGIN = ("napari", "qtpy", "superqt", "magicgui", "PyQt6")
LOW_MEMORY_GIB, LOW_DISK_GIB = 6.0, 5.0


def run_doctor(arguments: Sequence[str]) -> int:
    """Print the report; return 1 if something that every job needs is missing."""
    parser = argparse.ArgumentParser(
        prog="neuropretrain doctor",
        description="Check this installation and this machine.",
        allow_abbrev=False,
    )
    try:
        parser.parse_args(list(arguments))
    except SystemExit as request:
        return int(request.code or 0)
    print(f"napari-neuropretrain {__version__}, Python {sys.version.split()[0]}")
    print(f"{platform.platform()}, {os.cpu_count()} cores")
    problems = _check_packages(NEEDED, "pip install napari-neuropretrain")
    _check_resources(problems)
    advice = _check_packages(FOR_THE_PLUGIN, 'pip install "napari-neuropretrain[gui]"')
    advice += _missing_libraries()
    _check_room(advice)
    for device in list_devices():
        print(f"  device {device['name']:<9}{device['title']}")
    for line in problems:
        print(f"MISSING  {line}")
    for line in advice:
        print(f"note     {line}")
    if not problems:
        print("Ready for every job." + ("" if advice else " The plugin is ready, too."))
    return 1 if problems else 0


def list_devices() -> list[dict[str, Any]]:
    """List the devices that ``--device`` can name; empty without torch."""
    try:
        import torch
    except ImportError:
        return []
    memory = round(_memory_gib(), 1)
    title = f"{os.cpu_count()} cores, {memory} GiB of memory"
    found = [{"name": "cpu", "title": title}]
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        title = f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        found.append({"name": f"cuda:{index}", "title": title})
    if torch.backends.mps.is_available():
        found.append({"name": "mps", "title": "Apple GPU"})
    return found


def _check_packages(names: Sequence[str], remedy: str) -> list[str]:
    missing = []
    for name in names:
        try:
            print(f"  {name:<15} {version(name)}")
        except PackageNotFoundError:
            missing.append(f"{name} is not installed. Type: {remedy}")
    return missing


def _check_resources(problems: list[str]) -> None:
    try:
        resource_path("brain_mask.safetensors")
    except NeuropretrainError as error:
        problems.append(str(error))


def _missing_libraries() -> list[str]:
    missing = missing_packages(for_tests=False)
    if not missing:
        return []
    line = install_line(missing)
    return [f"the napari plugin needs system libraries; on Debian, type: {line}"]


def _check_room(advice: list[str]) -> None:
    disk = shutil.disk_usage(".").free / 2**30
    print(f"  memory {_memory_gib():.1f} GiB; free disk here {disk:.0f} GiB")
    if _memory_gib() < LOW_MEMORY_GIB:
        advice.append(f"less than {LOW_MEMORY_GIB:g} GiB of memory: keep workers at 1")
    if disk < LOW_DISK_GIB:
        advice.append(f"less than {LOW_DISK_GIB:g} GiB free on this disk")


def _memory_gib() -> float:
    import psutil

    return float(psutil.virtual_memory().total / 2**30)
