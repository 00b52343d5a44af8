"""Occlusion maps against maps that are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_neuropretrain.errors import Cancelled, ConfigError
from napari_neuropretrain.explanation.baselines import hide_all
from napari_neuropretrain.explanation.occlusion import Manner, occlusion_map
from napari_neuropretrain.explanation.positions import starts
from napari_neuropretrain.progress import Progress

SHAPE = (11, 9, 8)


def make_scan() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(SHAPE, generator=generator)
    x, y, z = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    # Cut off by the edges of the volume, as brains at a tight crop are.
    brain = (x - 0.2) ** 2 + y**2 + (z + 0.3) ** 2 < 1.1
    return image * brain, brain


def linear_map(
    weights: Tensor,
    image: Tensor,
    hidden: Tensor,
    brain: Tensor,
    patch: int,
    stride: int,
    rule: str = "mean",
) -> np.ndarray:
    """Slow reference: for a linear model an effect is a plain sum over the cube."""
    drop = (weights * (image - hidden) * brain).double().numpy()
    covered = [[] for _ in range(image.numel())]
    index = np.arange(image.numel()).reshape(SHAPE)
    for corner in itertools.product(*(starts(n, patch, stride) for n in SHAPE)):
        cube = tuple(slice(c, c + patch) for c in corner)
        for voxel in index[cube].ravel():
            covered[voxel].append(drop[cube].sum())
    if rule == "mean":
        combined = [np.mean(effects) for effects in covered]
    else:
        combined = [max(effects, key=abs) for effects in covered]
    return np.array(combined).reshape(SHAPE) * brain.numpy()


@pytest.mark.parametrize("rule", ["mean", "strongest"])
@pytest.mark.parametrize("baseline", ["mean", "black", "blurred", "mirror"])
@pytest.mark.parametrize(
    ("patch", "stride"), [(1, 1), (2, 1), (3, 2), (4, 4), (5, 3), (8, 4), (16, 5)]
)
def test_a_linear_model_has_the_map_of_the_closed_form(patch, stride, baseline, rule):
    image, brain = make_scan()
    weights = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))

    def predict(volumes: Tensor) -> Tensor:
        return (volumes[:, 0].double() * weights).sum((1, 2, 3)) + 0.5

    result = occlusion_map(
        predict, image, brain, patch, stride, baseline, 7, manner=Manner(rule)
    )
    hidden = hide_all(image, brain, baseline, patch)
    expected = linear_map(weights, image, hidden, brain, patch, stride, rule)
    np.testing.assert_allclose(result.map, expected, atol=1e-5)
    assert result.map.dtype == np.float32
    assert result.reference == pytest.approx(float((image * weights).sum()) + 0.5, 1e-5)
    assert result.computed + result.skipped == result.positions


@pytest.mark.parametrize("baseline", ["mean", "black", "blurred", "mirror"])
def test_a_linear_model_for_every_patch_and_stride(baseline):
    """All cubes that fit, at all strides; edges of 6, 5 and 7 voxels."""
    shape = (6, 5, 7)
    draw = torch.Generator().manual_seed(2)
    image, weights = (torch.randn(shape, generator=draw) for _ in range(2))
    brain = torch.ones(shape, dtype=torch.bool)
    brain[:2, :, 5:] = False  # the brain has edges of its own

    def predict(volumes: Tensor) -> Tensor:
        return (volumes[:, 0].double() * weights).sum((1, 2, 3))

    for patch in range(1, 9):
        hidden = hide_all(image, brain, baseline, patch)
        drop = (weights.double() * (image - hidden)).numpy()
        for stride in range(1, patch + 1):
            settings = (image, brain, patch, stride, baseline, 512)
            found = occlusion_map(predict, *settings).map
            np.testing.assert_allclose(
                found, linear_map_of(drop, brain, patch, stride), atol=1e-5
            )


def linear_map_of(
    drop: np.ndarray, brain: Tensor, patch: int, stride: int
) -> np.ndarray:
    """Closed form by matrices: which cubes cover a voxel, and what is in them."""
    covers = []
    for edge in drop.shape:
        places = np.arange(edge)
        begins = np.array(starts(edge, patch, stride))[:, None]
        covers.append(((places >= begins) & (places < begins + patch)).astype(float))
    sums = np.einsum("ax,by,cz,xyz->abc", *covers, drop)
    total = np.einsum("ax,by,cz,abc->xyz", *covers, sums)
    count = np.einsum("ax,by,cz->xyz", *covers)
    return total / count * brain.numpy()


REGIONS = [
    (slice(0, 2), slice(0, 2), slice(0, 2)),
    (slice(9, 11), slice(7, 9), slice(6, 8)),
    (slice(4, 7), slice(0, 1), slice(3, 5)),
    (slice(10, 11), slice(3, 6), slice(7, 8)),
    (slice(3, 5), slice(4, 6), slice(2, 4)),
]


@pytest.mark.parametrize("patch", [1, 2, 3, 5])
@pytest.mark.parametrize("region", REGIONS)
def test_the_map_finds_a_known_region_exactly(region, patch):
    """Not 0 where a cube touches the region, and nowhere else; corners included."""
    draw = torch.Generator().manual_seed(3)
    image = 1 + torch.rand(SHAPE, generator=draw)
    brain = torch.ones(SHAPE, dtype=torch.bool)

    def predict(volumes: Tensor) -> Tensor:
        part = volumes[:, 0, region[0], region[1], region[2]].double()
        return torch.sigmoid(part.mean((1, 2, 3)) - 1)

    found = occlusion_map(predict, image, brain, patch, 1).map
    touched = np.zeros(SHAPE, dtype=bool)
    reach = [slice(max(r.start - patch + 1, 0), r.stop + patch - 1) for r in region]
    touched[tuple(reach)] = True
    np.testing.assert_array_equal(found != 0, touched)
    assert found[region].min() > 0
    assert found[region].max() == found.max()


def test_the_sign_says_what_speaks_for_the_output():
    """Years: a bright block that adds 3 years shows as +3, not as -3."""
    image, brain = torch.zeros(8, 8, 8), torch.ones(8, 8, 8, dtype=torch.bool)
    image[2:4, 2:4, 2:4] = 1.0

    def years(volumes: Tensor) -> Tensor:
        return 60.0 + 3.0 * volumes[:, 0, 2:4, 2:4, 2:4].mean((1, 2, 3))

    result = occlusion_map(years, image, brain, patch=2, stride=2)
    assert result.reference == pytest.approx(63.0)
    assert np.allclose(result.map[2:4, 2:4, 2:4], 3.0)
    assert np.count_nonzero(result.map) == 8


def test_only_positions_over_the_known_region_matter():
    image, brain = make_scan()
    image = image + 2.0 * brain

    def predict(volumes: Tensor) -> Tensor:
        return torch.sigmoid(volumes[:, 0, 5:7, 4:6, 2:4].double().sum((1, 2, 3)))

    result = occlusion_map(predict, image, brain, patch=3, stride=1)
    reached = np.zeros(SHAPE, dtype=bool)
    # A cube of edge 3 that touches 5:7 covers at most 3:9.
    reached[3:9, 2:8, 0:6] = True
    assert np.all(result.map[~reached] == 0)
    assert np.abs(result.map[5:7, 4:6, 2:4]).min() > 0
    assert np.all(result.map[~brain.numpy()] == 0)


def test_positions_that_change_nothing_are_not_computed():
    image, brain = torch.zeros(12, 12, 12), torch.ones(12, 12, 12, dtype=torch.bool)
    image[0, 0, 0] = 1.0  # elsewhere the image already is the baseline
    seen: list[Tensor] = []

    def predict(volumes: Tensor) -> Tensor:
        seen.append(volumes.clone())
        return volumes.sum((1, 2, 3, 4)) + torch.rand(())  # any call would show

    result = occlusion_map(predict, image, brain, patch=4, stride=4, batch_size=64)
    assert [len(volumes) for volumes in seen] == [1, 1]
    assert (result.positions, result.skipped) == (27, 26)
    assert np.all(result.map[4:] == 0)
    for volumes in seen[1:]:
        assert not torch.equal(volumes[0, 0], image)


def test_voxels_outside_the_brain_stay_as_they_are():
    image, brain = make_scan()
    image = image + 5.0

    def predict(volumes: Tensor) -> Tensor:
        for volume in volumes[:, 0]:
            assert torch.equal(volume[~brain], image[~brain])
        return volumes.sum((1, 2, 3, 4))

    occlusion_map(predict, image, brain, patch=4, stride=2)


def test_every_brain_voxel_is_covered():
    image, brain = make_scan()

    def predict(volumes: Tensor) -> Tensor:
        same = (volumes[:, 0] == image).flatten(1).all(1)
        return same.float()  # 1 whole, 0 hidden: each effect is 1

    image = image + 10.0 * brain
    result = occlusion_map(predict, image, brain, patch=3, stride=3)
    np.testing.assert_array_equal(result.map, brain.numpy().astype(np.float32))


def test_progress_counts_positions_and_can_stop():
    image, brain = make_scan()
    heard: list[Progress] = []

    def listen(progress: Progress) -> None:
        heard.append(progress)
        if progress.step and progress.step >= 4:
            raise Cancelled("enough")

    calls, shown = [], []

    def predict(volumes: Tensor) -> Tensor:
        calls.append(len(volumes))
        return volumes.sum((1, 2, 3, 4))

    with pytest.raises(Cancelled, match="enough"):
        occlusion_map(
            predict, image, brain, 4, 2, "mean", 2, listen, preview=shown.append
        )
    assert calls == [1, 2, 2]
    assert [event.step for event in heard] == [0, 2, 4]
    assert heard[-1].values["eta_s"] >= 0
    assert heard[-1].total is not None
    assert heard[-1].total > 4
    # What was found until then is not lost.
    (partial,) = shown
    assert not partial.complete
    assert partial.computed == 4
    assert np.count_nonzero(partial.map) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stride": 5}, "stride 5"),
        ({"brain_mask": torch.zeros(SHAPE, dtype=torch.bool)}, "empty"),
        ({"brain_mask": torch.ones(3, 3, 3, dtype=torch.bool)}, r"\(3, 3, 3\)"),
    ],
)
def test_wrong_inputs_are_named(change, message):
    image, brain = make_scan()
    arguments = {"image": image, "brain_mask": brain, "patch": 4, "stride": 2} | change
    with pytest.raises(ConfigError, match=message):
        occlusion_map(lambda volumes: volumes.sum((1, 2, 3, 4)), **arguments)
