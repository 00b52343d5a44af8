"""What every backbone of the catalog promises."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from napari_neuropretrain.backbone import Backbone, stage_of
from napari_neuropretrain.backbones.parameters import count_parameters, parameter_count
from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.config.options.shapes import fit_to_shape
from napari_neuropretrain.errors import ConfigError

DOCS = Path(__file__).parents[2] / "docs" / "backbones"
NAMES = [entry.name for entry in BACKBONES]
NEEDS_SHAPE = [one.name for one in BACKBONES if "shape" in one.options.model_fields]
# Millions of parameters, as published or measured on the published code, with the
# number of digits that were given.
PUBLISHED = {
    "densenet121": "11.244",
    "tiny_densenet": "1.463",
    "swin_t": "27.845",
    "vit_8m": "8.004",
    "vit_b16_6l": "45.8",
    "minit": "3.65",
    "nit": "1.925",
    "vit_b16": "88.36",
    "resenc_l": "90.30",
}


@pytest.mark.parametrize("name", NAMES)
def test_golden_counts(name: str) -> None:
    count = parameter_count(name)
    assert count == BACKBONES[name].facts["parameters"]
    if name in PUBLISHED:
        digits = len(PUBLISHED[name].partition(".")[2])
        assert f"{count / 1e6:.{digits}f}" == PUBLISHED[name]


@pytest.mark.parametrize("edge", [80, 96])
@pytest.mark.parametrize("name", NAMES)
def test_full_size_at_the_usual_shapes(name: str, edge: int) -> None:
    options = fit_to_shape(BACKBONES[name].options(), (edge,) * 3)
    # No memory and no time on the meta device; shapes are those of the real network.
    with torch.device("meta"):
        network = BACKBONES[name].load()(options).eval()
        volume = torch.empty(2, 1, edge, edge, edge)
        assert network(volume).shape == (2, 1)
        encoded = network.encode(volume)
        maps = network.stage_maps(volume)
    assert encoded.features.shape == (2, network.feature_dim)
    assert encoded.tokens.shape[1] == math.prod(encoded.grid)
    assert len(maps) == len(network.stages)
    sizes = [tuple(one.shape[2:]) for one in maps]
    assert sizes[-1] == encoded.grid
    finest = tuple(-(-edge // step) for step in network.patch_size)
    assert sizes[0] == finest
    assert all(a >= b for a, b in pairwise(sizes))


@pytest.mark.parametrize("name", NAMES)
def test_stages_and_head_own_every_parameter_once(name: str) -> None:
    with torch.device("meta"):
        network = BACKBONES[name].load()(BACKBONES[name].options())
    assert isinstance(network, Backbone)
    owners = [stage_of(network, one) for one, _ in network.named_parameters()]
    assert set(owners) == set(range(len(network.stages) + 1))
    head = network.get_submodule(network.head_name)
    owned = [
        parameter
        for one, parameter in network.named_parameters()
        if stage_of(network, one) == len(network.stages)
    ]
    assert [id(one) for one in owned] == [id(one) for one in head.parameters()]


@pytest.mark.parametrize("name", NAMES)
def test_only_the_head_depends_on_the_outputs(name: str, toy_network) -> None:
    one, five = toy_network(name), toy_network(name, 5)
    head = one.head_name + "."
    shapes = [
        {key: value.shape for key, value in net.state_dict().items()}
        for net in (one, five)
    ]
    differ = {key for key in shapes[0] if shapes[0][key] != shapes[1][key]}
    assert differ
    assert all(key.startswith(head) for key in differ)


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward(name: str, toy_network) -> None:
    network = toy_network(name, 3)
    outputs = network(torch.randn(2, 1, 32, 32, 32))
    assert outputs.shape == (2, 3)
    assert outputs.isfinite().all()
    outputs.square().sum().backward()
    learned = [one for one in network.parameters() if one.requires_grad]
    assert all(one.grad is not None and one.grad.isfinite().all() for one in learned)
    assert sum(one.grad.abs().sum() > 0 for one in learned) > 0.9 * len(learned)


@pytest.mark.parametrize(
    ("name", "count"), [("vit_8m", 6 * 720), ("vit_b16_6l", 6 * 1536), ("nit", 1025)]
)
def test_parameters_that_nothing_uses_are_frozen(name: str, count: int) -> None:
    with torch.device("meta"):
        network = BACKBONES[name].load()(BACKBONES[name].options())
    learned = count_parameters(network, trainable_only=True)
    assert count_parameters(network) - learned == count


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_repeats_itself_and_goes_through_encode(
    name: str, toy_network
) -> None:
    network = toy_network(name, 3).eval()
    volume = torch.randn(2, 1, 32, 32, 32, generator=torch.Generator().manual_seed(1))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.inference_mode():
        outputs, again = network(volume), network(volume)
        encoded, maps = network.encode(volume), network.stage_maps(volume)
        head = network.get_submodule(network.head_name)
        features = encoded.features
        if isinstance(head, torch.nn.Conv3d):
            features = features[..., None, None, None]
        through, alone = head(features).flatten(1), network(volume[1:])
    assert torch.equal(outputs, again)
    torch.testing.assert_close(through, outputs)
    torch.testing.assert_close(maps[-1].flatten(2).transpose(1, 2), encoded.tokens)
    torch.testing.assert_close(alone[0], outputs[1])
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", NAMES)
def test_options_survive_yaml(name: str, toy_options, tmp_path) -> None:
    for options in (toy_options(name), BACKBONES[name].options()):
        options.to_file(tmp_path / "options.yaml")
        assert type(options).from_file(tmp_path / "options.yaml") == options


@pytest.mark.parametrize("name", NAMES)
def test_a_shape_with_three_edges(name: str, toy_options) -> None:
    options = toy_options(name)
    if name in NEEDS_SHAPE:
        options = options.replace(shape=(32, 48, 64))
    network = BACKBONES[name].load()(options).eval()
    with torch.inference_mode():
        encoded = network.encode(torch.randn(1, 1, 32, 48, 64))
    assert encoded.tokens.shape[1] == math.prod(encoded.grid)
    if name != "minit":  # as many blocks along each axis, however long
        assert encoded.grid[0] < encoded.grid[2] or name == "swin_t"


@pytest.mark.parametrize("name", NEEDS_SHAPE)
def test_a_volume_of_another_shape_is_refused(name: str, toy_network) -> None:
    network = toy_network(name)
    with pytest.raises(ConfigError, match=r"built for volumes of 32 .* has 48"):
        network(torch.zeros(1, 1, 48, 48, 48))


@pytest.mark.parametrize(
    ("name", "edge"),
    [("densenet121", 29), ("tiny_densenet", 13), ("sfcn", 32), ("resenc_l", 33)],
)
def test_a_volume_too_small_is_refused(name: str, edge: int) -> None:
    with torch.device("meta"):
        network = BACKBONES[name].load()(BACKBONES[name].options())
        assert network(torch.zeros(2, 1, edge, edge, edge)).shape == (2, 1)
        with pytest.raises(ConfigError, match=rf"at least {edge} voxels.* has 8x40x40"):
            network(torch.zeros(2, 1, 8, 40, 40))


@pytest.mark.parametrize("entry", BACKBONES, ids=lambda entry: entry.name)
def test_every_entry_is_explained(entry) -> None:
    assert 20 < len(entry.title) < 80
    count = f"{entry.facts['parameters']:,}"
    for page in (entry.name, "README"):
        assert count in (DOCS / f"{page}.md").read_text(encoding="utf-8")
    page = (DOCS / f"{entry.name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {entry.name}\n")
    fields = set(entry.options.model_fields)
    assert fields <= set(re.findall(r"`(\w+)`", page)) or "those of [`vit_8m`]" in page
