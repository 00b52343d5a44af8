import pytest

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.catalog import CATALOGS
from napari_neuropretrain.config.registry import Registry
from napari_neuropretrain.errors import ConfigError

ENTRIES = [entry for catalog in CATALOGS.values() for entry in catalog]


class Nothing(Config):
    """No options."""


def test_a_target_is_imported_on_load() -> None:
    registry = Registry("thing")
    entry = registry.register("a", "An a", Nothing, "json:dumps")
    assert entry.load()([1]) == "[1]"
    assert "a" in registry
    assert len(registry) == 1


def test_a_taken_name_shows_both_owners() -> None:
    registry = Registry("thing")
    registry.register("a", "An a", Nothing, "json:dumps")
    with pytest.raises(ConfigError, match=r"json:dumps; not added: json:loads"):
        registry.register("a", "Another", Nothing, "json:loads")


def test_an_unknown_name_suggests_and_lists() -> None:
    registry = Registry("thing")
    registry.register("apple", "An apple", Nothing, "json:dumps")
    with pytest.raises(ConfigError, match=r"Did you mean 'apple'\? Known: apple"):
        registry["appel"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_entry_loads(entry) -> None:
    assert callable(entry.load())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_options_round_trip(entry, tmp_path) -> None:
    options = entry.options()
    options.to_file(tmp_path / "options.yaml")
    if entry.options.model_fields:
        assert entry.options.from_file(tmp_path / "options.yaml") == options
    for name, field in entry.options.model_fields.items():
        assert field.description, f"{entry.name}: {name} has no help"


def test_parameter_counts_of_the_catalog_are_true() -> None:
    for entry in CATALOGS["backbones"]:
        network = entry.load()(entry.options())
        count = sum(parameter.numel() for parameter in network.parameters())
        assert count == entry.facts["parameters"], entry.name
