"""Losses against slow references written with loops, and against closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from napari_neuropretrain.config.options.methods import SimClrOptions
from napari_neuropretrain.methods.barlow_twins import barlow_parts
from napari_neuropretrain.methods.batch import PretrainBatch
from napari_neuropretrain.methods.simclr import SimClr, nt_xent, pairing_accuracy
from napari_neuropretrain.methods.supervised import binary_loss, number_loss
from napari_neuropretrain.methods.vicreg import vicreg_parts
from napari_neuropretrain.methods.y_aware import kernel_weights, y_aware_info_nce
from napari_neuropretrain.training.memory import smallest_batch


def two_views(count: int = 5, width: int = 7, seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.randn(count, width), torch.randn(count, width)


AGES = torch.tensor([20.0, 23.0, 28.0, 41.0, 80.0])


def cosine(one: Tensor, other: Tensor) -> float:
    return float(one @ other / (one.norm() * other.norm()))


def slow_log_shares(views: list[Tensor], temperature: float) -> list[list[float]]:
    """log of exp(s_ik) over the sum of exp(s_ij) of all j but i, by loops."""
    rows = []
    for i, one in enumerate(views):
        scores = [math.exp(cosine(one, two) / temperature) for two in views]
        total = sum(score for j, score in enumerate(scores) if j != i)
        rows.append([math.log(score / total) for score in scores])
    return rows


def slow_nt_xent(first: Tensor, second: Tensor, temperature: float) -> float:
    views, count = [*first, *second], len(first)
    shares = slow_log_shares(views, temperature)
    terms = [-shares[i][(i + count) % (2 * count)] for i in range(2 * count)]
    return sum(terms) / len(terms)


def slow_y_aware(
    first: Tensor, second: Tensor, ages: Tensor, sigma: float, temperature: float
) -> float:
    views, years = [*first, *second], ages.tolist() * 2
    shares = slow_log_shares(views, temperature)
    total = 0.0
    for i in range(len(views)):
        kernel = {
            k: math.exp(-((years[i] - years[k]) ** 2) / (2 * sigma**2))
            for k in range(len(views))
            if k != i
        }
        total -= sum(w / sum(kernel.values()) * shares[i][k] for k, w in kernel.items())
    return total / len(views)


def official_y_aware(
    first: Tensor, second: Tensor, ages: Tensor, sigma: float, temperature: float
) -> float:
    """As the published code: weights over their row sums along the wrong axis."""
    count, years = len(first), ages.repeat(2)
    weights = torch.exp(-((years[:, None] - years[None]) ** 2) / (2 * sigma**2))
    weights = weights * (1 - torch.eye(2 * count))
    weights = weights / weights.sum(dim=1)  # broadcasts over the last axis
    shares = torch.tensor(slow_log_shares([*first, *second], temperature))
    return float(-(weights * shares).sum() / count)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_nt_xent_is_the_loop_over_pairs(temperature: float) -> None:
    first, second = two_views()
    expected = slow_nt_xent(first, second, temperature)
    found = float(nt_xent(first, second, temperature))
    assert found == pytest.approx(expected, rel=1e-5)


def test_nt_xent_of_orthogonal_pairs() -> None:
    # The partner has cosine 1 and each of the six others 0.
    pairs = 3.0 * torch.eye(4)
    for temperature in (0.2, 1.0):
        expected = math.log(1 + 6 * math.exp(-1 / temperature))
        assert float(nt_xent(pairs, pairs, temperature)) == pytest.approx(expected)
    # All alike: a guess among seven.
    same = torch.ones(4, 3)
    assert float(nt_xent(same, same, 0.1)) == pytest.approx(math.log(7), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_nt_xent_does_not_overflow_in_half_precision(dtype: torch.dtype) -> None:
    pairs = torch.eye(4, dtype=dtype, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nt_xent(pairs, pairs.flip(0), 0.005)
    assert loss.dtype is torch.float32
    assert loss.item() == pytest.approx(200.0)  # exp(200) has no float32
    loss.backward()
    assert pairs.grad is not None
    assert bool(pairs.grad.isfinite().all())


@pytest.mark.parametrize("sigma", [1.0, 5.0, 50.0])
def test_y_aware_is_the_loop_over_pairs(sigma: float) -> None:
    first, second = two_views()
    expected = slow_y_aware(first, second, AGES, sigma, 0.1)
    found = float(y_aware_info_nce(first, second, AGES, sigma, 0.1))
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_official_variant_is_the_published_code() -> None:
    first, second = two_views()
    expected = official_y_aware(first, second, AGES, 5.0, 0.1)
    found = float(y_aware_info_nce(first, second, AGES, 5.0, 0.1, "official"))
    assert found == pytest.approx(expected, rel=1e-5)
    weights = kernel_weights(AGES.repeat(2), 5.0, "official")
    assert weights.sum(dim=0).tolist() == pytest.approx([1.0] * 10)
    assert max(abs(weights.sum(dim=1) - 1)) > 0.01
    rows = kernel_weights(AGES.repeat(2), 5.0, "row")
    assert rows.sum(dim=1).tolist() == pytest.approx([1.0] * 10)
    assert rows.diagonal().tolist() == [0.0] * 10


def test_y_aware_without_near_ages_is_nt_xent() -> None:
    first, second = two_views()
    found = float(y_aware_info_nce(first, second, AGES, 0.01, 0.1))
    assert found == pytest.approx(float(nt_xent(first, second, 0.1)), rel=1e-6)
    twice = float(y_aware_info_nce(first, second, AGES, 0.01, 0.1, "official"))
    assert twice == pytest.approx(2 * found, rel=1e-6)


def test_y_aware_of_one_age_takes_every_view_as_positive() -> None:
    # One partner with cosine 1, six others with 0, all weighted 1/7.
    pairs, ages = torch.eye(4), torch.full((4,), 60.0)
    expected = math.log(math.e + 6) - 1 / 7
    found = float(y_aware_info_nce(pairs, pairs, ages, 5.0, 1.0))
    assert found == pytest.approx(expected, rel=1e-6)


def test_pairing_accuracy_counts_partners() -> None:
    pairs = torch.eye(4)
    assert float(pairing_accuracy(pairs, pairs)) == 1.0
    mixed = pairs[[1, 0, 2, 3]]  # two of four volumes swapped
    assert float(pairing_accuracy(pairs, mixed)) == 0.5


def test_vicreg_is_the_loop_over_outputs() -> None:
    first, second = two_views()
    found = vicreg_parts(first, second)
    count, width = first.shape
    differences = [(a - b) ** 2 for a, b in zip(first, second, strict=True)]
    invariance = float(torch.stack(differences).mean())
    hinge = covariance = 0.0
    for view in (first, second):
        centred = view - view.mean(dim=0)
        for i in range(width):
            for j in range(width):
                shared = float((centred[:, i] * centred[:, j]).sum()) / (count - 1)
                if i == j:
                    hinge += max(0.0, 1 - math.sqrt(shared + 1e-4)) / width / 2
                else:
                    covariance += shared**2 / width
    expected = {"invariance": invariance, "variance": hinge, "covariance": covariance}
    assert {k: float(v) for k, v in found.items()} == pytest.approx(expected, rel=1e-5)


def test_vicreg_of_constant_outputs() -> None:
    same = torch.ones(4, 3)
    found = {name: float(part) for name, part in vicreg_parts(same, same).items()}
    assert found == pytest.approx(
        {"invariance": 0.0, "variance": 1 - 0.01, "covariance": 0.0}
    )
    # Uncorrelated outputs of unit variance cost nothing.
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    free = vicreg_parts(corners, corners)
    assert sum(float(part) for part in free.values()) == pytest.approx(0, abs=1e-6)


def test_barlow_is_the_loop_over_outputs() -> None:
    first, second = two_views(8)
    invariance = redundancy = 0.0
    for i in range(first.shape[1]):
        for j in range(first.shape[1]):
            pair = torch.stack((first[:, i], second[:, j]))
            correlation = float(torch.corrcoef(pair)[0, 1])
            if i == j:
                invariance += (correlation - 1) ** 2
            else:
                redundancy += correlation**2
    found = barlow_parts(first, second)
    assert float(found["invariance"]) == pytest.approx(invariance, rel=1e-3)
    assert float(found["redundancy"]) == pytest.approx(redundancy, rel=1e-3)


def test_barlow_of_equal_and_of_opposite_views() -> None:
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    equal = barlow_parts(corners, corners)
    assert float(equal["invariance"]) == pytest.approx(0, abs=1e-6)
    assert float(equal["redundancy"]) == pytest.approx(0, abs=1e-6)
    # Correlations of -1 for both outputs: (-1 - 1)^2 each.
    opposite = barlow_parts(corners, -corners)
    assert float(opposite["invariance"]) == pytest.approx(8, rel=1e-4)
    # Both outputs the same: both other correlations are 1.
    doubled = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    assert float(barlow_parts(doubled, doubled)["redundancy"]) == pytest.approx(
        2, rel=1e-4
    )


def test_supervised_losses_in_closed_form() -> None:
    logits, targets = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0])
    expected = (math.log(2) + math.log(1 + math.exp(2))) / 2
    assert float(binary_loss(logits, targets)) == pytest.approx(expected)
    assert float(number_loss(logits, targets)) == pytest.approx(1.5)


@pytest.mark.parametrize("loss", [nt_xent, y_aware_info_nce, vicreg_parts])
def test_gradients_agree_with_finite_differences(loss: object) -> None:
    first, second = (one.double().requires_grad_() for one in two_views(3, 4))

    def total(one: Tensor, other: Tensor) -> Tensor:
        if loss is nt_xent:
            return nt_xent(one, other, 0.5)
        if loss is y_aware_info_nce:
            return y_aware_info_nce(one, other, AGES[:3], 5.0, 0.5)
        return torch.stack(list(vicreg_parts(one, other).values())).sum()

    assert torch.autograd.gradcheck(total, (first, second))


def test_methods_that_compare_volumes_never_get_one_alone(
    toy_network: Callable[..., nn.Module],
) -> None:
    options = SimClrOptions(projector=(8, 4))
    method = SimClr(options, toy_network("vit_8m"))  # without batch normalisation
    assert smallest_batch(method) == 2
    volumes = torch.randn(3, 1, 32, 32, 32)
    parts = method.loss(PretrainBatch((volumes, volumes)))
    assert float(parts["accuracy"]) == 1.0
    # A view and its copy have cosine 1, the largest there is.
    assert parts["loss"].item() < math.log(5)
