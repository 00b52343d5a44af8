"""What preprocessing does with scans that lie, look or end in unusual ways.

    python benchmarks/robustness.py ../shared/data [--orientations 8] [--only cut]

Each case is made from real scans: two whole heads near 1 mm and two IXI scans at
2 mm. Everything goes through `preprocess_scan`. The table says what became of each
case: how many scans were done and how many refused, with the words of the refusal;
Dice with the template's brain mask and correlation with the template (the lowest of
the scans); and the agreement: the correlation, inside the brain, of the 80^3 image
with that of the unaltered scan (the lowest, too). A line per scan is printed while
it runs.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from altered_scans import cases as make_cases

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.volumes import Volume, read_volume
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.preprocessing.pipeline import Preprocessed, preprocess_scan
from napari_neuropretrain.progress import silent

SCANS = (
    "whole_head_t1/chris_t1.nii.gz",
    "whole_head_t1/ds000011_sub-01_T1w.nii.gz",
    "ixi_hh_2mm/t1/IXI049-HH-1358_T1.nii.gz",
    "ixi_hh_2mm/t1/IXI252-HH-1693_T1.nii.gz",
)


@dataclass(frozen=True)
class Row:
    """One scan in one case."""

    case: str
    refusal: str
    dice: float = np.nan
    correlation: float = np.nan
    coverage: float = np.nan
    agreement: float = np.nan


def main() -> None:
    given = _arguments()
    cases = dict(make_cases(given.orientations))
    cases = {name: change for name, change in cases.items() if given.only in name}
    rows = []
    for path in [given.data / name for name in SCANS[: given.scans]]:
        volume = read_volume(path)
        plain = preprocess_scan(volume, PreprocessingContract(), silent, given.threads)
        for name, change in cases.items():
            changed = change(volume, plain.scan_mask)
            rows.append(_run(name, changed, plain, given.threads))
            print(f"{path.name}: {rows[-1]}", file=sys.stderr, flush=True)
    print("| case | done | refused | Dice | correlation | in view | agreement |")
    print("|---|---|---|---|---|---|---|")
    for name in cases:
        print(_table_line(name, [row for row in rows if row.case == name]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--scans", type=int, default=len(SCANS))
    parser.add_argument("--orientations", type=int, default=8, help="1 to 48")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _run(name: str, volume: Volume, plain: Preprocessed, threads: int) -> Row:
    try:
        done = preprocess_scan(volume, PreprocessingContract(), silent, threads)
    except NeuropretrainError as error:
        return Row(name, str(error))
    both = done.brain_mask & plain.brain_mask
    agreement = np.corrcoef(done.image[both], plain.image[both])[0, 1]
    found = done.details
    numbers = (found["dice"], found["correlation"], found["coverage"], agreement)
    return Row(name, "", *(float(number) for number in numbers))


def _table_line(name: str, rows: list[Row]) -> str:
    words = sorted({_reason(row.refusal) for row in rows if row.refusal})
    done = [row for row in rows if not row.refusal]
    cells = [name, f"{len(done)} of {len(rows)}", "; ".join(words) or "-"]
    for field in ("dice", "correlation", "coverage", "agreement"):
        numbers = [getattr(row, field) for row in done]
        cells.append(f"{min(numbers):.2f}" if numbers else "-")
    return f"| {' | '.join(cells)} |"


def _reason(refusal: str) -> str:
    """Shorten a message to its reason, without the numbers of each scan."""
    _, _, reason = refusal.partition("MNI152 template: ")
    return (reason or refusal).split(" (Dice")[0]


if __name__ == "__main__":
    main()
