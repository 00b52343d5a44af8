"""The buttons of the cohort panel, each with what it does."""

from __future__ import annotations

from qtpy.QtWidgets import QPushButton

from napari_neuropretrain.gui.jobs.job_layout import wide_button


class CohortButtons:
    """Buttons without slots; the panel places them, the widget connects them."""

    def __init__(self) -> None:
        self.folder = _button(
            "Folder…", "Open a BIDS, derivatives or plain folder of scans."
        )
        self.table = _button("Table…", "Open a CSV or TSV table with a path column.")
        self.reload = _button(
            "Reload", "Read the cohort again; unsaved changes are lost."
        )
        self.split = _button(
            "Split file…", "Show who is in which part, and find leaks."
        )
        self.run_split = _button(
            "Split of a run…", "Show the division that a run used."
        )
        self.exclude = _button(
            "Exclude",
            "Leave the selected rows out of every job, or take them in again "
            "(Ctrl+Shift+X).",
        )
        self.exclude_hidden = _button(
            "Exclude hidden", "Leave out everyone whom the filter hides."
        )
        self.undo = _button("Undo", "Take the last change back (Ctrl+Z).")
        self.save = _button(
            "Save",
            "Write the table; the old one is kept beside it, and scans are never "
            "touched (Ctrl+Shift+S).",
        )
        self.brains = _button(
            "Compare brains",
            "Find one person under two names, by the volumes of a preprocessed cohort.",
        )
        self.new_split = _button(
            "Make a split", "Divide these participants with the job split."
        )
        self.finetune = _button(
            "Fine-tune on these", "Hand this cohort to the form Fine-tune."
        )

    def offer(self, cohort: bool) -> None:
        """Let all be pressed that need a cohort, or not."""
        for name, button in vars(self).items():
            button.setEnabled(cohort or name in ("folder", "table"))


def _button(text: str, tip: str) -> QPushButton:
    return wide_button(text, _nothing, tip)


def _nothing() -> None:
    """Wait for a slot to be connected."""
