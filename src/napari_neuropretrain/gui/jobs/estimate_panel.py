"""What a training would cost, above its Start button."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from qtpy.QtCore import (  # type: ignore[attr-defined, unused-ignore]
    Qt,
    QTimer,
    Signal,
)
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_neuropretrain.config.estimate import (
    Estimate,
    EstimateConfig,
    PretrainEstimateConfig,
)
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.forms.choice_field import Explanation, side_button
from napari_neuropretrain.gui.forms.sentence import Sentence
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.jobs.estimate_process import (
    AnyEstimateConfig,
    EstimateProcess,
)

AnyConfig = TypeVar("AnyConfig", EstimateConfig, PretrainEstimateConfig)
DELAY_MS, POLL_MS = 1200, 250
_NO_MATTER = {"output", "seed", "learning_rate", "weight_decay", "warmup_epochs"}
_NO_MATTER |= {"patience", "workers", "overwrite", "epochs", "probe", "probe_every"}
_NO_MATTER |= {"probe_labels", "probe_volumes", "ema", "clip", "checkpoint_minutes"}
_NO_MATTER |= {"trackers"}
"""Settings that an estimate does not depend on, or that need no new trial."""


class EstimatePanel(QWidget):
    """Parameters, time, memory and scans, found out in another process.

    Parameters
    ----------
    command
        See `EstimateProcess`.
    """

    changed = Signal()
    """Emitted when more is known."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        super().__init__()
        self._command = command
        self._config: AnyEstimateConfig | None = None
        self._trial = True
        self._running: list[EstimateProcess] = []
        self.found = Estimate()
        self.facts, self.state = WrappedLabel(), Explanation()
        self.who = WrappedLabel()
        self.warning = Sentence()
        self.again = side_button("Estimate again", "Try some training steps again.")
        self.again.clicked.connect(lambda checked=False: self.restart())
        row = QHBoxLayout()
        row.addWidget(self.state, 1)
        row.addWidget(self.again, 0, Qt.AlignmentFlag.AlignRight)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.facts)
        column.addWidget(self.who)
        column.addWidget(self.warning)
        column.addLayout(row)
        self._delay, self._watch = QTimer(self), QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.timeout.connect(self._begin)
        self._watch.timeout.connect(self._look)
        self.destroyed.connect(partial(_end, self._running))
        self._show()

    def request(self, config: AnyEstimateConfig | None, trial: bool = True) -> None:
        """Estimate for these settings, once they have rested for a moment.

        Parameters
        ----------
        config
            None ends a running estimate and forgets the last one.
        trial
            Whether to try them; without it only what the catalog says is shown.
        """
        same = _key(config) == _key(self._config) and trial == self._trial
        self._config, self._trial = config, trial
        if not same:
            self.restart()
        elif config is not None and config.epochs != self.found.epochs:
            self.found = self.found.replace(epochs=config.epochs)
            self._show()

    def restart(self) -> None:
        """Forget the last estimate, and make a new one."""
        self.stop()
        self.found = Estimate() if self._config is None else _from_catalog(self._config)
        if self._config is not None and self._trial:
            self._delay.start(DELAY_MS)
        self._show()
        self.show()

    def stop(self) -> None:
        """End a running estimate; what it found out stays."""
        self._delay.stop()
        self._watch.stop()
        _end(self._running)

    def busy(self) -> bool:
        """Whether an estimate is being made, or about to be."""
        return bool(self._running) or self._delay.isActive()

    def _begin(self) -> None:
        if self._config is None:
            return
        try:
            self._running.append(EstimateProcess(self._config, self._command))
        except OSError as error:
            self.found = Estimate(done=True, warnings=(f"No estimate: {error}",))
        else:
            self._watch.start(POLL_MS)
        self._show()

    def _look(self) -> None:
        found, ended = self._running[-1].poll() if self._running else (None, True)
        if ended:
            self.stop()
        if self._config is None:
            return
        if found is not None:
            found = found.replace(epochs=self._config.epochs)
        if ended or (found is not None and found != self.found):
            self.found = found or self.found
            self._show()
            self.changed.emit()

    def _show(self) -> None:
        found = self.found
        self.facts.setText(" · ".join(found.facts()))
        self.facts.setVisible(bool(found.facts()))
        self.who.setText("\n".join(found.who()))
        self.who.setVisible(bool(found.who()))
        warnings = list(found.warnings)
        if found.too_large and not any("more memory" in one for one in warnings):
            warnings.append(
                f"That is more memory than is free ({found.free_mib / 1024:.1f} GiB): "
                "lower batch_size, turn on checkpointing, or take a smaller backbone."
            )
        self.warning.say("\n".join(warnings), "doubt")
        self.state.setText(self._say_state())
        idle = self._config is not None and not self.busy()
        self.again.setVisible(idle and self._trial)

    def _say_state(self) -> str:
        if self._config is None:
            return ""
        if self.busy():
            where = self.found.device
            return f"Trying some training steps on {where}…" if where else "Estimating…"
        if self.found.epoch_s is None:
            return ""
        return f"Estimated from some training steps on {self.found.device}."


def _from_catalog(config: AnyEstimateConfig) -> Estimate:
    """Return what is known at once: the parameters of an entry without options."""
    if not isinstance(config, EstimateConfig):
        return Estimate(epochs=config.epochs)
    backbone, full = config.backbone, config.tuning.name == "full"
    changed = backbone.options.model_dump(exclude_defaults=True)
    count = 0 if changed else int(backbone.entry.facts.get("parameters", 0))
    trainable = count if full else 0
    return Estimate(parameters=count, trainable=trainable, epochs=config.epochs)


def _key(config: AnyEstimateConfig | None) -> dict[str, Any] | None:
    if config is None:
        return None
    return config.model_dump(mode="json", exclude=_NO_MATTER)


def _end(running: list[EstimateProcess], gone: object = None) -> None:
    while running:
        running.pop().end()


def estimate_config(kind: type[AnyConfig], values: dict[str, Any]) -> AnyConfig | None:
    """Return the settings of an estimate from those of a form, or None.

    Parameters
    ----------
    kind
        For which training.
    values
        What is filled in, by field name. A cohort that is not there yet is left out:
        then only the parameters are counted.
    """
    given = {name: value for name, value in values.items() if name != "output"}
    if "cohort" in given and not given["cohort"].exists():
        del given["cohort"]
    try:
        return kind.parse(given)
    except ConfigError:
        return None
