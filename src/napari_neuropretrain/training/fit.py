"""Run Lightning quietly, and leave with the best weights."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as lightning
import safetensors.torch
import torch
from lightning.pytorch.callbacks import EarlyStopping

from napari_neuropretrain.errors import Cancelled
from napari_neuropretrain.training.callbacks import KeepBest
from napari_neuropretrain.training.module import TaskModule
from napari_neuropretrain.training.volumes import Loader
from napari_neuropretrain.weights.model_file import load_tensors

# Each is advice for clusters or loggers that this project does without.
_NOISE = (
    ".*does not have many workers.*",
    ".*GPU available but not used.*",
    ".*MPS available but not used.*",
    ".*does not have a deterministic implementation.*",
    ".*LeafSpec.*is deprecated.*",
    ".*Detected call of `lr_scheduler.step.*before `optimizer.step.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*Consider setting `persistent_workers.*",
)


@dataclass(frozen=True)
class Fit:
    """How a training went.

    Parameters
    ----------
    best_epoch
        Epoch of the kept weights, from 1 on.
    epochs
        Epochs that were run.
    validation_loss
        Of the kept weights.
    """

    best_epoch: int
    epochs: int
    validation_loss: float


def fit(
    module: TaskModule,
    loaders: tuple[Loader, Loader],
    checkpoints: Path,
    epochs: int,
    patience: int,
    device: torch.device,
    callbacks: Sequence[lightning.Callback] = (),
) -> Fit:
    """Train until `epochs`, or `patience` epochs without a better validation loss.

    Parameters
    ----------
    module
        Its network holds the best weights afterwards, on the CPU.
    loaders
        For training and for validation.
    checkpoints
        Folder for the best weights; they stay there when the training is stopped.
    epochs, patience
        In epochs.
    device
        Where to train.
    callbacks
        What else happens on the way.

    Raises
    ------
    Cancelled
        If a callback raised it, or on Ctrl-C or SIGTERM.
    """
    best = KeepBest(checkpoints)
    stop = EarlyStopping("validation_loss", patience=patience, check_finite=False)
    with _quiet(), _settings_kept():
        trainer = _trainer([best, stop, *callbacks], epochs, device)
        try:
            trainer.fit(module, *loaders)
        except SystemExit:  # what Lightning makes of Ctrl-C and of SIGTERM
            raise Cancelled("Stopped from outside (Ctrl-C or SIGTERM).") from None
    module.cpu()
    weights = safetensors.torch.load_file(best.weights)
    load_tensors(module.network, weights, str(best.weights))
    return Fit(best.epoch, trainer.current_epoch, best.validation_loss)


def _trainer(
    callbacks: list[lightning.Callback], epochs: int, device: torch.device
) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        max_epochs=epochs,
        callbacks=callbacks,
        # 3D pooling has no deterministic backward on CUDA; elsewhere all is exact.
        deterministic="warn",
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advertisements and the warnings listed above."""
    loggers = [
        logging.getLogger(name)
        for name in ("lightning.pytorch", "lightning.fabric", "lightning")
    ]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in _NOISE:
            warnings.filterwarnings("ignore", message)
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def _settings_kept() -> Iterator[None]:
    """Put back what Lightning changes for the whole process."""
    exact = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    main = threading.current_thread() is threading.main_thread()
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(exact, warn_only=only_warn)
        if main:
            signal.signal(signal.SIGINT, interrupt)
