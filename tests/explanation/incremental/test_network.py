"""Outputs computed in parts against outputs of the whole network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.explanation.hiders import (
    CompleteHider,
    Predictor,
    open_hider,
)
from napari_neuropretrain.explanation.incremental import execution
from napari_neuropretrain.explanation.incremental.network import (
    NotIncrementalError,
    open_incremental,
)
from napari_neuropretrain.explanation.incremental.program import read_program
from napari_neuropretrain.explanation.occlusion import Manner, occlusion_map
from napari_neuropretrain.explanation.positions import Cube

NAMES = [entry.name for entry in BACKBONES]
CUBES = [
    tuple(slice(start, start + edge) for start in corner)
    for corner, edge in [
        ((0, 0, 0), 5),
        ((27, 27, 27), 5),
        ((13, 3, 22), 5),
        ((1, 27, 11), 5),
        ((15, 15, 15), 1),
        ((8, 16, 0), 9),
    ]
]


def make_pair(edge: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn((edge,) * 3, generator=generator)
    hidden = torch.randn((edge,) * 3, generator=generator)
    hidden[14:, :4] = image[14:, :4]  # hiding changes nothing here
    return image, hidden


def brute(
    network: nn.Module, image: Tensor, hidden: Tensor, cubes: Sequence[Cube]
) -> Tensor:
    outputs = []
    for cube in cubes:
        copy = image.clone()
        copy[cube] = hidden[cube]
        outputs.append(network(copy[None, None]))
    return torch.cat(outputs)


@torch.inference_mode()
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("most", [0.001, 0.8, 1.1])
@pytest.mark.parametrize("name", NAMES)
def test_parts_equal_the_whole(name, most, layout, toy_network, monkeypatch):
    # 0.001: complete from the first layer on; 1.1: boxes until the end.
    monkeypatch.setattr(execution, "MOST", most)
    network = toy_network(name).to(memory_format=layout)
    image, hidden = make_pair()
    parts = open_incremental(network, image, hidden)
    expected = brute(network, image, hidden, CUBES)
    reference = network(image[None, None])
    torch.testing.assert_close(parts.reference(), reference, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(parts.outputs(CUBES), expected, atol=1e-5, rtol=1e-5)
    # Every cube moves the output by much more than the tolerance.
    assert float((expected - reference).abs().min()) > 1e-4
    order, batch = parts.plan(CUBES)
    assert sorted(order) == list(range(len(CUBES)))
    assert batch >= 1


@torch.inference_mode()
@pytest.mark.parametrize("baseline", ["mean", "black", "blurred", "mirror"])
@pytest.mark.parametrize("name", ["tiny_densenet", "minit"])
def test_the_map_is_that_of_brute_force(name, baseline, toy_network):
    network = toy_network(name)
    image, _ = make_pair()
    x, y, z = torch.meshgrid(*[torch.linspace(-1, 1, 32)] * 3, indexing="ij")
    brain = x**2 + y**2 + z**2 < 0.9
    predict = Predictor(network, lambda outputs: 60 + 12 * outputs)
    settings = (image * brain, brain, 9, 7, baseline)
    fast = occlusion_map(predict, *settings)
    slow = occlusion_map(predict, *settings, manner=Manner(fast=False))
    assert fast.slow_because == ""
    assert "asked for" in slow.slow_because
    size = np.abs(slow.map).max()
    assert size > 0.01
    np.testing.assert_allclose(fast.map, slow.map, atol=1e-4 * max(1, size))


class _Layers(nn.Module):
    """Layers that the catalog's networks do not have, with two branches."""

    local_name = "layers"

    def __init__(self) -> None:
        super().__init__()
        self.layers = _Branches()

    def finish(self, maps: Tensor) -> Tensor:
        return maps.flatten(1).sum(1, keepdim=True)

    def forward(self, volume: Tensor) -> Tensor:
        return self.finish(self.layers(volume))


class _Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv3d(
            1, 3, 3, stride=(1, 2, 2), padding=(2, 1, 1), dilation=(2, 1, 1)
        )
        self.b = nn.Conv3d(1, 3, (3, 1, 1), stride=(1, 2, 2), padding=(1, 0, 0))
        self.pool = nn.MaxPool3d(3, 2, 1)
        self.c = nn.Conv3d(3, 6, 3, padding=1, groups=3)
        self.d = nn.Conv3d(6, 4, 1)
        self.norm = nn.InstanceNorm3d(6)
        self.down = nn.AvgPool3d(2, ceil_mode=True)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        both = self.act(self.a(x)) + self.b(x)
        kept = self.act(self.c(self.pool(both)))
        raw = self.d(kept)  # is read as it is, too: its rectifier has to stay apart
        joined = torch.cat([kept, self.norm(kept), torch.relu(raw), raw], 1)
        return torch.nn.functional.leaky_relu(self.down(joined), 0.1)


@torch.inference_mode()
def test_other_layers_and_branches():
    torch.manual_seed(0)
    network = _Layers().eval()
    image, hidden = make_pair(19)
    cubes = [
        tuple(slice(c, c + 3) for c in corner)
        for corner in [(0, 0, 0), (16, 16, 16), (7, 2, 9), (3, 16, 8)]
    ]
    parts = open_incremental(network, image, hidden)
    expected = brute(network, image, hidden, cubes)
    torch.testing.assert_close(parts.outputs(cubes), expected, atol=1e-3, rtol=1e-5)


def test_rectifiers_become_part_of_the_layer_before_them(toy_network):
    network = toy_network("tiny_densenet")
    layers = network.get_submodule(network.local_name).modules()
    count = Counter(type(one) for one in layers)
    steps = read_program(network.get_submodule(network.local_name))
    runs = [step.run for step in steps]
    assert count[nn.ReLU] > 5
    assert functional.relu not in runs
    assert sum(step.kind == "join" for step in steps) >= 4
    # Two of three are gone; the map before the third is read by others, too.
    assert len(read_program(_Branches().eval())) == 12


def test_a_network_in_parts_that_lies_is_not_used():
    class Liar(_Layers):
        def finish(self, maps: Tensor) -> Tensor:
            return super().finish(maps) + 1

        def forward(self, volume: Tensor) -> Tensor:
            return super().finish(self.layers(volume))

    image, hidden = make_pair(19)
    cube = (slice(2, 5),) * 3
    predict = Predictor(Liar().eval(), lambda outputs: outputs)
    with torch.inference_mode():
        hider, why = open_hider(predict, image, hidden, cube)
    assert isinstance(hider, CompleteHider)
    assert "other outputs" in why


def test_networks_that_depend_on_their_input_are_run_whole():
    class Moody(nn.Module):
        local_name = "layers"

        def __init__(self) -> None:
            super().__init__()
            self.layers = _Mood()

        def finish(self, maps: Tensor) -> Tensor:
            return maps.flatten(1).sum(1, keepdim=True)

    image, hidden = make_pair(19)
    with pytest.raises(NotIncrementalError), torch.inference_mode():
        open_incremental(Moody(), image, hidden)
    with pytest.raises(NotIncrementalError, match="which part"):
        open_incremental(nn.Identity(), image, hidden)


class _Mood(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x
