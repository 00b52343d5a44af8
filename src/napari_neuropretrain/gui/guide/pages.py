"""What the guided path says of each step. Words only."""

from __future__ import annotations

from dataclasses import dataclass

INTRODUCTION = (
    "From a raw head to a map of what a network looked at, in five steps. Everything "
    "is synthetic and made on this computer; it takes about four minutes. For "
    "research use only."
)
END = (
    "That was the whole way. Each step was a job that the panels of the menu run with "
    "your own scans: Cohort, Preprocess, Fine-tune, Predict and Explain."
)


@dataclass(frozen=True)
class Page:
    """The words of one step.

    Parameters
    ----------
    title
        What is done.
    words
        Two sentences: what it does, and why.
    panel
        Panel of the menu that runs the same job.
    curves
        Whether it has curves to look at afterwards.
    """

    title: str
    words: str
    panel: str
    curves: bool = False


PAGES = {
    "cohort": Page(
        "Make a sample cohort",
        "Synthetic heads are drawn around the MNI152 template, half of them with less "
        "tissue in the medial temporal lobes, called AD here. They come as a scanner "
        "would give them: turned, uneven in brightness, with skull and neck.",
        "neuropretrain sample-cohort",
    ),
    "preprocess": Page(
        "Preprocess",
        "Each head is freed of its skull, evened in brightness, laid on the template "
        "and cut to the same grid. A network can only compare brains that lie alike, "
        "so every model remembers exactly how this was done.",
        "Preprocess",
    ),
    "finetune": Page(
        "Fine-tune",
        "A small 3D network learns to tell AD from CN, and the people are divided "
        "first: some to learn from, some to choose the best epoch, some for the test. "
        "The last have never been seen when it is judged.",
        "Fine-tune",
        curves=True,
    ),
    "predict": Page(
        "Predict",
        "The raw scans of the held-out people are preprocessed again and given to the "
        "model, as scans of new people would be. Each answer comes with an interval, "
        "its place among the training scans, and what speaks against it.",
        "Predict",
    ),
    "explain": Page(
        "Explain",
        "A cube is moved through the brain of the person with AD of whom the model is "
        "surest, and each time what it covers is hidden from the network. Where hiding "
        "lowers the probability, the network looked: red speaks for AD, blue against.",
        "Explain",
    ),
}
"""Page of each step of the demo, by its name."""
