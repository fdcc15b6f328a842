"""The stochastic layer as a whole: its moments against 100,000 draws, its gradients against finite differences."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lrnet.discrete import Operation
from lrnet.distributions import WeightDistribution, WeightKind
from lrnet.layers import (
    Gaussian,
    StochasticLayer,
    convolve,
    pad,
    preactivation,
    sample,
    straight_through_sign,
)
from lrnet.noise import normal_like

DRAWS = 100_000
AT_ONCE = 2000
CENTRE = -40.0

OPERATIONS = {
    "padded bits": Operation("conv", "conv2d", "bits", 3, "binary", kernel=3, padding=1),
    "bits in strides": Operation("conv", "conv2d", "bits", 3, "ternary", kernel=3, stride=2),
    "linear": Operation("linear", "linear", "bits", 3, "ternary"),
    "pixels": Operation("conv", "conv2d", "image", 3, "ternary", kernel=3, padding=1),
}


def layer_and_input(operation: Operation) -> tuple[StochasticLayer, Tensor]:
    """A layer with random parameters, and two inputs [2, 2, 5, 5]."""
    torch.manual_seed(0)
    layer = StochasticLayer(operation, (5, 5, 2), CENTRE)
    with torch.no_grad():
        layer.weights.logits.normal_()
        layer.weights.inverse_temperature.fill_(1.3)
        layer.norm.gamma.normal_()
        layer.norm.beta.normal_()
    if operation.input == "image":
        return layer, torch.randint(-128, 128, (2, 2, 5, 5)).float()
    return layer, torch.randint(0, 2, (2, 2, 5, 5)).float() * 2 - 1


def copies(weights: WeightDistribution, kind: WeightKind) -> WeightDistribution:
    """AT_ONCE times the same channels, so that one draw is a draw of as many networks."""
    _, out, *shape = weights.logits.shape
    many = WeightDistribution(kind, (AT_ONCE * out, *shape))
    with torch.no_grad():
        many.logits.copy_(weights.logits.repeat(1, AT_ONCE, 1, 1, 1))
        many.inverse_temperature.copy_(weights.inverse_temperature)
    return many


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_moments_of_a_sum_are_those_of_a_hundred_thousand_drawn_networks(name: str) -> None:
    operation = OPERATIONS[name]
    layer, values = layer_and_input(operation)
    gaussian = preactivation(operation, layer.weights, values, CENTRE)
    # Over pixels the variance is that of centred ones; the mean keeps what centring takes away.
    shift = CENTRE if operation.input == "image" else 0.0
    padded = pad(operation, values) - shift
    kept = shift * layer.weights.moments()[0].sum(dim=(1, 2, 3)).view(1, -1, 1, 1)
    expected = (gaussian.mean - kept).double()
    powers = torch.zeros(3, *expected.shape, dtype=torch.float64)
    many = copies(layer.weights, operation.weights)
    for _ in range(DRAWS // AT_ONCE):
        sums = convolve(operation, padded, many.sample().float())
        sums = sums.unflatten(1, (AT_ONCE, -1)).transpose(0, 1)
        around = sums.double() - expected
        powers += torch.stack([around.pow(power).sum(dim=0) for power in (1, 2, 4)])
    mean, second, fourth = powers / DRAWS
    variance = gaussian.variance.expand_as(gaussian.mean).double()
    # Five standard errors: of a mean √(σ²/n), of a variance √((μ₄ - σ⁴)/n).
    assert (mean.abs() < 5 * (variance / DRAWS).sqrt()).all()
    assert ((second - variance).abs() < 5 * ((fourth - second.square()) / DRAWS).sqrt()).all()


def test_a_pool_of_a_layer_fires_as_often_as_its_four_independent_bits_say() -> None:
    operation = Operation("conv", "conv2d", "bits", 3, "ternary", kernel=2, pool=2)
    layer, values = layer_and_input(operation)
    with torch.no_grad():
        gaussian = layer.norm(preactivation(operation, layer.weights, values, CENTRE))
        fired = torch.special.ndtr((gaussian.mean / gaussian.variance.sqrt()).double())
        expected = 1 - (1 - fired).unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).prod(dim=4)
        # Batch norm's moments of a repeated batch are the batch's.
        many = values.repeat(AT_ONCE, 1, 1, 1)
        count = sum((layer(many) > 0).unflatten(0, (AT_ONCE, 2)).sum(dim=0) for _ in range(DRAWS // AT_ONCE))
    assert expected.shape == (2, 3, 2, 2)
    error = 5 * (expected * (1 - expected) / DRAWS).sqrt() + 1e-5
    assert ((count / DRAWS - expected).abs() < error).all()


class WithNoise(torch.nn.Module):
    """A layer that draws the same noise every time, and so can be differentiated."""

    def __init__(self, layer: StochasticLayer) -> None:
        super().__init__()
        self.layer = layer

    def moments(self, values: Tensor) -> Gaussian:
        layer = self.layer
        return layer.norm(preactivation(layer.operation, layer.weights, values, CENTRE))

    def drawn(self, values: Tensor) -> Tensor:
        """What the sign is taken of."""
        torch.manual_seed(7)
        gaussian = self.moments(values)
        drawn = sample(gaussian, normal_like(gaussian.mean))
        return F.max_pool2d(drawn, 2) if self.layer.operation.pool == 2 else drawn

    def forward(self, values: Tensor, part: str) -> Tensor | Gaussian:
        if part == "moments":
            return self.moments(values)
        if part == "drawn":
            return self.drawn(values)
        torch.manual_seed(7)
        return self.layer(values)


PARAMETERS = ("layer.weights.logits", "layer.norm.gamma", "layer.norm.beta")


def leaves(layer: StochasticLayer, values: Tensor) -> tuple[WithNoise, list[Tensor]]:
    """Float64 throughout: the layer, and what it is differentiated by, its three parameters and its input."""
    network = WithNoise(layer.double())
    parameters = dict(network.named_parameters())
    found = [parameters[name] for name in PARAMETERS] + [values.double()]
    return network, [each.detach().clone().requires_grad_() for each in found]


@pytest.mark.parametrize("part", ["moments", "drawn", "layer"])
@pytest.mark.parametrize("name", ["padded bits", "linear", "pixels"])
def test_gradients_of_a_whole_layer_agree_with_finite_differences(name: str, part: str) -> None:
    # As a last layer it gives what it draws.
    operation = OPERATIONS[name]
    layer, values = layer_and_input(
        Operation(**{**vars(operation), "output": "floats"}) if part == "layer" else operation
    )
    network, inputs = leaves(layer, values / 128 if operation.input == "image" else values)

    def of(*tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        *parameters, image = tensors
        named = dict(zip(PARAMETERS, parameters, strict=True))
        found = torch.func.functional_call(network, named, (image, part))
        return found if isinstance(found, Tensor) else tuple(found)

    assert torch.autograd.gradcheck(of, inputs)


def test_gradients_through_a_pool_of_draws_agree_with_finite_differences() -> None:
    layer, values = layer_and_input(Operation("conv", "conv2d", "bits", 3, "ternary", kernel=2, pool=2))
    network, inputs = leaves(layer, values)

    def of(*tensors: Tensor) -> Tensor:
        *parameters, image = tensors
        return torch.func.functional_call(
            network, dict(zip(PARAMETERS, parameters, strict=True)), (image, "drawn")
        )

    assert torch.autograd.gradcheck(of, inputs)


@pytest.mark.parametrize("pool", [1, 2])
def test_a_layers_gradients_are_those_of_hardtanh_in_the_place_of_the_sign(pool: int) -> None:
    layer, values = layer_and_input(Operation("conv", "conv2d", "bits", 3, "ternary", kernel=2, pool=pool))
    network, inputs = leaves(layer, values)

    def gradients(hard: bool) -> tuple[Tensor, ...]:
        *parameters, image = inputs
        named = dict(zip(PARAMETERS, parameters, strict=True))
        result = torch.func.functional_call(network, named, (image, "drawn" if hard else "layer"))
        result = F.hardtanh(result) if hard else result
        weights = torch.linspace(-1, 1, result.numel(), dtype=torch.float64).view_as(result)
        return torch.autograd.grad((result * weights).sum(), inputs)

    drawn = network.drawn(values.double())
    assert (drawn.abs() < 1).any()
    assert (drawn.abs() > 1).any()
    for straight, hard in zip(gradients(hard=False), gradients(hard=True), strict=True):
        assert straight.abs().max() > 0
        torch.testing.assert_close(straight, hard)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_a_straight_through_gradient_is_the_one_from_above_within_the_window_and_zero_outside(
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = (2 * torch.randn(50, generator=generator)).requires_grad_()
    above = torch.randn(50, generator=generator)
    (gradient,) = torch.autograd.grad(straight_through_sign(values), values, above)
    assert gradient.tolist() == [
        upstream if -1 <= value <= 1 else 0.0
        for value, upstream in zip(values.tolist(), above.tolist(), strict=True)
    ]


def test_the_deviation_of_a_draw_is_the_gaussians() -> None:
    torch.manual_seed(0)
    gaussian = Gaussian(torch.full((DRAWS, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 9.0))
    drawn = sample(gaussian, normal_like(gaussian.mean)).double()
    assert float(drawn.mean()) == pytest.approx(2.0, abs=5 * 3 / math.sqrt(DRAWS))
    assert float(drawn.var()) == pytest.approx(9.0, rel=5 * math.sqrt(2 / DRAWS))
