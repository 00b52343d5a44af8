"""Settings of the commands about weights and models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.registry import Registry


class PullConfig(Config):
    """Download known weights into the cache, and check them."""

    name: str
    """Name of the weights, see neuropretrain weights list; may stand first, bare."""
    accept_licence: bool = False
    """You have read the licence shown, and it allows what you want to do."""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{64})?$")] = ""
    """Hash the file must have, where you know it from elsewhere."""
    unverified: bool = False
    """Take the file although no hash of it is published."""


class ImportConfig(Config):
    """Turn a checkpoint of others into an encoder that training can start from."""

    file: Path
    """A checkpoint, or the name of pulled weights; may stand first, bare."""
    output: Annotated[Path, Field(json_schema_extra={"path": "output"})]
    """The file to write, ending in .safetensors; its card is written beside it."""
    importer: str = "auto"
    """How the file names its tensors; auto takes what fits best."""
    backbone: str = ""
    """Catalog name of the network; empty means the importer's own."""
    options: str = ""
    """Options of the network as YAML, for example {window: [4, 7, 7]}."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Smallest share of the network, without its head, that the file must fill."""
    licence: str = ""
    """Licence of the file, where it is not a known one; written into the card."""
    source: str = ""
    """Where the file is from; written into the card."""
    accept_licence: bool = False
    """You have read the licence of the known weights, and it allows your use."""
    overwrite: bool = False
    """Replace an existing output."""


class InspectConfig(Config):
    """Show what is in a model, an encoder or any checkpoint."""

    file: Path
    """A model, a run folder, an encoder, a checkpoint or known weights; may stand
    first, bare."""
    json_output: bool = False
    """Print the card as JSON."""
    names: Annotated[int, Field(ge=0, le=100_000)] = 12
    """Tensor names to list for a checkpoint of others."""


_WEIGHTS = "napari_neuropretrain.weights."

WEIGHTS_COMMANDS = Registry("command")
WEIGHTS_COMMANDS.register(
    "pull",
    "Download known weights, and check them",
    PullConfig,
    _WEIGHTS + "pulling:pull",
)
WEIGHTS_COMMANDS.register(
    "import",
    "Turn a checkpoint of others into an encoder of ours",
    ImportConfig,
    _WEIGHTS + "importing:import_weights",
)
WEIGHTS_COMMANDS.register(
    "inspect",
    "Show what is in a file of weights",
    InspectConfig,
    _WEIGHTS + "inspection:inspect",
)
