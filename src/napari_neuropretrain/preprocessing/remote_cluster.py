"""A Dask cluster that somebody else started."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from distributed import Client

from napari_neuropretrain import __version__
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.preprocessing.local_cluster import quiet_loggers
from napari_neuropretrain.preprocessing.scan_task import ScanTask
from napari_neuropretrain.preprocessing.shared_files import marked
from napari_neuropretrain.progress import Progress, Report

CONNECT_S = 15
PACKAGES = ["torch", "SimpleITK", "scipy", "nibabel", "monai"]
"""Results can depend on these; Dask adds Python, numpy and its own parts."""


@contextmanager
def remote_cluster(scheduler: str) -> Iterator[Client]:
    """Connect to a scheduler for the length of a ``with`` block, and leave it running.

    Raises
    ------
    ConfigError
        If nothing answers there.
    """
    with quiet_loggers():
        try:
            client = Client(scheduler, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"scheduler: no Dask scheduler answers at '{scheduler}' ({error}). "
                "Give the address that `dask scheduler` or your cluster printed, as "
                "tcp://host:8786; leave it empty to work on this machine."
            ) from None
        with client:
            yield client


def ask_workers(
    client: Client, find_problem: Callable[..., str], *given: object
) -> None:
    """Let each worker say why it cannot be used.

    Parameters
    ----------
    client
        Of the cluster.
    find_problem
        Called in each worker with what is `given`; returns an empty string where
        nothing is wrong.

    Raises
    ------
    ConfigError
        If one cannot load this package, or has a problem; named with the worker.
    """
    try:
        problems: Mapping[str, str] = client.run(find_problem, *given)
    except Exception as error:
        raise ConfigError(
            f"scheduler: a worker cannot use this package ({type(error).__name__}: "
            f"{error}). Install napari-neuropretrain {__version__} where the workers "
            "run."
        ) from error
    for worker, problem in problems.items():
        if problem:
            raise ConfigError(f"scheduler: {problem} (Worker: {worker}.)")


def check_workers(client: Client, task: ScanTask, report: Report) -> None:
    """Look whether the workers that are there can do `task`.

    Those that join later look themselves, before each scan.

    Raises
    ------
    ConfigError
        If one cannot load this package, has another version of it, or does not see
        the files.
    """
    with marked(task.output) as files:
        ask_workers(client, files.problem, task.scan.path)
    versions: Any = client.get_versions(packages=PACKAGES)
    for line in _version_differences(versions):
        report(Progress("warning", line))


def _version_differences(versions: Mapping[str, Any]) -> list[str]:
    """Say which packages of the workers differ from those here, one line a package."""
    here = versions["client"]["packages"]
    others = [one["packages"] for one in versions["workers"].values() if one]
    lines = []
    for name, version in here.items():
        seen = sorted({str(one.get(name)) for one in others} - {str(version)})
        if seen:
            lines.append(
                f"Workers have {name} {', '.join(seen)}, this process has {version}. "
                "Results may differ a little."
            )
    return lines
