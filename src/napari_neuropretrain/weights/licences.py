"""Say what may be done with known weights, before they are used."""

from __future__ import annotations

from napari_neuropretrain.config.weights_catalog import KnownWeights
from napari_neuropretrain.errors import ConfigError


def describe_terms(known: KnownWeights) -> str:
    """Write licence, intended preprocessing and origin, one line each."""
    lines = [
        f"{known.name}: {known.title}",
        f"  licence: {known.licence}",
        f"  intended preprocessing: {known.preprocessing}",
        f"  input shape of the pre-training: {known.shape or 'not known'}",
        f"  trained on: {known.trained_on}",
        f"  cite: {known.citation}",
        f"  page: {known.page}",
        f"  published hash: {known.hash or 'none'}",
        f"  note: {known.note}" if known.note else "",
    ]
    return "\n".join(line for line in lines if line)


def require_consent(known: KnownWeights, accepted: bool) -> None:
    """Check that a restrictive licence was accepted.

    Raises
    ------
    ConfigError
        If it was not.
    """
    if known.needs_consent and not accepted:
        raise ConfigError(
            f"The licence of '{known.name}' is: {known.licence}. Read {known.page}; "
            "if it allows what you want to do, add --accept-licence."
        )
