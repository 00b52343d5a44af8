"""What speaks for and against a map, in plain words. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CAUTION = "A map shows what this network used, not what the disease is."
NOTHING = "Nothing is known about how this map was made: no explanation lies beside it."


def trust_sentences(explanation: Mapping[str, Any]) -> list[str]:
    """Say what the checks of a map found, and what it cannot show.

    Parameters
    ----------
    explanation
        As in ``_explanation.json``.

    Examples
    --------
    >>> trust_sentences({})[0] == NOTHING
    True
    """
    if not explanation:
        return [NOTHING, CAUTION]
    said = []
    if explanation.get("complete") is False:
        said.append("The map is not complete: the run was stopped, or its time was up.")
    checks = explanation.get("checks")
    if not checks:
        return [*said, "It was not checked. Run Explain again with Checks.", CAUTION]
    said += [_randomised(checks), _patches(checks), *_deletion(checks, explanation)]
    said.append(_outside(checks))
    return [*(one for one in said if one), CAUTION]


def verdict(explanation: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the doubts about a map in words, and whether there are any."""
    checks = explanation.get("checks")
    if not checks:
        return "", False
    doubts = [str(one) for one in checks.get("doubts", ())]
    if doubts:
        return " ".join(["Doubts:", *doubts]), True
    return "The checks raised no doubts.", False


def _randomised(checks: Mapping[str, Any]) -> str:
    found = checks.get("randomised_network")
    if not found:
        return ""
    return (
        f"With shuffled weights, the network gives a map that correlates by "
        f"{found['correlation']:.2f} with this one. Near 1, a map shows the scan and "
        "not what was learned."
    )


def _patches(checks: Mapping[str, Any]) -> str:
    found = checks.get("patch_sizes") or ()
    if not found:
        return ""
    edges = _listed([str(one["patch"]) for one in found])
    alike = _listed([f"{one['correlation']:.2f}" for one in found])
    return f"Cubes of {edges} voxels give maps that correlate by {alike} with this one."


def _deletion(checks: Mapping[str, Any], explanation: Mapping[str, Any]) -> list[str]:
    found = checks.get("deletion")
    if not found:
        return []
    shares, outputs = found["shares"], found["outputs"]
    random = found["random_outputs"]
    at = min(range(len(shares)), key=lambda number: abs(shares[number] - 0.1))
    unit = str(explanation.get("prediction_unit") or explanation.get("unit") or "")
    before = f"{explanation.get('prediction', float('nan')):.3g}"
    first = (
        f"Hiding the strongest {shares[at]:.0%} of the brain moves the output from "
        f"{before} to {outputs[at]:.3g} {unit}; as much elsewhere, to "
        f"{random[at]:.3g}."
    )
    beaten = found["beaten"]
    second = f"It moves it more than {beaten:.0%} of the other places tried."
    return [" ".join(first.split()), second]


def _outside(checks: Mapping[str, Any]) -> str:
    share = checks.get("outside_share")
    if share is None:
        return ""
    return f"{share:.0%} of the effect lies outside the brain."


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
