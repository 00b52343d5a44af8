"""Lightning's trainer, as all trainings of this project want it."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as lightning
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from napari_neuropretrain.training.distributed import Processes


def make_trainer(
    callbacks: list[lightning.Callback], processes: Processes, **settings: Any
) -> lightning.Trainer:
    """Return a trainer that neither logs, nor prints, nor writes by itself.

    Parameters
    ----------
    callbacks
        In the order in which they are called.
    processes
        That train together.
    settings
        Of Lightning's own.
    """
    return lightning.Trainer(
        **_places(processes),
        **settings,
        callbacks=callbacks,
        # 3D pooling has no deterministic backward on CUDA; elsewhere all is exact.
        deterministic="warn",
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _places(processes: Processes) -> dict[str, Any]:
    """Return what Lightning must know of devices and processes."""
    device, ranks = processes.device, processes.ranks
    if ranks.world == 1:
        index = [device.index or 0] if device.type == "cuda" else 1
        return {"accelerator": device.type, "devices": index}
    # A strategy may let parts learn later, and methods leave parts unused.
    strategy = DDPStrategy(
        cluster_environment=LightningEnvironment(), find_unused_parameters=True
    )
    return {
        "accelerator": device.type,
        "devices": ranks.devices,
        "num_nodes": ranks.nodes,
        "strategy": strategy,
        "use_distributed_sampler": False,
        # torch has none for CPUs.
        "sync_batchnorm": device.type == "cuda",
    }
