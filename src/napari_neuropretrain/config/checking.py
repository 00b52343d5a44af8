"""The settings of the check of a cohort."""

from __future__ import annotations

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.fields import NOTHING, InputPath, OutputFolder


class CheckCohortConfig(Config):
    """List what is wrong in a cohort, and what to do about it."""

    cohort: InputPath
    """A BIDS folder, a derivatives folder, a folder of images, or a table."""
    output: OutputFolder
    """Run folder for problems.tsv."""
    label: str = ""
    """Column with the label; empty: diagnosis or group, where there is one."""
    splits: InputPath = NOTHING
    """A split file, or the run folder of one, to look for leaks in; -, for none."""
    find_repeats: bool = True
    """Compare preprocessed volumes, to find one person under two names."""
