"""Every part a user can name: one line each."""

from napari_neuropretrain.config.options.backbones import (
    DenseNet121Options,
    TinyDenseNetOptions,
)
from napari_neuropretrain.config.options.sources import TemplateCohortOptions
from napari_neuropretrain.config.options.tasks import (
    AdOptions,
    BrainAgeOptions,
    PdOptions,
    SexOptions,
)
from napari_neuropretrain.config.options.tunings import FullTuningOptions
from napari_neuropretrain.config.registry import Registry

_ROOT = "napari_neuropretrain."

BACKBONES = Registry("backbone")
BACKBONES.register(
    "densenet121",
    "DenseNet121-3D, the paper's CNN",
    DenseNet121Options,
    _ROOT + "backbones.densenet:build_densenet",
    parameters=11_243_649,
)
BACKBONES.register(
    "tiny_densenet",
    "Tiny-DenseNet, three blocks of growth 16",
    TinyDenseNetOptions,
    _ROOT + "backbones.densenet:build_densenet",
    parameters=1_462_873,
)

TASKS = Registry("task")
TASKS.register(
    "ad",
    "Alzheimer's disease against controls",
    AdOptions,
    _ROOT + "tasks.classification:BinaryClassification",
)
TASKS.register(
    "pd",
    "Parkinson's disease against controls",
    PdOptions,
    _ROOT + "tasks.classification:BinaryClassification",
)
TASKS.register(
    "brain_age",
    "Age in years",
    BrainAgeOptions,
    _ROOT + "tasks.regression:Regression",
)
TASKS.register(
    "sex",
    "Sex",
    SexOptions,
    _ROOT + "tasks.classification:BinaryClassification",
)

METHODS = Registry("method")

TUNINGS = Registry("tuning strategy")
TUNINGS.register(
    "full",
    "Train every parameter",
    FullTuningOptions,
    _ROOT + "tuning.full:tune_all",
)

SOURCES = Registry("source")
SOURCES.register(
    "template_cohort",
    "Synthetic participants made from the MNI152 template, with planted effects",
    TemplateCohortOptions,
    _ROOT + "synthesis.template_cohort:write_cohort",
)

CATALOGS = {
    "backbones": BACKBONES,
    "methods": METHODS,
    "tasks": TASKS,
    "tunings": TUNINGS,
    "sources": SOURCES,
}
