"""Take the mean error on the training volumes off the output of a trained network.

Batch normalisation with a few volumes in a batch sees statistics that jump from step
to step. The network learns to be right under that noise; with the even statistics of
its use its output is shifted, for everyone alike. A brain age network trained in
batches of four said 4 to 7 years too much of its own training set. The shift is known
from the training volumes alone, so nothing of validation or test is used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_neuropretrain.training.study import Study
from napari_neuropretrain.training.task import Task


def settle_output(
    network: nn.Module, task: Task, study: Study, logits: Tensor
) -> tuple[Tensor, float]:
    """Shift the output of a network for numbers so that it is right on average.

    Parameters
    ----------
    network
        Changed in place: the bias of its last layer.
    task, study
        What was learned, and from whom. Networks for groups stay as they are: their
        threshold is fitted on the validation set.
    logits
        Outputs (N,) for every scan of the study.

    Returns
    -------
    logits
        As the network gives them now.
    offset
        What was taken off, in the unit of the label.
    """
    bias = _last_bias(network)
    if task.kind != "regression" or bias is None:
        return logits, 0.0
    targets = study.scale.standardise(study.labels_of("train"))
    offset = (logits[study.members("train")] - targets).mean()
    with torch.no_grad():
        bias.sub_(offset.to(bias))
    return logits - offset, float(offset) * study.scale.sd


def _last_bias(network: nn.Module) -> nn.Parameter | None:
    """Return the bias of the layer that makes the output."""
    head = network.get_submodule(str(network.head_name))
    layers = [one for one in head.modules() if isinstance(one, nn.Linear | nn.Conv3d)]
    bias = layers[-1].bias if layers else None
    return bias if isinstance(bias, nn.Parameter) else None
