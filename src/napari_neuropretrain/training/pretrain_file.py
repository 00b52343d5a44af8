"""Write what a pre-training has learned, and from whom."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from torch import nn

from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.config.contract import name_shape
from napari_neuropretrain.config.trainings import PretrainConfig
from napari_neuropretrain.training.fit_settings import Fit
from napari_neuropretrain.training.pretrain_cohort import PretrainCohort
from napari_neuropretrain.weights.ancestry import cohorts_behind
from napari_neuropretrain.weights.card_text import describe_contract
from napari_neuropretrain.weights.encoder_file import (
    ENCODER,
    EncoderCard,
    save_encoder,
)
from napari_neuropretrain.weights.initial import licence_of
from napari_neuropretrain.weights.model_card import Part, summarise_cohort
from napari_neuropretrain.weights.target import target_of


def save_pretrained(
    config: PretrainConfig,
    backbone: Choice,
    encoder: nn.Module,
    cohort: PretrainCohort,
    trained: Fit,
) -> Path:
    """Write the encoder without its head, as `load_initial_weights` reads it.

    Parameters
    ----------
    config
        Where to write, and what goes into the card.
    backbone
        As it was built, with the shape of these volumes.
    encoder
        With the best weights.
    cohort, trained
        From whom it learned, and how it went.

    Returns
    -------
    Path
        The safetensors file; its card is beside it.
    """
    target, state = target_of(encoder), encoder.cpu().state_dict()
    tensors = {name: state[name] for name in (*target.shapes, *sorted(target.counters))}
    filled = target.count(target.shapes)
    contract, shape = cohort.source.contract, cohort.source.shape
    scans = [one for one in cohort.scans if one.key in cohort.parts]
    summary = summarise_cohort(
        (one.participant, cohort.parts[one.key], one.row) for one in scans
    )
    people = sum(summary.participants.values())
    skipped = {"cohort", "output", "backbone", "overwrite"}
    settings = config.model_dump(mode="json", exclude=skipped)
    # Written out, so that a later change of a default cannot change what was done.
    options = config.method.options.model_dump(mode="json")
    settings |= {"method": {"name": config.method.name, **options}}
    found = {"best_epoch": trained.best_epoch, "epochs_run": trained.epochs}
    found |= {"batch_size_used": trained.pace.batch_size}
    card = EncoderCard(
        title=f"{backbone.name} pre-trained by {config.method.name}",
        backbone=_part(backbone),
        importer="ours",
        source=f"neuropretrain pretrain, method {config.method.name}",
        source_sha256=cohort.digest(),
        licence=licence_of(config.initial_weights) or "not stated",
        preprocessing=describe_contract(contract) if contract else "no MRI: z-scored",
        shape=name_shape(shape),
        trained_on=_trained_on(config, len(scans), people),
        contract=contract,
        cohort=summary,
        earlier_cohorts=cohorts_behind(config.initial_weights),
        training=settings
        | found
        | {"validation_loss": trained.validation_loss, "cost": asdict(trained.cost)},
        coverage={
            "matched": sorted(tensors),
            "values_filled": filled,
            "values_total": filled,
        },
        parameters=filled,
    )
    return save_encoder(Path(config.output) / ENCODER, tensors, card)


def _trained_on(config: PretrainConfig, volumes: int, people: int) -> str:
    if config.source.name == "cohort":
        return f"{volumes} scans of {people} participants"
    return f"{volumes} volumes of the source {config.source.name}"


def _part(choice: Choice) -> Part:
    options = choice.options.model_dump(mode="json")
    return Part.parse({"catalog": "backbones", "name": choice.name, "options": options})
