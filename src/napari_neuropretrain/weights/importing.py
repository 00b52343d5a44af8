"""The command ``weights import``: a checkpoint of others becomes an encoder of ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.config.weights import ImportConfig
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS, KnownWeights
from napari_neuropretrain.config.weights_importers import IMPORTERS
from napari_neuropretrain.errors import CheckpointError, ConfigError
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.weights.cache import pulled_file
from napari_neuropretrain.weights.checkpoint_files import hash_file, read_checkpoint
from napari_neuropretrain.weights.coverage import Coverage
from napari_neuropretrain.weights.encoder_file import EncoderCard, save_encoder
from napari_neuropretrain.weights.fitting import Fitted
from napari_neuropretrain.weights.guessing import (
    Candidate,
    layout_of,
    outline_network,
    rank_candidates,
)
from napari_neuropretrain.weights.licences import describe_terms, require_consent
from napari_neuropretrain.weights.model_card import Part
from napari_neuropretrain.weights.search import best_fit
from napari_neuropretrain.weights.target import target_of

AUTO = "auto"


def import_weights(config: ImportConfig, report: Report) -> Outcome:
    """Read a checkpoint safely, rename and reshape it, and write an encoder.

    Parameters
    ----------
    config
        The file, and for which network.
    report
        Hears licence, intended preprocessing and coverage.

    Raises
    ------
    ConfigError
        If a name or an option is wrong, or the licence was not accepted.
    CheckpointError
        If the file cannot be read, or fills too little of the network.
    """
    output = _check_output(config)
    path, known = _find(config.file)
    if known is not None:
        report(Progress("item_done", describe_terms(known)))
        require_consent(known, config.accept_licence or path != config.file)
    content = read_checkpoint(path)
    chosen, options = _choose(config, known, content)
    fitted = fit_known(content, chosen.importer, chosen.backbone, options)
    fitted.coverage.require(config.threshold, str(path), chosen.backbone)
    report(Progress("item_done", fitted.coverage.describe()))
    for line in warnings_of(fitted.coverage):
        report(Progress("warning", line))
    card = _card(config, path, known, chosen, options, fitted.coverage)
    save_encoder(output, fitted.tensors, card)
    return Outcome(
        f"Imported '{path.name}' for the backbone '{chosen.backbone}' with the "
        f"importer '{chosen.importer}': {fitted.coverage.summary()}.",
        results={"encoder": str(output), "card": str(output.with_suffix(".json"))},
    )


def fit_known(
    content: Any, importer: str, backbone: str, options: Config | None = None
) -> Fitted:
    """Fit what a file holds into a backbone of the catalog."""
    target = target_of(outline_network(backbone, options))
    return best_fit(content, target, layout_of(importer))


def warnings_of(coverage: Coverage) -> list[str]:
    """Say what stays random although it should not."""
    names = [*coverage.missing, *coverage.misshapen]
    if not names:
        return []
    more = ", …" if len(names) > 4 else ""
    return [
        f"{len(names)} of {coverage.tensors_total} tensors are not in the file and "
        f"start at random: {', '.join(names[:4])}{more}"
    ]


def _check_output(config: ImportConfig) -> Path:
    output = Path(config.output)
    if output.suffix != ".safetensors":
        raise ConfigError(f"output: '{output}' must end in .safetensors.")
    if output.exists() and not config.overwrite:
        raise ConfigError(f"output: '{output}' exists. Add --overwrite to replace it.")
    return output


def _find(given: Path) -> tuple[Path, KnownWeights | None]:
    """Return the file, and its entry where it is a known one."""
    if not given.exists() and str(given) in KNOWN_WEIGHTS:
        known = KNOWN_WEIGHTS[str(given)]
        return pulled_file(known), known
    by_name = {known.file: known for known in KNOWN_WEIGHTS.values()}
    return given, by_name.get(given.name)


def _choose(
    config: ImportConfig, known: KnownWeights | None, content: Any
) -> tuple[Candidate, Config | None]:
    """Settle importer, backbone and its options."""
    importers, backbones = [], []
    if config.importer != AUTO:
        importers = [IMPORTERS[config.importer].name]
    elif known is not None:
        importers = [known.importer]
    if config.backbone:
        backbones = [BACKBONES[config.backbone].name]
    elif known is not None and known.importer in importers:
        backbones = [known.backbone]
    options = _options(config, backbones)
    ranked = rank_candidates(content, importers, backbones, options)
    if not ranked[0].coverage.matched:
        raise CheckpointError(
            f"'{config.file}' fits none of the backbones: no tensor has a name that "
            "is expected. See what is in it with: neuropretrain weights inspect "
            f"{config.file}"
        )
    return ranked[0], options


def _options(config: ImportConfig, backbones: list[str]) -> Config | None:
    if not config.options:
        return None
    if not backbones:
        raise ConfigError("options: name the backbone, too, with --backbone.")
    try:
        values = yaml.safe_load(config.options)
    except yaml.YAMLError as error:
        raise ConfigError(f"options: '{config.options}' is not YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"options: give {{name: value}}, not '{config.options}'.")
    entry = BACKBONES[backbones[0]]
    return entry.options.parse(values, f"the options of '{entry.name}'")


def _card(
    config: ImportConfig,
    path: Path,
    known: KnownWeights | None,
    chosen: Candidate,
    options: Config | None,
    coverage: Coverage,
) -> EncoderCard:
    entry = BACKBONES[chosen.backbone]
    written = (options or entry.options()).model_dump(mode="json")
    about = {"title": path.name}
    if known is not None:
        fields = ("title", "preprocessing", "shape", "trained_on", "citation", "note")
        about = {name: getattr(known, name) for name in fields}
    return EncoderCard(
        **about,
        backbone=Part(catalog="backbones", name=chosen.backbone, options=written),
        importer=chosen.importer,
        source=config.source or (known.url if known else path.name),
        source_sha256=hash_file(path),
        known_as=known.name if known else "",
        licence=config.licence or (known.licence if known else "not known"),
        coverage=replace(coverage).as_dict(),
        parameters=coverage.values_filled,
    )
