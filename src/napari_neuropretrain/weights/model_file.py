"""Our model files: safetensors with a card (``model.json``) beside them."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from napari_neuropretrain import __version__
from napari_neuropretrain.backbones.parameters import count_parameters
from napari_neuropretrain.config.base import write_bytes, write_text
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.errors import CheckpointError, ConfigError
from napari_neuropretrain.weights.model_card import ModelCard

WEIGHTS, CARD = "model.safetensors", "model.json"
_SHOWN = 3
_PACKAGE = "napari-neuropretrain"


def save_model(
    path: str | os.PathLike[str], network: nn.Module, card: ModelCard
) -> Path:
    """Write the weights and the card, each whole or not at all.

    Parameters
    ----------
    path
        A run folder, or a file name that ends in ``.safetensors``.
    network
        Its parameters and buffers are written from wherever they are.
    card
        Hash, time, versions and parameter count are filled in here.

    Returns
    -------
    Path
        The safetensors file.
    """
    weights, beside = _paths(Path(path))
    data = tensors_to_bytes(network.state_dict())
    filled = card.replace(
        sha256=hashlib.sha256(data).hexdigest(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=software_versions(),
        parameters=count_parameters(network),
    )
    write_bytes(weights, data)
    text = json.dumps(filled.model_dump(mode="json"), indent=2, ensure_ascii=False)
    write_text(beside, text + "\n")
    return weights


def load_model(path: str | os.PathLike[str]) -> tuple[nn.Module, ModelCard]:
    """Load a model, ready for evaluation, on the CPU.

    Parameters
    ----------
    path
        The ``.safetensors`` file, or the run folder that holds it.

    Raises
    ------
    CheckpointError
        If a file is missing, of another kind or damaged, or its network is not
        known here.
    """
    weights, beside = _find(Path(path))
    card = read_card(beside)
    data = weights.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != card.sha256:
        raise CheckpointError(
            f"'{weights}' is damaged or was exchanged: its SHA-256 is {found[:12]}…, "
            f"but '{beside.name}' says {card.sha256[:12]}…. Copy both files again "
            "from where the model was trained."
        )
    try:
        network: nn.Module = card.backbone.build()
    except ConfigError as error:
        raise CheckpointError(
            f"'{beside}' describes a network that this version does not know. {error}"
        ) from None
    load_tensors(network, _tensors(weights, data), str(weights))
    return network.eval(), card


def read_card(path: Path) -> ModelCard:
    """Read a ``model.json``; `CheckpointError` says what is wrong with it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"Cannot read the model card '{path}': {error}") from None
    kind = values.get("format") if isinstance(values, dict) else None
    if kind != ModelCard.model_fields["format"].default:
        raise CheckpointError(
            f"'{path}' is not a model card of napari-neuropretrain. Give a model that "
            "neuropretrain finetune wrote."
        )
    _check_contract(path, values)
    try:
        return ModelCard.parse(values, f"'{path}'")
    except ConfigError as error:
        raise CheckpointError(
            f"The model card is of another version or was edited. {error}"
        ) from None


def _check_contract(path: Path, values: Mapping[str, Any]) -> None:
    """Refuse a model whose scans were preprocessed by other steps than ours."""
    contract = values.get("contract")
    given = contract.get("version") if isinstance(contract, Mapping) else None
    own = PreprocessingContract.model_fields["version"].default
    if given == own:
        return
    versions = values.get("versions")
    maker = versions.get(_PACKAGE) if isinstance(versions, Mapping) else None
    used = f" ({_PACKAGE} {maker})" if maker else ""
    raise CheckpointError(
        f"The model of '{path}' needs scans preprocessed by version {given} of the "
        f"preprocessing, and this {_PACKAGE} {__version__} has version {own}. Use the "
        f"version that trained it{used}, or train it again with this one."
    )


def load_tensors(network: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Copy tensors into a network, all of them or none.

    Raises
    ------
    CheckpointError
        If names or shapes differ, listing the first of each kind.
    """
    own = network.state_dict()
    shared = own.keys() & tensors.keys()
    problems = {
        "missing": sorted(own.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - own.keys()),
        "of another shape": sorted(
            name for name in shared if own[name].shape != tensors[name].shape
        ),
    }
    if any(problems.values()):
        listed = "; ".join(
            f"{len(names)} {kind} ({', '.join(names[:_SHOWN])}"
            + (", …)" if len(names) > _SHOWN else ")")
            for kind, names in problems.items()
            if names
        )
        raise CheckpointError(
            f"The weights in '{source}' do not fit the network: of {len(own)} tensors "
            f"{len(shared)} match by name; {listed}. Was the card exchanged?"
        )
    network.load_state_dict(tensors, strict=True)


def tensors_to_bytes(tensors: dict[str, Tensor]) -> bytes:
    """Return tensors as the bytes of a safetensors file."""
    plain = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in tensors.items()
    }
    metadata = {"format": "pt", "made_by": f"napari-neuropretrain {__version__}"}
    return bytes(safetensors.torch.save(plain, metadata))


def software_versions() -> dict[str, str]:
    """Return the versions that a result can depend on."""
    found = {"napari-neuropretrain": __version__, "python": platform.python_version()}
    for name in ("torch", "monai", "lightning", "numpy", "antspyx"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | {"torch": str(torch.__version__)}


def _paths(path: Path) -> tuple[Path, Path]:
    """Return where weights and card go, for a folder or a file name."""
    if path.suffix == ".safetensors":
        return path, path.with_suffix(".json")
    return path / WEIGHTS, path / CARD


def find_model(path: Path) -> Path:
    """Return the weights of a model at a file or run folder.

    Raises
    ------
    CheckpointError
        If there is none, saying what is missing.
    """
    return _find(path)[0]


def _find(path: Path) -> tuple[Path, Path]:
    """Return the existing weights and card, or say what is missing."""
    if not path.exists():
        raise CheckpointError(
            f"There is no model at '{path}'. Give a .safetensors file or the run "
            "folder of a fine-tuning."
        )
    if path.is_file() and path.suffix != ".safetensors":
        raise CheckpointError(
            f"'{path}' is not a model of napari-neuropretrain: it ends in "
            f"'{path.suffix}', and models are .safetensors files with a .json beside "
            "them. Files such as .pt and .ckpt can run code when opened and are not "
            "read. Give the model.safetensors that neuropretrain finetune wrote."
        )
    weights, beside = _paths(path)
    if not weights.is_file():
        raise CheckpointError(
            f"The folder '{path}' holds no {WEIGHTS}. Give the run folder of a "
            "finished neuropretrain finetune."
        )
    if not beside.is_file():
        raise CheckpointError(
            f"'{weights}' has no '{beside.name}' beside it, which says how its input "
            "must be preprocessed. Copy both files together."
        )
    return weights, beside


def _tensors(path: Path, data: bytes) -> dict[str, Any]:
    try:
        return dict(safetensors.torch.load(data))
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"'{path}' is not a safetensors file: {error}") from None
