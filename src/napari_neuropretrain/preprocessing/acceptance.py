"""Refuse an alignment that cannot be right, and say in words what is wrong."""

from __future__ import annotations

from napari_neuropretrain.errors import RegistrationError
from napari_neuropretrain.preprocessing.agreement import Registration

# The limits rest on IXI scans, two whole heads near 1 mm, a DICOM series and an MGZ
# (the right ones below), and on alignments of them that were made wrong on purpose:
# started upside down or back to front, inverted grey values, cut fields of view.
MIN_COVERAGE = 0.85
"""Without the lower half of the cerebellum it is 0.93, with half a brain 0.4 to 0.6."""
MIN_OVERLAP = 0.85
"""Right ones have 0.95 to 0.99."""
MIN_CORRELATION = 0.35
"""Right ones have 0.40 to 0.64; turned the wrong way at most 0.30; inverted -0.3."""
SCALE_RANGE = (0.7, 1.5)
"""Right ones have 0.95 to 1.35; children and small heads need more."""
MAX_SCALE_RATIO = 1.45
"""Of two axes. Right ones have up to 1.30."""
MAX_ROTATION_DEGREES = 60.0
"""Right ones have up to 32. A head on its side has a header with swapped axes, which
may have swapped left and right, too."""
LIMITS = {
    "MinCoverage": MIN_COVERAGE,
    "MinOverlap": MIN_OVERLAP,
    "MinCorrelation": MIN_CORRELATION,
    "ScaleRange": SCALE_RANGE,
    "MaxScaleRatio": MAX_SCALE_RATIO,
    "MaxRotationDegrees": MAX_ROTATION_DEGREES,
}


def check_registration(registration: Registration, name: str) -> None:
    """Refuse an alignment that cannot be right.

    Parameters
    ----------
    registration
        What `register_to_template` found.
    name
        The scan, as the message shall name it.

    Raises
    ------
    RegistrationError
        If too little of the brain is in view, or the overlap, the scales or the
        correlation are not those of a T1-weighted brain; says which.
    """
    reason = (
        _part_missing(registration)
        or _lies_otherwise(registration)
        or _does_not_fit(registration)
        or _looks_different(registration)
    )
    if not reason:
        return
    scales = ", ".join(f"{scale:.2f}" for scale in registration.scales)
    raise RegistrationError(
        f"{name} could not be aligned with the MNI152 template: {reason} "
        f"(Dice of the brain masks {registration.dice:.2f}, correlation "
        f"{registration.correlation:.2f}, scales {scales}, "
        f"{registration.coverage:.0%} of the brain in view.)"
    )


def _part_missing(found: Registration) -> str:
    if found.coverage >= MIN_COVERAGE:
        return ""
    return (
        f"it shows {found.coverage:.0%} of the brain ({MIN_COVERAGE:.0%} is needed); "
        f"the {found.missing} of the brain is missing. Give a scan whose field of view "
        "holds the whole brain."
    )


def _lies_otherwise(found: Registration) -> str:
    if not found.posture:
        return ""
    return (
        f"the head lies {found.posture}. The header must give the true orientation; it "
        "does not, and left and right cannot be trusted either."
    )


def _does_not_fit(found: Registration) -> str:
    low, high = SCALE_RANGE
    scales = found.scales
    if found.overlap < MIN_OVERLAP:
        return (
            f"{found.overlap:.0%} of the brain lies in the template's, and "
            f"{MIN_OVERLAP:.0%} is needed. Look at the brain mask, and at the header: "
            "its orientation must be the true one."
        )
    if min(scales) < low or max(scales) > high:
        return (
            f"it would have to be stretched beyond {low} to {high}. Check the voxel "
            "size in the header, and that the scan shows one human brain."
        )
    if max(scales) > MAX_SCALE_RATIO * min(scales):
        return (
            f"it would have to be stretched {max(scales) / min(scales):.2f} times more "
            f"along one axis than along another (up to {MAX_SCALE_RATIO} is usual). "
            "Check the voxel size in the header and the brain mask."
        )
    if found.rotation_degrees > MAX_ROTATION_DEGREES:
        return (
            f"the head would have to be turned by {found.rotation_degrees:.0f} degrees "
            f"(up to {MAX_ROTATION_DEGREES:.0f} is taken). The header seems to give a "
            "wrong orientation, and with it left and right cannot be trusted."
        )
    return ""


def _looks_different(found: Registration) -> str:
    if found.likeness >= MIN_CORRELATION:
        return ""
    if found.likeness < 0:
        return (
            "the brain is dark where a T1-weighted one is bright. Give a T1-weighted "
            "scan; this looks like another contrast, or inverted grey values."
        )
    return (
        f"inside the brain it does not look like the template (correlation "
        f"{found.likeness:.2f}, at least {MIN_CORRELATION:.2f} is needed). The scan "
        "must be T1-weighted, and its header must give the true orientation: a head "
        "stored upside down or back to front ends here, too."
    )
