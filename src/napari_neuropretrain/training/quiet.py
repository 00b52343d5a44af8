"""Keep Lightning from talking, and from changing the process it runs in."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

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
    ".*in eval mode at the start of training.*",
    ".*Grad strides do not match bucket view strides.*",
)


@contextmanager
def quiet() -> Iterator[None]:
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
def settings_kept() -> Iterator[None]:
    """Put back what Lightning and this training change for the whole process."""
    exact = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    main = threading.current_thread() is threading.main_thread()
    interrupt = signal.getsignal(signal.SIGINT)
    memory: Any = torch.utils.deterministic  # its setting carries no type
    filled = memory.fill_uninitialized_memory
    # In deterministic mode torch writes NaN into every new tensor, to uncover code
    # that reads memory before it is written; it costs a tenth of a training step.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        memory.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(exact, warn_only=only_warn)
        if main:
            signal.signal(signal.SIGINT, interrupt)
