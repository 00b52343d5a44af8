import pytest

from napari_neuropretrain.config.options.backbones import (
    DenseNet121Options,
    MiNiTOptions,
    NiTOptions,
    SwinOptions,
    ViT8mOptions,
    ViTOptions,
)
from napari_neuropretrain.config.options.shapes import fit_to_shape
from napari_neuropretrain.errors import ConfigError


def test_only_backbones_with_a_shape_are_changed() -> None:
    shape = (64, 80, 96)
    assert fit_to_shape(DenseNet121Options(), shape) == DenseNet121Options()
    for options in (ViT8mOptions(layers=3), NiTOptions(), MiNiTOptions()):
        fitted = fit_to_shape(options, shape)
        assert fitted.shape == shape
        assert fitted.replace(shape=options.shape) == options


@pytest.mark.parametrize(
    ("options", "step"), [(ViT8mOptions(), 16), (NiTOptions(), 8), (MiNiTOptions(), 16)]
)
def test_a_shape_that_does_not_divide_names_those_that_do(options, step: int) -> None:
    message = rf"shape: each edge must be a multiple of {step}; near are 80x80x96 or"
    with pytest.raises(ConfigError, match=message):
        fit_to_shape(options, (81, 80, 96))


def test_a_shape_that_was_chosen_is_not_overwritten() -> None:
    options = NiTOptions(shape=64)
    assert fit_to_shape(options, (64, 64, 64)) is options
    with pytest.raises(ConfigError, match=r"volumes of 64 voxels, but these have 96"):
        fit_to_shape(options, (96, 96, 96))


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        (ViTOptions, {"heads": 5}, r"heads: must divide hidden_size \(768\)"),
        (SwinOptions, {"heads": [3, 6]}, r"must be equally many"),
        (SwinOptions, {"embed_dim": 100}, r"stage 1 has 100 channels, which 3 heads"),
        (ViTOptions, {"shape": "90"}, r"near are 80x80x80 or 96x96x96"),
    ],
)
def test_options_that_contradict_each_other(options, values, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        options.parse(values)
