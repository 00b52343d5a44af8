"""Whom a filter picks, and which column is the label."""

from __future__ import annotations

from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.cohort_filter import parse_filter
from napari_neuropretrain.data.cohort_summary import guess_label
from napari_neuropretrain.gui.cohort.table_model import MADE, CohortModel


def picked(line: str, cohort: CohortEdits, model: CohortModel) -> list[int]:
    """Return the members whom a filter picks; an empty one picks everyone.

    Parameters
    ----------
    line
        What is written in the filter.
    cohort
        The table with what was changed in it.
    model
        Has the values of columns that the plugin made, such as problems.

    Raises
    ------
    ConfigError
        If the filter cannot be understood.
    """
    picks = parse_filter(line, (*cohort.columns, *MADE))
    everyone = [one.number for one in cohort.members]
    return [n for n in everyone if picks(model.values(n))] if line else everyone


def likely_label(cohort: CohortEdits) -> str:
    """Return the column that is most likely the label, or an empty string."""
    values = {
        name: [cohort.value(one.number, name) for one in cohort.members]
        for name in cohort.columns
        if name.lower() in ("age", "sex")
    }
    return guess_label(cohort.columns, values)
