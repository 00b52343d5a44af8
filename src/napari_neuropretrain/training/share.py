"""Train on a share of the training part: the same validation and test, fewer people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np

from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.data.stratification import category_codes, stratify
from napari_neuropretrain.training.volumes import Volumes

_BLOCK = 5


def take_share(
    volumes: Volumes,
    labels: Mapping[str, float],
    parts: Mapping[str, Part],
    fraction: float,
    seed: int,
) -> tuple[Volumes, dict[str, Part]]:
    """Leave out training participants, until a fraction of them remains.

    Parameters
    ----------
    volumes, labels, parts
        All usable scans; labels and parts by scan key.
    fraction
        Share of the training participants to keep, above 0.
    seed
        Who is kept; see `order_people`.

    Returns
    -------
    volumes, parts
        Without the training scans that are left out.
    """
    if fraction >= 1:
        return volumes, dict(parts)
    train = [scan for scan in volumes.scans if parts[scan.key] == "train"]
    kept = {
        one
        for people in order_people(train, labels, seed)
        for one in people[: max(1, round(fraction * len(people)))]
    }
    used = [
        parts[scan.key] != "train" or scan.participant in kept for scan in volumes.scans
    ]
    scans = tuple(compress(volumes.scans, used))
    sources = tuple(compress(volumes.sources, used))
    left = replace(volumes, scans=scans, sources=sources)
    return left, {scan.key: parts[scan.key] for scan in scans}


def order_people(
    scans: Sequence[Scan], labels: Mapping[str, float], seed: int
) -> list[list[str]]:
    """Return the participants of each class, so that each start is like the whole.

    They are dealt into small blocks that resemble each other in label, age, sex and
    site (`stratify`). A share is the start of the list: the 10 % are among the 50 %.

    Parameters
    ----------
    scans
        Of the training part.
    labels
        Label by scan key; two values are classes, more are one class.
    seed
        Same people and seed, same order.
    """
    people: dict[str, float] = {}
    rows: dict[str, Mapping[str, str]] = {}
    for scan in sorted(scans, key=lambda scan: scan.key):
        label = float(labels[scan.key])
        people[scan.participant] = max(label, people.get(scan.participant, label))
        rows.setdefault(scan.participant, scan.row)
    values = sorted(set(people.values()))
    random = np.random.default_rng((seed, 10))
    found = []
    for value in values if len(values) == 2 else [None]:
        members = [one for one in people if value is None or people[one] == value]
        blocks = max(1, len(members) // _BLOCK)
        sizes = np.full(blocks, len(members) // blocks)
        sizes[: len(members) % blocks] += 1
        codes = category_codes(
            [rows[one] for one in members], [people[one] for one in members]
        )
        block = stratify(codes, sizes.tolist(), random)
        order = np.argsort(block + random.random(len(members)))
        found.append([members[index] for index in order])
    return found
