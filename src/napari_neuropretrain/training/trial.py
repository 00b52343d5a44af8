"""What an estimate runs in a process of its own: build, check, and try some steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import torch
from torch import nn

from napari_neuropretrain.config.choice import Choice, fit_backbone
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.estimate import EstimateConfig, PretrainEstimateConfig
from napari_neuropretrain.training.findings import Findings
from napari_neuropretrain.training.pretrain_module import PretrainModule
from napari_neuropretrain.training.probe import Probe
from napari_neuropretrain.training.speed import choose_precision
from napari_neuropretrain.training.task_module import TaskModule
from napari_neuropretrain.weights.device import find_device
from napari_neuropretrain.weights.initial import check_initial_weights

AnyEstimate = TypeVar("AnyEstimate", EstimateConfig, PretrainEstimateConfig)


class Trial(ABC, Generic[AnyEstimate]):
    """Find out more and more about a training.

    Parameters
    ----------
    config
        Its settings.
    """

    def __init__(self, config: AnyEstimate) -> None:
        self.config: AnyEstimate = config
        self.findings = Findings(config.epochs)

    def run(self) -> None:
        """Say what is known after each step.

        Raises
        ------
        NeuropretrainError
            If the settings cannot be trained with.
        """
        config = self.config
        device = find_device(config.device)
        precision = choose_precision(config.precision, device)
        torch.set_num_threads(config.threads)
        shape, contract = self.open()
        backbone = fit_backbone(config.backbone, shape)
        with torch.device("meta"):
            parameters, trainable = self.count(backbone)
        self.findings.tell(shape=shape, parameters=parameters, trainable=trainable)
        self._check_weights(backbone, contract)
        if self.divide() and config.probe_seconds:
            module = self.module(backbone)
            self.findings.tell(device=str(device))
            probe = Probe(config, module, device, precision)
            for changes in probe.steps(self.findings.found):
                self.findings.tell(**changes)
        self.findings.tell(done=True)

    @abstractmethod
    def open(self) -> tuple[tuple[int, int, int], PreprocessingContract | None]:
        """Open the data; return the voxels of its volumes, and how they are made."""

    @abstractmethod
    def count(self, backbone: Choice) -> tuple[int, int]:
        """Build the network without its numbers; return how many, and that learn."""

    @abstractmethod
    def divide(self) -> bool:
        """Divide the data as the training would; whether there is any."""

    @abstractmethod
    def module(self, backbone: Choice) -> TaskModule | PretrainModule:
        """Build what would be trained, not compiled."""

    def _check_weights(
        self, backbone: Choice, contract: PreprocessingContract | None
    ) -> None:
        weights = self.config.initial_weights
        if weights:
            with torch.device("meta"):
                network: nn.Module = backbone.entry.load()(backbone.options)
            notes = check_initial_weights(network, weights, backbone.name, contract)
            self.findings.tell(notes)
