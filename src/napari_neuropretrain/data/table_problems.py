"""What is wrong in the table of a cohort: ids, ages, sexes, labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from napari_neuropretrain.config.catalog import TASKS
from napari_neuropretrain.config.options.tasks import BinaryTaskOptions, SexOptions
from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.cohort_filter import number_of
from napari_neuropretrain.data.cohort_overview import Member
from napari_neuropretrain.data.cohort_summary import is_number_column
from napari_neuropretrain.data.labels import MAX_AGE_YEARS
from napari_neuropretrain.data.problems import Problem, count, few
from napari_neuropretrain.data.tables import (
    MISSING_VALUES,
    PARTICIPANT_COLUMNS,
    find_column,
)

_RARE, _MANY = 1, 20


def table_problems(cohort: CohortEdits, label: str = "") -> Iterator[Problem]:
    """Find what is wrong in the values of a cohort.

    Parameters
    ----------
    cohort
        The table with what was changed in it; who is excluded does not count.
    label
        Column with the label; empty for none.
    """
    used = [one for one in cohort.members if not cohort.excluded(one.number)]
    yield from _id_problems(cohort, used)
    yield from _age_problems(cohort, used)
    yield from _sex_problems(cohort, used)
    if label and label.lower() not in ("age", "sex"):
        yield from _label_problems(cohort, used, label)


def _id_problems(cohort: CohortEdits, used: Sequence[Member]) -> Iterator[Problem]:
    """Find ids that are missing, there twice, or the same as BIDS names."""
    column = find_column(cohort.columns, PARTICIPANT_COLUMNS)
    lines: dict[str, dict[int, int]] = {}
    texts: dict[str, dict[str, int]] = {}
    for one in used:
        if not _is_name(one.participant):
            advice = "Fill in a participant_id with letters or digits."
            text = f"Line {(one.line or 0) + 2} of the table names no participant."
            yield Problem("error", "participant id", text, advice, (one.number,))
        elif one.line is not None:
            lines.setdefault(one.key, {})[one.line] = one.number
            written = cohort.value(one.number, column) if column else one.participant
            bare = written.removeprefix("sub-")
            texts.setdefault(one.participant, {})[bare] = one.number
    for key, found in lines.items():
        if len(found) > 1:
            text = f"{key} is in the table {len(found)} times."
            advice = "Keep one line, or exclude the others; for several scans of one "
            advice += "person add a column 'session_id'."
            numbers = tuple(found.values())
            yield Problem("error", "duplicate participant id", text, advice, numbers)
    for name, written_as in texts.items():
        if len(written_as) > 1:
            names = " and ".join(f"'{text}'" for text in written_as)
            text = f"{names} both become {name}: BIDS names hold letters and digits."
            numbers = tuple(written_as.values())
            advice = "Rename one of them."
            yield Problem("error", "duplicate participant id", text, advice, numbers)


def _age_problems(cohort: CohortEdits, used: Sequence[Member]) -> Iterator[Problem]:
    if find_column(cohort.columns, ("age",)) is None:
        text = "The table has no column 'age'."
        advice = "Add it to train brain age, and for splits that share the ages evenly."
        yield Problem("warning", "missing age", text, advice)
        return
    ages = {one.number: cohort.value(one.number, "age") for one in used}
    missing = [n for n, age in ages.items() if age.lower() in MISSING_VALUES]
    if missing:
        text = f"{count(len(missing), 'participant')} without an age: "
        text += f"{_names(cohort, missing)}."
        advice = "Fill in the years; without it they are left out where age is needed."
        yield Problem("warning", "missing age", text, advice, tuple(missing))
    for number, age in ages.items():
        years = number_of(age)
        if number in missing or (years is not None and 0 <= years <= MAX_AGE_YEARS):
            continue
        what = "is no number" if years is None else "is no age of a person"
        text = f"{cohort.members[number].key}: the age '{age}' {what}."
        advice = f"Write years from 0 to {MAX_AGE_YEARS:g}, with a point, or n/a."
        yield Problem("error", "impossible age", text, advice, (number,))


def _sex_problems(cohort: CohortEdits, used: Sequence[Member]) -> Iterator[Problem]:
    if find_column(cohort.columns, ("sex",)) is None:
        return
    options = SexOptions()
    known = {value.lower() for value in (*options.positive, *options.negative)}
    sexes = {one.number: cohort.value(one.number, "sex") for one in used}
    missing = [n for n, sex in sexes.items() if sex.lower() in MISSING_VALUES]
    if missing:
        text = f"{count(len(missing), 'participant')} without a sex: "
        text += f"{_names(cohort, missing)}."
        advice = "Fill in M or F if it is known."
        yield Problem("note", "missing sex", text, advice, tuple(missing))
    for value in sorted({sexes[n] for n in sexes if n not in missing}):
        if value.lower() not in known:
            numbers = tuple(n for n, sex in sexes.items() if sex == value)
            text = f"The sex '{value}' is not understood: {_names(cohort, numbers)}."
            yield Problem(
                "error", "wrong sex value", text, "Write M, F or n/a.", numbers
            )
    yield from _contradictions(cohort, used, "sex")


def _contradictions(
    cohort: CohortEdits, used: Sequence[Member], column: str
) -> Iterator[Problem]:
    """Find people with two values where there can be one."""
    found: dict[str, dict[str, int]] = {}
    for one in used:
        value = cohort.value(one.number, column)
        if value.lower() not in MISSING_VALUES:
            found.setdefault(one.participant, {})[value.lower()] = one.number
    for name, values in found.items():
        if len(values) > 1:
            text = f"{name} has several values of '{column}': {', '.join(values)}."
            numbers = tuple(values.values())
            advice = "Correct one of the sessions, or the participant id."
            yield Problem("error", f"contradicting {column}", text, advice, numbers)


def _label_problems(
    cohort: CohortEdits, used: Sequence[Member], label: str
) -> Iterator[Problem]:
    """Find labels that are missing, misspelt, or mean nothing to the task."""
    if find_column(cohort.columns, (label.lower(),)) is None:
        text = f"The table has no column '{label}'."
        yield Problem("error", "label", text, "Choose another column as the label.")
        return
    values = {one.number: cohort.value(one.number, label) for one in used}
    missing = tuple(n for n, text in values.items() if text.lower() in MISSING_VALUES)
    if missing:
        text = f"{count(len(missing), 'participant')} without a value of '{label}': "
        text += f"{_names(cohort, missing)}."
        advice = "Fill it in; without a label they are left out of the training."
        yield Problem("warning", "missing label", text, advice, missing)
    known = {n: text for n, text in values.items() if n not in missing}
    if is_number_column(known.values()):
        for number, text in known.items():
            if number_of(text) is None:
                name = cohort.members[number].key
                said = f"{name}: '{text}' in the column of numbers '{label}'."
                advice = "Write a number with a point, or n/a."
                yield Problem("error", "wrong label value", said, advice, (number,))
        return
    yield from _class_problems(cohort, known, label)


def _class_problems(
    cohort: CohortEdits, known: dict[int, str], label: str
) -> Iterator[Problem]:
    counts = Counter(known.values())
    allowed = _values_of_tasks(label)
    for value, number_of_people in counts.items():
        numbers = tuple(n for n, text in known.items() if text == value)
        said = f"'{value}' in '{label}' ({_names(cohort, numbers)})"
        alike = [one for one in counts if _plain(one) == _plain(value) != ""]
        commonest = max(alike, key=lambda one: (counts[one], one))
        if value != commonest and value.lower() != commonest.lower():
            text = f"{said} looks like '{commonest}', which {counts[commonest]} have."
            advice = f"Write '{commonest}' if that is meant."
            yield Problem("error", "wrong label value", text, advice, numbers)
        elif allowed and value.lower() not in allowed:
            text = f"{said} is neither a positive nor a negative value of a known task."
            advice = "They are left out of the training, unless you add the value to "
            advice += "the task's options (positive, negative)."
            yield Problem("warning", "wrong label value", text, advice, numbers)
        elif number_of_people <= _RARE and len(known) >= _MANY:
            text = f"{said} occurs only once."
            yield Problem("warning", "rare label", text, "Is it misspelt?", numbers)


def _values_of_tasks(label: str) -> frozenset[str]:
    """Return what tasks understand in a column, in lower case."""
    found: set[str] = set()
    for entry in TASKS:
        options = entry.options()
        if isinstance(options, BinaryTaskOptions) and options.label == label.lower():
            found |= {text.lower() for text in (*options.positive, *options.negative)}
    return frozenset(found)


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _is_name(text: str) -> bool:
    """Whether an id is a BIDS name; one that could be made one is by now."""
    return text.startswith("sub-") and text[4:].isalnum()


def _names(cohort: CohortEdits, numbers: Sequence[int]) -> str:
    return few([cohort.members[number].key for number in numbers])
