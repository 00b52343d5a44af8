"""Refuse an alignment that cannot be right."""

from __future__ import annotations

from napari_neuropretrain.errors import RegistrationError
from napari_neuropretrain.preprocessing.registration import Registration

MIN_DICE = 0.80
MIN_CORRELATION = 0.40
"""Real scans reach 0.5 to 0.65; upside down or back to front, they stay under 0.37."""
SCALE_RANGE = (0.6, 1.6)


def check_registration(registration: Registration, name: str) -> None:
    """Refuse an alignment that cannot be right.

    Raises
    ------
    RegistrationError
        If the overlap, the correlation or a scale is out of range; says which.
    """
    scales = registration.scales
    low, high = SCALE_RANGE
    if (
        registration.dice >= MIN_DICE
        and registration.correlation >= MIN_CORRELATION
        and low <= min(scales)
        and max(scales) <= high
    ):
        return
    stretched = ", ".join(f"{scale:.2f}" for scale in scales)
    raise RegistrationError(
        f"{name} could not be aligned with the MNI152 template: Dice of the brain "
        f"masks {registration.dice:.2f} (at least {MIN_DICE:.2f} is needed), "
        f"correlation {registration.correlation:.2f} (at least {MIN_CORRELATION:.2f}), "
        f"scales {stretched} ({low} to {high}). Look at the scan: it must be "
        "T1-weighted, show the whole brain, and have a header with the true "
        "orientation."
    )
