from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lrnet.discrete import Operation
from lrnet.distributions import WeightDistribution, WeightKind
from lrnet.layers import (
    Gaussian,
    MomentBatchNorm,
    StochasticLayer,
    batch_moments,
    convolve,
    pad,
    preactivation,
    sample,
    straight_through_sign,
    weight_shape,
)

DRAWS = 2000


def conv(source: str, **attributes: int) -> Operation:
    return Operation("conv", "conv2d", source, out=3, weights="ternary", **{"kernel": 3, **attributes})


def drawn_sums(operation: Operation, distribution: WeightDistribution, padded: torch.Tensor) -> torch.Tensor:
    """Sums [DRAWS, n, out, H, W] of as many networks, all drawn at once as channels of one."""
    _, *shape = distribution.logits.shape
    many = WeightDistribution(
        "ternary" if len(distribution.values) == 3 else "binary", (DRAWS * shape[0], *shape[1:])
    )
    with torch.no_grad():
        many.logits.copy_(distribution.logits.repeat(1, DRAWS, 1, 1, 1))
    sums = convolve(operation, padded, many.sample().float())
    return sums.unflatten(1, (DRAWS, shape[0])).transpose(0, 1).double()


def random_distribution(kind: WeightKind, shape: tuple[int, int, int, int]) -> WeightDistribution:
    distribution = WeightDistribution(kind, shape)
    with torch.no_grad():
        distribution.logits.normal_()
    return distribution


@pytest.mark.parametrize("kind", ["binary", "ternary"])
@pytest.mark.parametrize("padding", [0, 1])
def test_sums_over_bits_have_the_moments_of_drawn_networks(kind: WeightKind, padding: int) -> None:
    torch.manual_seed(0)
    operation = conv("bits", padding=padding)
    distribution = random_distribution(kind, (3, 4, 3, 3))
    bits = torch.randint(0, 2, (2, 4, 5, 5)).float() * 2 - 1
    sums = drawn_sums(operation, distribution, pad(operation, bits))
    gaussian = preactivation(operation, distribution, bits)
    # 36 weights of variance 1 at most: a deviation under 6. Five standard errors.
    torch.testing.assert_close(sums.mean(0), gaussian.mean.double(), atol=5 * 6 / math.sqrt(DRAWS), rtol=0)
    variance = gaussian.variance.expand_as(gaussian.mean).double()
    torch.testing.assert_close(sums.var(0), variance, atol=0, rtol=5 * math.sqrt(2 / DRAWS))


def test_the_variance_over_pixels_is_that_of_sums_over_centred_pixels() -> None:
    torch.manual_seed(0)
    operation = conv("image", padding=1)
    distribution = random_distribution("ternary", (3, 1, 3, 3))
    pixels = torch.randint(-128, 128, (2, 1, 5, 5)).float()
    gaussian = preactivation(operation, distribution, pixels, centre=-90.0)
    variance = drawn_sums(operation, distribution, pad(operation, pixels) + 90.0).var(0)
    torch.testing.assert_close(variance, gaussian.variance.double(), atol=0, rtol=5 * math.sqrt(2 / DRAWS))


def test_pixels_are_padded_with_zero_and_bits_with_minus_one() -> None:
    values = torch.ones(1, 1, 1, 1)
    assert pad(conv("image", padding=1), values).flatten().tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert pad(conv("bits", padding=1), values).flatten().tolist() == [-1, -1, -1, -1, 1, -1, -1, -1, -1]


def test_a_linear_layer_is_a_convolution_over_its_whole_input() -> None:
    torch.manual_seed(0)
    linear = Operation("linear", "linear", "bits", out=5, weights="binary")
    weights = torch.randn(weight_shape(linear, (4, 3, 2)))
    values = torch.randn(6, 2, 4, 3)
    torch.testing.assert_close(convolve(linear, values, weights), F.conv2d(values, weights))


def test_moments_of_a_batch_are_those_of_draws_from_it() -> None:
    torch.manual_seed(0)
    mean = torch.randn(4, 2, 3, 3) * torch.tensor([1.0, 3.0]).view(1, 2, 1, 1) + 1
    gaussian = Gaussian(mean, torch.rand(4, 2, 3, 3) * 2)
    draws = (
        torch.stack([sample(gaussian, torch.randn_like(gaussian.mean)) for _ in range(4000)])
        .transpose(0, 2)
        .flatten(1)
    )
    expected_mean, expected_variance = draws.double().mean(1), draws.double().var(1)
    mean, variance = batch_moments(gaussian)
    torch.testing.assert_close(mean.double(), expected_mean, atol=0.02, rtol=0)
    torch.testing.assert_close(variance.double(), expected_variance, atol=0, rtol=0.02)


def test_batch_norm_of_gaussians_without_variance_is_batch_norm() -> None:
    torch.manual_seed(0)
    values = torch.randn(5, 3, 4, 4) * 7 + 2
    norm = MomentBatchNorm(3)
    with torch.no_grad():
        norm.gamma.copy_(torch.tensor([1.0, -2.0, 0.5]))
        norm.beta.copy_(torch.tensor([0.0, 1.0, -1.0]))
    result = norm(Gaussian(values, torch.zeros(1, 3, 1, 1)))
    expected = F.batch_norm(values, None, None, norm.gamma, norm.beta, training=True)
    torch.testing.assert_close(result.mean, expected)


def test_normalized_gaussians_have_variance_one_in_total() -> None:
    torch.manual_seed(0)
    norm = MomentBatchNorm(3)
    result = norm(Gaussian(torch.randn(5, 3, 4, 4) * 4 + 9, torch.rand(1, 3, 1, 1) * 30))
    mean, variance = batch_moments(result)
    torch.testing.assert_close(mean, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(variance, torch.ones(3), atol=1e-4, rtol=0)


def test_gradients_through_batch_norm_agree_with_finite_differences() -> None:
    torch.manual_seed(0)
    norm = MomentBatchNorm(2).double()
    mean = torch.randn(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    variance = (torch.rand(1, 2, 1, 1, dtype=torch.float64) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda m, v: tuple(norm(Gaussian(m, v))), (mean, variance))


def test_gradients_of_a_sum_reach_the_logits_as_finite_differences_say() -> None:
    torch.manual_seed(0)
    distribution = random_distribution("ternary", (3, 2, 3, 3)).double()
    bits = (torch.randint(0, 2, (2, 2, 4, 4)) * 2 - 1).double()

    class Sums(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.distribution = distribution

        def forward(self) -> tuple[torch.Tensor, torch.Tensor]:
            return tuple(preactivation(conv("bits", padding=1), self.distribution, bits))

    def of(logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.func.functional_call(Sums(), {"distribution.logits": logits}, ())

    assert torch.autograd.gradcheck(of, (distribution.logits.detach().clone().requires_grad_(),))


def test_a_sign_is_plus_one_at_zero_and_passes_gradients_within_one() -> None:
    values = torch.tensor([-1.5, -1.0, -0.2, 0.0, 0.2, 1.0, 1.5], requires_grad=True)
    signs = straight_through_sign(values)
    signs.sum().backward()
    assert signs.tolist() == [-1, -1, -1, 1, 1, 1, 1]
    assert values.grad is not None
    assert values.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None)
def test_drawn_signs_and_pools_of_them_are_plus_one_as_often_as_gaussians_say(seed: int) -> None:
    torch.manual_seed(seed)
    draws = 4000
    gaussian = Gaussian(torch.randn(1, 2, 4, 4) - 1, torch.rand(1, 2, 4, 4) + 0.05)
    drawn = sample(gaussian, torch.randn(draws, 2, 4, 4))
    # P(+1) = Φ(m / √v); a pool is -1 only where all four bits are.
    probability = torch.special.ndtr(gaussian.mean / gaussian.variance.sqrt()).double()
    minus = 1 - probability
    pooled = (
        1 - minus[:, :, ::2, ::2] * minus[:, :, 1::2, ::2] * minus[:, :, ::2, 1::2] * minus[:, :, 1::2, 1::2]
    )
    # Five standard errors of a frequency, at most √(1/4n) each.
    error = 5 * 0.5 / math.sqrt(draws)
    signs = straight_through_sign(drawn)
    torch.testing.assert_close((signs > 0).double().mean(0, keepdim=True), probability, atol=error, rtol=0)
    signs = straight_through_sign(F.max_pool2d(drawn, 2))
    torch.testing.assert_close((signs > 0).double().mean(0, keepdim=True), pooled, atol=error, rtol=0)


def test_the_maximum_before_the_sign_is_the_or_of_bits_after_it() -> None:
    torch.manual_seed(0)
    values = torch.randn(3, 4, 5, 5)
    before = straight_through_sign(F.max_pool2d(values, 2))
    after = F.max_pool2d(straight_through_sign(values), 2)
    assert torch.equal(before, after)


def test_a_layer_gives_bits_of_the_pooled_size_and_drops_an_odd_last_row() -> None:
    torch.manual_seed(0)
    layer = StochasticLayer(conv("image", pool=2), (9, 8, 1), centre=0.0)
    bits = layer(torch.randn(2, 1, 9, 8))
    assert bits.shape == (2, 3, 3, 3)
    assert set(bits.unique().tolist()) <= {-1.0, 1.0}
