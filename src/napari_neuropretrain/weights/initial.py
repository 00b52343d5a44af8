"""Start a network from pre-trained weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import nn

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS
from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.weights.coverage import THRESHOLD, Coverage
from napari_neuropretrain.weights.encoder_file import read_json
from napari_neuropretrain.weights.importing import warnings_of
from napari_neuropretrain.weights.model_file import CARD
from napari_neuropretrain.weights.search import best_fit
from napari_neuropretrain.weights.sources import card_of, read_source
from napari_neuropretrain.weights.target import target_of


def load_initial_weights(
    network: nn.Module, source: str, report: Report, threshold: float = THRESHOLD
) -> Coverage:
    """Fill everything but the head of a network.

    Parameters
    ----------
    network
        A backbone; changed in place, on whatever device it is.
    source
        An imported encoder (.safetensors), a model file or run folder of ours (its
        head is dropped), or the name of known weights that were pulled.
    report
        Hears licence, intended preprocessing, coverage, and a warning for tensors
        that stay random.
    threshold
        Smallest share of values and of tensors that must be filled.

    Returns
    -------
    Coverage
        What became of each tensor; with source and licence, for the card of a model
        that is trained from it.

    Raises
    ------
    CheckpointError
        If the source cannot be used or fills too little; the network is unchanged.
    """
    found = read_source(source)
    target = target_of(network)
    fitted = best_fit(found.tensors, target, found.layout, found.geometry)
    fitted.coverage.require(threshold, source)
    report(Progress("item_done", found.about))
    network.load_state_dict(fitted.tensors, strict=False)
    summary = fitted.coverage.summary()
    report(Progress("item_done", f"Initial weights from {found.name}: {summary}."))
    for line in warnings_of(fitted.coverage):
        report(Progress("warning", line))
    return replace(fitted.coverage, source=found.name, licence=found.licence)


def check_initial_weights(
    network: nn.Module,
    source: str,
    backbone: str = "",
    contract: PreprocessingContract | None = None,
) -> tuple[str, ...]:
    """Check that weights fill a network, and change nothing.

    Parameters
    ----------
    network
        A backbone; its tensors may be without numbers (the device ``meta``).
    source
        As for `load_initial_weights`.
    backbone
        Catalog name of the network, for the message.
    contract
        Preprocessing of the volumes that will be trained on.

    Returns
    -------
    tuple of str
        What a person should know: tensors that stay random, other preprocessing.

    Raises
    ------
    CheckpointError
        If `load_initial_weights` would raise it.
    """
    known = None if Path(source).exists() else KNOWN_WEIGHTS.get(source)
    if known is not None and backbone and known.backbone != backbone:
        raise CheckpointError(
            f"The weights '{source}' belong to the backbone '{known.backbone}', not to "
            f"'{backbone}'. Choose that backbone, or other weights."
        )
    found = read_source(source)
    other = f" (made for '{found.backbone}')" if found.backbone != backbone else ""
    fitted = best_fit(found.tensors, target_of(network), found.layout, found.geometry)
    fitted.coverage.require(THRESHOLD, f"{source}{other}", backbone)
    notes = warnings_of(fitted.coverage)
    if contract and found.contract and (others := contract.differences(found.contract)):
        notes.append(f"The initial weights learned otherwise: {'; '.join(others)}.")
    return tuple(notes)


def licence_of(source: str) -> str:
    """Return the licence of initial weights for the card of what starts from them.

    Parameters
    ----------
    source
        As for `load_initial_weights`; may be empty.

    Returns
    -------
    str
        Empty where there are no weights, or nothing is known about them.
    """
    if not source:
        return ""
    try:
        licence = _read_licence(source)
    except CheckpointError:
        licence = ""
    return f"of the initial weights: {licence}" if licence else ""


def _read_licence(source: str) -> str:
    path = Path(source)
    if not path.exists() and source in KNOWN_WEIGHTS:
        return KNOWN_WEIGHTS[source].licence
    card = path / CARD if path.is_dir() else card_of(path)
    return str(read_json(card).get("licence", ""))
