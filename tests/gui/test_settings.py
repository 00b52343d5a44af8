"""The settings in napari's preferences, and the forms that begin with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_neuropretrain
from napari_neuropretrain.config.estimate import EstimateConfig
from napari_neuropretrain.config.jobs import JOBS, PredictConfig
from napari_neuropretrain.gui import settings
from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.gui.settings import (
    HOME,
    Settings,
    change_settings,
    form_defaults,
    read_settings,
)

MANIFEST = Path(napari_neuropretrain.__file__).parent / "napari.yaml"


@pytest.fixture
def plugin(plugin_settings, npe2pm):
    """The plugin's settings in a file of this test."""
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    from napari.settings import get_plugin_settings

    return get_plugin_settings("napari-neuropretrain")


def test_without_choices_the_forms_keep_their_defaults(plugin):
    assert read_settings() == Settings(None, HOME, HOME, None, "auto", 0)
    assert read_settings().chosen == frozenset()
    assert form_defaults(PredictConfig, "predict") == {}


def test_a_choice_in_the_preferences_counts_at_once_and_is_kept(plugin, tmp_path):
    plugin.defaults.device = "cuda:1"
    plugin.defaults.project_folder = str(tmp_path)
    found = read_settings()
    assert (found.device, found.project_folder) == ("cuda:1", tmp_path)
    assert found.models_folder == tmp_path
    assert found.chosen == {"device", "project_folder"}
    assert "device: cuda:1" in plugin.config_path.read_text()


def test_every_setting_of_the_class_is_in_the_preferences(plugin):
    declared = set(type(plugin.defaults).model_fields)
    assert declared == set(Settings.__dataclass_fields__) - {"chosen"}
    assert all(f.description for f in type(plugin.defaults).model_fields.values())


def test_impossible_values_are_refused_by_napari(plugin):
    with pytest.raises(ValueError, match="enum"):
        change_settings(device="gpu")
    with pytest.raises(ValueError, match="64"):
        change_settings(threads=65)
    with pytest.raises(TypeError, match="folder_of_data"):
        change_settings(folder_of_data="x")


def test_a_form_begins_with_the_settings(qtbot, plugin, tmp_path):
    (tmp_path / "predict-1").mkdir()
    change_settings(project_folder=tmp_path, device="cpu", threads=3)
    change_settings(default_model=tmp_path / "model")
    widget = JobWidget("predict", "Predict")
    qtbot.addWidget(widget)
    values = widget.form.values()
    assert (values["device"], values["threads"]) == ("cpu", 3)
    assert values["output"] == tmp_path / "predict-2"
    assert values["model"] == tmp_path / "model"
    assert widget.form.missing() == ["Input"]


def test_a_panel_that_is_open_keeps_what_it_has(qtbot, plugin):
    early = JobWidget("finetune", "Fine-tune")
    qtbot.addWidget(early)
    change_settings(device="cpu")
    late = JobWidget("finetune", "Fine-tune")
    qtbot.addWidget(late)
    assert early.form.values()["device"] == "auto"
    assert late.form.values()["device"] == "cpu"


def test_values_are_allowed_by_every_job(plugin, tmp_path):
    change_settings(project_folder=tmp_path, device="cuda:3", threads=64)
    for entry in JOBS:
        given = form_defaults(entry.options, entry.name)
        for name, value in given.items():
            entry.options.__pydantic_validator__.validate_assignment(
                entry.options.model_construct(), name, value
            )
    assert "output" not in form_defaults(EstimateConfig)


def test_without_napari_settings_the_defaults_hold(monkeypatch):
    monkeypatch.setattr(settings, "_section", lambda: None)
    assert read_settings() == Settings()
    assert not change_settings(device="cpu")
