from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrnet.distributions import WeightDistribution, WeightKind

SHAPE = (3, 2, 3, 3)


def random_distribution(kind: WeightKind, seed: int = 0) -> WeightDistribution:
    distribution = WeightDistribution(kind, SHAPE)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        distribution.logits.copy_(torch.randn(distribution.logits.shape, generator=generator))
    return distribution


@pytest.mark.parametrize(("kind", "values"), [("binary", {-1, 1}), ("ternary", {-1, 0, 1})])
def test_a_draw_has_only_the_values_of_its_kind(kind: WeightKind, values: set[int]) -> None:
    torch.manual_seed(0)
    drawn = random_distribution(kind).sample()
    assert drawn.dtype == torch.int8
    assert set(drawn.unique().tolist()) == values


@pytest.mark.parametrize("kind", ["binary", "ternary"])
def test_draws_have_the_moments_that_are_said(kind: WeightKind) -> None:
    torch.manual_seed(1)
    distribution = random_distribution(kind)
    draws = torch.stack([distribution.sample().double() for _ in range(4000)])
    mean, variance = distribution.moments()
    # Five standard errors: of a mean √(1/n) at most, of a variance of values in ±1 under 2/√n.
    torch.testing.assert_close(draws.mean(0), mean.double(), atol=5 / math.sqrt(4000), rtol=0)
    torch.testing.assert_close(draws.var(0), variance.double(), atol=10 / math.sqrt(4000), rtol=0)


@pytest.mark.parametrize("kind", ["binary", "ternary"])
def test_gradients_of_the_moments_and_the_entropy_agree_with_finite_differences(kind: WeightKind) -> None:
    distribution = random_distribution(kind).double()
    original = distribution.logits.detach().clone()

    def of(logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        moments = torch.func.functional_call(_Moments(distribution), {"inner.logits": logits}, ())
        return tuple(moments)

    assert torch.autograd.gradcheck(of, (original.requires_grad_(),))


class _Moments(torch.nn.Module):
    def __init__(self, inner: WeightDistribution) -> None:
        super().__init__()
        self.inner = inner

    def forward(self) -> tuple[torch.Tensor, ...]:
        return (*self.inner.moments(), self.inner.entropy())


def test_weights_without_preference_have_the_largest_entropy() -> None:
    assert WeightDistribution("ternary", SHAPE).entropy().item() == pytest.approx(math.log(3))
    assert WeightDistribution("binary", SHAPE).entropy().item() == pytest.approx(math.log(2))


def test_float_weights_become_the_nearest_values() -> None:
    distribution = WeightDistribution("ternary", (1, 4, 1, 1))
    # Their mean square is 1; the last lies a little nearer to 0 than to -1.
    weights = torch.tensor([1.4, -1.2, 0.6090977, -0.48]).view(1, 4, 1, 1)
    distribution.start_from(weights)
    assert distribution.most_probable().flatten().tolist() == [1, -1, 1, 0]


def test_a_float_weight_has_the_probabilities_that_its_distances_give() -> None:
    distribution = WeightDistribution("ternary", (1, 2, 1, 1))
    # Scaled to a mean square of 1 they are 0.5 and √1.75; exp(-4 d²) of the distances 1.5, 0.5 and 0.5 is
    # 0.0001234, 0.3678794 and 0.3678794.
    distribution.start_from(torch.tensor([1.0, 7**0.5]).view(1, 2, 1, 1))
    assert distribution.probabilities()[:, 0, 0].flatten().tolist() == pytest.approx(
        [0.00016771, 0.49991614, 0.49991614], rel=1e-3
    )


def test_a_higher_sharpness_puts_more_mass_on_the_nearest_value() -> None:
    distribution = WeightDistribution("ternary", (1, 2, 1, 1))
    # Of 0.8 and √1.36, which is cut to 1, the first: exp(-8 d²) of the distances 1.8, 0.8 and 0.2,
    # but no logit is more than 10 under another: exp(-10) = 4.54e-5.
    distribution.start_from(torch.tensor([0.8, 1.36**0.5]).view(1, 2, 1, 1), sharpness=8.0)
    first = distribution.probabilities()[:, 0, 0, 0, 0].tolist()
    assert first == pytest.approx([4.5e-5, 0.00816, 0.99179], rel=1e-2)


def test_a_channel_of_zeros_becomes_zeros() -> None:
    distribution = WeightDistribution("ternary", (1, 4, 1, 1))
    distribution.start_from(torch.zeros(1, 4, 1, 1))
    assert distribution.most_probable().flatten().tolist() == [0, 0, 0, 0]
    assert distribution.logits.isfinite().all()


@given(st.floats(0.02, 0.6))
@settings(max_examples=10, deadline=None)
def test_steering_reaches_the_entropy_that_is_asked_for(target: float) -> None:
    distribution = random_distribution("ternary")
    for _ in range(200):
        distribution.steer(target)
    assert distribution.entropy().item() == pytest.approx(target, rel=0.02)


def test_logits_are_clipped_to_five() -> None:
    distribution = random_distribution("binary")
    with torch.no_grad():
        distribution.logits.mul_(100)
    distribution.clip()
    assert distribution.logits.abs().max().item() == 5.0
