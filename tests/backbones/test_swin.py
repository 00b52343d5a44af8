"""Swin-T against torchvision's recorded outputs and slow references."""

from __future__ import annotations

import itertools
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_neuropretrain.backbones.swin import StochasticDepth, SwinTransformer
from napari_neuropretrain.backbones.window_attention import WindowAttention
from napari_neuropretrain.backbones.windows import (
    assemble,
    partition,
    relative_index,
    shift_mask,
)
from napari_neuropretrain.config.options.backbones import SwinOptions

CASES = {
    "clip_32x56x56": (32, 56, 56),
    "cube_80": (80, 80, 80),
    "cube_96": (96, 96, 96),
    "odd_30x50x70": (30, 50, 70),
    "clip_16x112x112": (16, 112, 112),
}


def drawn(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the numbers that the recorded outputs were made with."""
    draws = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    return draws.astype(np.float32)


def weight(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    draws = drawn(name, shape)
    if "norm" in name and name.endswith("weight"):
        return 1 + np.float32(0.1) * draws
    if "relative_position_bias_table" in name:
        return np.float32(0.5) * draws
    return np.float32(0.05 if len(shape) > 1 else 0.02) * draws


@pytest.fixture
def recorded(shared_data: Path) -> Path:
    return shared_data / "reference"


@pytest.fixture(scope="module")
def video_network() -> SwinTransformer:
    """Return the three-channel network of 400 classes with weights by formula."""
    with torch.device("meta"):
        network = SwinTransformer(SwinOptions(), out_features=400, in_channels=3)
    state = network.state_dict()
    index = relative_index((8, 7, 7))
    filled = {
        name: index.clone()
        if name.endswith("relative_position_index")
        else torch.from_numpy(weight(name, tuple(tensor.shape)))
        for name, tensor in state.items()
    }
    network.load_state_dict(filled, assign=True)
    return network.eval()


def test_names_and_shapes_are_those_of_torchvision(
    recorded: Path, video_network: SwinTransformer
) -> None:
    published = json.loads((recorded / "swin3d_t_keys.json").read_text())
    own = {key: list(value.shape) for key, value in video_network.state_dict().items()}
    assert own == published
    assert sum(one.numel() for one in video_network.parameters()) == 28_158_070


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_torchvision(
    case: str, recorded: Path, video_network: SwinTransformer
) -> None:
    expected = np.load(recorded / "swin3d_t_reference.npz")
    clip = torch.from_numpy(drawn(case, (1, 3, *CASES[case])))
    with torch.inference_mode():
        encoded = video_network.encode(clip)
        logits = video_network.head(encoded.features)
    difference = np.abs(logits[0].numpy() - expected[case]).max()
    mean_difference = encoded.features[0].numpy() - expected[f"{case}_tokens_mean"]
    assert difference < 1e-4
    assert np.abs(mean_difference).max() < 1e-4


def attention(bias_index: str) -> WindowAttention:
    torch.manual_seed(0)
    options = SwinOptions(window=(3, 4, 2), bias_index=bias_index)
    return WindowAttention(6, 2, shifted=False, options=options)


@pytest.mark.parametrize("window", [(3, 4, 2), (2, 3, 2), (1, 2, 1), (3, 1, 2)])
def test_clamped_windows_read_their_true_distances(window) -> None:
    layer = attention("clamped")
    table = layer.relative_position_bias_table.reshape(5, 7, 3, 2)
    places = list(itertools.product(*map(range, window)))
    bias = layer.position_bias(window)
    for (i, a), (j, b) in itertools.product(enumerate(places), repeat=2):
        x, y, z = (one - other for one, other in zip(a, b, strict=True))
        assert torch.equal(bias[:, i, j], table[x + 2, y + 3, z + 1])


def test_both_indices_agree_on_whole_windows_only() -> None:
    true, kinetics = attention("clamped"), attention("kinetics")
    for window, same in [((3, 4, 2), True), ((2, 4, 2), True), ((3, 3, 2), False)]:
        equal = torch.equal(true.position_bias(window), kinetics.position_bias(window))
        assert equal is same
    index = relative_index((3, 4, 2))[:6, :6]
    expected = kinetics.relative_position_bias_table[index].permute(2, 0, 1)
    assert torch.equal(kinetics.position_bias((1, 3, 2)), expected)


@pytest.mark.parametrize(
    ("size", "shift"), [((4, 6, 4), (1, 0, 1)), ((6, 3, 2), (1, 1, 0))]
)
def test_strangers_in_a_shifted_window_are_kept_apart(size, shift) -> None:
    window = (2, 3, 2)
    mask = shift_mask(size, window, shift, torch.zeros(()))
    places = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
    rolled = np.roll(places, [-one for one in shift], axis=(0, 1, 2))
    origin = partition(torch.from_numpy(rolled)[None], window)[0].numpy()
    for number, tokens in enumerate(origin):
        for (i, a), (j, b) in itertools.product(enumerate(tokens), repeat=2):
            # Neighbours in the window are neighbours in the volume, or wrapped.
            here = np.abs(np.subtract(a, b)).tolist()
            wrapped = any(step >= edge for step, edge in zip(here, window, strict=True))
            if size == (4, 6, 4):  # enough tokens to tell wrapped from not
                assert (mask[number, i, j] < 0) == wrapped
            assert not wrapped or mask[number, i, j] == -100


def test_windows_are_put_back_where_they_were() -> None:
    tokens = torch.arange(2 * 4 * 6 * 2 * 3.0).view(2, 4, 6, 2, 3)
    cut = partition(tokens, (2, 3, 2))
    assert cut.shape == (2, 4, 12, 3)
    assert torch.equal(cut[0, 1, 0], tokens[0, 0, 3, 0])
    assert torch.equal(assemble(cut, (2, 3, 2), (4, 6, 2)), tokens)


def test_attention_against_loops() -> None:
    torch.manual_seed(0)
    options = SwinOptions(window=(2, 3, 2), bias_index="clamped")
    layer = WindowAttention(8, 2, shifted=True, options=options)
    tokens = torch.randn(2, 4, 6, 2, 8)  # z is clamped, x and y are shifted by one
    got = layer(tokens)
    query, key, value = layer.qkv(tokens).view(2, 4, 6, 2, 3, 2, 4).unbind(4)
    table = layer.relative_position_bias_table.view(3, 5, 3, 2)
    middle = (1, 2, 1)  # the offset of a token from itself

    def room(place):  # the window after the shift; the wrapped rims are rooms too
        x, y, _ = place
        return (x + 1) // 2, (y + 2) // 3

    places = list(itertools.product(range(4), range(6), range(2)))
    for batch, place in itertools.product(range(2), places):
        others = [other for other in places if room(other) == room(place)]
        mixed = []
        for head in range(2):
            logits = torch.stack(
                [
                    query[batch][place][head] @ key[batch][other][head] / 2
                    + table[tuple(np.add(np.subtract(place, other), middle))][head]
                    for other in others
                ]
            )
            values = torch.stack([value[batch][other][head] for other in others])
            mixed.append(logits.softmax(0) @ values)
        torch.testing.assert_close(got[batch][place], layer.proj(torch.cat(mixed)))


def test_stochastic_depth_leaves_out_whole_volumes() -> None:
    torch.manual_seed(0)
    layer = StochasticDepth(0.25)
    branch = torch.ones(4000, 2, 3)
    out = layer.train()(branch)
    assert out.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(out.amax(dim=(1, 2)), out.amin(dim=(1, 2)))
    assert float(out.mean()) == pytest.approx(1, abs=0.03)
    assert layer.eval()(branch) is branch


def test_stochastic_depth_rises_with_the_block() -> None:
    with torch.device("meta"):
        network = SwinTransformer(SwinOptions(stochastic_depth=0.22))
    rates = [m.probability for m in network.modules() if isinstance(m, StochasticDepth)]
    assert rates == pytest.approx([0.02 * number for number in range(12)])


def test_a_masked_token_changes_the_others(toy_network) -> None:
    network = toy_network("swin_t").eval()
    volume = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        tokens = network.embed(volume)
        assert tokens.shape == (1, 16, 8, 8, 8)
        whole = network.run_blocks(tokens)
        expected = network.encode(volume).tokens.reshape(whole.shape)
        assert torch.equal(whole, expected)
        tokens = tokens.clone()
        tokens[0, 0, 0, 0] = 0
        assert (network.run_blocks(tokens) - whole).abs().max() > 1e-4
