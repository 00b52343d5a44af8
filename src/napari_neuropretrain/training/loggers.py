"""Lightning's loggers in a run folder: CSV, TensorBoard and MLflow."""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.errors import ConfigError

LOGS, TABLE, TENSORBOARD = "logs", "metrics.csv", "tensorboard"
DATABASE, RUN = "mlflow.db", "mlflow.json"


def csv_logger(output: Path, epoch: int) -> Logger:
    """Return the logger of ``logs/metrics.csv``, with the rows before `epoch`.

    Lightning's begins with an empty file, also where a training goes on.

    Parameters
    ----------
    output
        The run folder.
    epoch
        The first one that will be logged.
    """
    path = output / LOGS / TABLE
    rows = _rows(path) if path.is_file() else []
    path.unlink(missing_ok=True)
    logger = CSVLogger(output, name="", version=LOGS, flush_logs_every_n_steps=1)
    for row in rows:
        step = int(row.pop("step"))
        if step < epoch:
            logger.log_metrics(dict(row), step)
    return logger


def _rows(path: Path) -> list[dict[str, float]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            {key: float(cell) for key, cell in row.items() if cell}
            for row in csv.DictReader(stream)
        ]


def tensorboard_logger(output: Path, epoch: int) -> Logger:
    """Return the logger of ``tensorboard/`` in a run folder.

    Parameters
    ----------
    output
        The run folder.
    epoch
        The first one that will be logged; what an interrupted training logged after
        its last checkpoint is hidden.
    """
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(
        output, name="", version=TENSORBOARD, default_hp_metric=False, purge_step=epoch
    )


def mlflow_logger(job: str, output: Path, goes_on: bool) -> Logger:
    """Return the logger of ``MLFLOW_TRACKING_URI``, or of a database in a run folder.

    Parameters
    ----------
    job
        Its name is part of the experiment's.
    output
        The run folder.
    goes_on
        Whether to log to the run before, where it is at the same address.

    Raises
    ------
    ConfigError
        If MLflow cannot use the address.
    """
    # It would tell its makers what is done with it.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from lightning.pytorch.loggers import MLFlowLogger

    folder = output.absolute()
    server = os.environ.get("MLFLOW_TRACKING_URI", "")
    address = server or f"sqlite:///{(folder / DATABASE).as_posix()}"
    try:
        with unwarned():
            logger = MLFlowLogger(
                f"neuropretrain {job}",
                folder.name,
                address,
                artifact_location=None if server else (folder / "mlflow").as_uri(),
                run_id=_run_before(output, address) if goes_on else None,
            )
            run = logger.run_id
    except Exception as error:  # whatever a server or a driver says
        raise ConfigError(
            f"trackers: MLflow cannot use '{address}' ({error}). Look at "
            "MLFLOW_TRACKING_URI, or leave mlflow out."
        ) from error
    write_text(output / RUN, json.dumps({"address": address, "run": run}) + "\n")
    return logger


def _run_before(output: Path, address: str) -> str | None:
    path = output / RUN
    if not path.is_file():
        return None
    note = json.loads(path.read_text(encoding="utf-8"))
    return note["run"] if note["address"] == address else None


@contextmanager
def unwarned() -> Iterator[None]:
    """Ignore what loggers warn of in their own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
