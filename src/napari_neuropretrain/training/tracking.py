"""Tell Lightning's loggers of each epoch: CSV always, TensorBoard and MLflow if asked.

They hear what ``events.jsonl`` says; that file stays what the plugin reads.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

from lightning.pytorch.loggers import Logger

from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.errors import Cancelled, ConfigError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.distributed import Processes
from napari_neuropretrain.training.loggers import (
    csv_logger,
    mlflow_logger,
    tensorboard_logger,
    unwarned,
)
from napari_neuropretrain.training.resume import has_state

_UNSAID = ("eta_s",)
_MODULES = {"tensorboard": "tensorboard", "mlflow": "mlflow"}

Numbers: TypeAlias = dict[str, float]


@contextmanager
def tracked(
    job: str,
    config: FinetuneConfig | PretrainConfig,
    processes: Processes,
    report: Report,
) -> Iterator[Report]:
    """Yield a report that the loggers hear, too; close them at the end.

    Parameters
    ----------
    job
        Name of the job, for MLflow's experiment.
    config
        Names the loggers and the run folder.
    processes
        Only the one that leads writes.
    report
        Hears everything, as without loggers.

    Raises
    ------
    ConfigError
        If a logger is not installed, or MLflow's server cannot be used.
    """
    check_trackers(config.trackers)
    if not processes.leads:
        yield report
        return
    tracker = Tracker(job, config, report)
    try:
        yield tracker
    except BaseException as error:
        tracker.close("KILLED" if isinstance(error, Cancelled) else "failed")
        raise
    tracker.close("success")


def check_trackers(names: tuple[str, ...]) -> None:
    """Check that what the loggers need is installed.

    Raises
    ------
    ConfigError
        If it is not; says how to install it.
    """
    for name in names:
        if importlib.util.find_spec(_MODULES[name]) is None:
            raise ConfigError(
                f"trackers: '{name}' is not installed. Install it with: pip install "
                "'napari-neuropretrain[tracking]', or leave it out; logs/metrics.csv "
                "is written without it."
            )


class Tracker:
    """A report that passes on what it hears, and logs numbers of it.

    Parameters
    ----------
    job, config, report
        As for `tracked`.
    """

    def __init__(
        self, job: str, config: FinetuneConfig | PretrainConfig, report: Report
    ) -> None:
        self._config = config
        self._report = report
        self._output = Path(config.output)
        self._loggers: dict[str, Logger] = {}
        self._epoch = 0
        if "mlflow" in config.trackers:
            goes_on = not config.overwrite and has_state(self._output / "checkpoints")
            self._loggers["mlflow"] = mlflow_logger(job, self._output, goes_on)

    def __call__(self, progress: Progress) -> None:
        """Log the numbers of an epoch, or of the end, and pass it on."""
        if progress.state == "epoch":
            self._log_epoch(progress.values)
        elif progress.state == "metric" and self._epoch:
            self._log(numbers_of(progress.values), summary=True)
        elif progress.values.get("kind") == "metrics" and self._epoch:
            self._log(_test_numbers(Path(str(progress.values["path"]))), summary=True)
        self._report(progress)

    def close(self, status: str) -> None:
        """Let the loggers write what is left, and say how it ended."""
        for name in tuple(self._loggers):
            with self._excused(name):
                self._loggers[name].finalize(status)

    def _log_epoch(self, values: Mapping[str, Any]) -> None:
        first = not self._epoch
        self._epoch = int(values["epoch"])
        if first:
            self._open()
        self._log({k: v for k, v in numbers_of(values).items() if k not in _UNSAID})

    def _log(self, numbers: Numbers, summary: bool = False) -> None:
        """Log numbers at the epoch; the table has rows of epochs only."""
        for name in tuple(self._loggers):
            if numbers and not (summary and name == "csv"):
                with self._excused(name):
                    self._loggers[name].log_metrics(numbers, self._epoch)

    def _open(self) -> None:
        """Open the loggers that write files, at the first epoch of this process."""
        with self._excused("csv"):
            self._loggers["csv"] = csv_logger(self._output, self._epoch)
        if "tensorboard" in self._config.trackers:
            with self._excused("tensorboard"):
                self._loggers["tensorboard"] = tensorboard_logger(
                    self._output, self._epoch
                )
        settings = self._config.model_dump(mode="json")
        for name in {"tensorboard", "mlflow"} & self._loggers.keys():
            with self._excused(name):
                self._loggers[name].log_hyperparams(_flat(settings))

    @contextmanager
    def _excused(self, name: str) -> Iterator[None]:
        """Let a training go on without a logger that fails."""
        try:
            with unwarned():
                yield
        except Exception as error:  # noqa: BLE001 - of servers, drivers and disks
            self._loggers.pop(name, None)
            message = f"trackers: {name} fails, and hears no more ({error})."
            self._report(Progress("warning", message))


def numbers_of(values: Mapping[str, Any]) -> Numbers:
    """Return what of the values is a number; yes and no become 1 and 0.

    Examples
    --------
    >>> numbers_of({"loss": 0.5, "best": True, "metric": "mae"})
    {'loss': 0.5, 'best': 1.0}
    """
    return {key: float(one) for key, one in values.items() if isinstance(one, Real)}


def _test_numbers(path: Path) -> Numbers:
    """Return the metrics of the test as ``test/NAME``."""
    test = json.loads(path.read_text(encoding="utf-8")).get("test", {})
    return {f"test/{name}": one for name, one in numbers_of(test).items()}


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without levels: backbone/name, backbone/heads."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= {f"{key}/{name}": str(one) for name, one in value.items()}
        else:
            found[key] = value if isinstance(value, int | float) else str(value)
    return found
