"""How many a cohort has, in a line and in charts, of the rows that are shown."""

from __future__ import annotations

from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.cohort_summary import age_histogram, balance
from napari_neuropretrain.data.problems import count
from napari_neuropretrain.gui.cohort.cohort_panel import CohortPanel
from napari_neuropretrain.gui.cohort.table_model import PART


def say_counts(panel: CohortPanel, cohort: CohortEdits) -> None:
    """Say how many are shown, excluded and changed, and draw the charts.

    Parameters
    ----------
    panel
        Where it is said; its buttons Save and Undo follow.
    cohort
        The table with what was changed in it.
    """
    everyone, shown = cohort.members, panel.model.shown
    out = sum(cohort.excluded(one.number) for one in everyone)
    words = [f"{len(shown)} of {count(len(everyone), 'line')} shown"]
    words += [f"{out} excluded"] if out else []
    changes = cohort.changes
    words += [count(changes, "unsaved change")] if changes else []
    words += [said] if (said := panel.problems.summary()) else []
    panel.counted.say(", ".join(words))
    panel.place.say(f"{cohort.overview.root.name} ({cohort.overview.kind})")
    panel.buttons.save.setEnabled(bool(changes))
    panel.buttons.undo.setEnabled(bool(changes))
    _draw(panel, cohort, [n for n in shown if not cohort.excluded(n)])


def _draw(panel: CohortPanel, cohort: CohortEdits, used: list[int]) -> None:
    label, by = panel.label.currentText(), panel.by.currentText()
    column = label if by == "label" else by
    groups = [
        panel.model.text(n, PART) if by == PART else cohort.value(n, column)
        for n in used
    ]
    first = label if label and by != "label" else "sex"
    values = [cohort.value(number, first) for number in used]
    ages = [cohort.value(number, "age") for number in used]
    bars, histogram = balance(values, groups), age_histogram(ages, groups)
    panel.charts.show_counts(f"{first} by {column}", bars, histogram)
