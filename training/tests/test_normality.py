"""The Gaussian that training takes a sum for, against sums of drawn weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lrnet.discrete import Operation
from lrnet.layers import StochasticLayer
from lrnet.normality import Unit, distances, sample_units
from lrnet.observe import observe

DRAWS = 20_000


def layer_of(operation: Operation, source: tuple[int, int, int], centre: float = 0.0) -> StochasticLayer:
    """A layer of random logits, γ and β."""
    torch.manual_seed(0)
    layer = StochasticLayer(operation, source, centre)
    with torch.no_grad():
        layer.weights.logits.normal_()
        layer.weights.inverse_temperature.fill_(1.7)
        layer.norm.gamma.normal_()
        layer.norm.beta.normal_()
    return layer


def units_of(layer: StochasticLayer, values: torch.Tensor, count: int = 12) -> list[Unit]:
    return sample_units(layer, values, observe(layer, values), count, DRAWS)


def bits(*shape: int) -> torch.Tensor:
    return torch.randint(0, 2, shape).float() * 2 - 1


CASES = {
    "bits": (Operation("conv", "conv2d", "bits", 8, "binary", kernel=3, padding=1), (7, 6, 40), 0.0),
    "strides": (Operation("conv", "conv2d", "bits", 8, "ternary", kernel=3, stride=2), (7, 6, 40), 0.0),
    "linear": (Operation("linear", "linear", "bits", 8, "ternary"), (4, 3, 30), 0.0),
    "pixels": (Operation("conv", "conv2d", "image", 8, "ternary", kernel=5, padding=2), (9, 9, 3), -70.5),
}


@pytest.mark.parametrize("case", CASES)
def test_drawn_sums_have_the_mean_and_the_deviation_of_their_gaussian(case: str) -> None:
    operation, source, centre = CASES[case]
    layer = layer_of(operation, source, centre)
    height, width, channels = source
    values = (
        torch.randint(-128, 128, (5, channels, height, width)).float()
        if operation.input == "image"
        else bits(5, channels, height, width)
    )
    units = units_of(layer, values)
    assert len(units) == 12
    for unit in units:
        assert len(unit.sums) == DRAWS
        # Five standard errors of a mean, and of a deviation.
        assert abs(unit.sums.mean() - unit.mean) < 5 * unit.deviation / math.sqrt(DRAWS)
        assert unit.sums.std() == pytest.approx(unit.deviation, rel=5 / math.sqrt(2 * DRAWS))
        assert np.array_equal(unit.sums, np.sort(unit.sums))


@pytest.mark.parametrize("case", ["bits", "linear"])
def test_wide_sums_of_undecided_weights_are_gaussian_but_for_being_whole_numbers(case: str) -> None:
    operation, source, _ = CASES[case]
    height, width, channels = source
    for unit in units_of(layer_of(operation, source), bits(5, channels, height, width)):
        assert np.array_equal(unit.sums, unit.sums.round())
        # Half of the most frequent number's probability, and what 20,000 draws leave open.
        step = 2 if operation.weights == "binary" else 1
        most_frequent = step / (unit.deviation * math.sqrt(2 * math.pi))
        assert unit.kolmogorov_smirnov < most_frequent / 2 + 0.015
        assert abs(unit.firing[0] - unit.firing[1]) < most_frequent / 2 + 0.015


def test_sums_of_one_undecided_weight_are_far_from_gaussian() -> None:
    layer = layer_of(Operation("linear", "linear", "bits", 1, "binary"), (1, 1, 50))
    with torch.no_grad():
        layer.weights.logits[:, 0, :, 0, 0] = torch.tensor([-1e6, 1e6]).view(2, 1)
        layer.weights.logits[:, 0, 0] = 0
    (unit, *_) = units_of(layer, torch.ones(5, 50, 1, 1))
    assert set(unit.sums) == {48, 50}
    # ±1 against N(0, 1): Φ(1) - 1/2, less or more what 20,000 draws leave open.
    assert unit.kolmogorov_smirnov == pytest.approx(0.3413, abs=0.02)


def test_the_firing_rate_of_a_gaussian_is_that_of_the_bits_that_the_layer_draws() -> None:
    operation = Operation("linear", "linear", "bits", 6, "ternary")
    layer = layer_of(operation, (1, 1, 200))
    with torch.no_grad():
        layer.norm.gamma.copy_(torch.tensor([1.0, -1.0, 2.0, -2.0, 0.5, -0.5]))
    values = bits(4, 200, 1, 1)
    # Batch norm's moments of a repeated batch are the batch's.
    drawn = layer(values.repeat(DRAWS, 1, 1, 1)).view(DRAWS, 4, 6)
    rates = (drawn > 0).double().mean(dim=0)
    for unit in units_of(layer, values):
        expected, sampled = unit.firing
        assert expected == pytest.approx(
            float(rates[unit.image, unit.channel]), abs=5 * 0.5 / math.sqrt(DRAWS)
        )
        assert sampled == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("gamma", "share"), [(1.0, 0.8), (-1.0, 0.2)])
def test_a_negative_gamma_turns_the_firing_of_drawn_sums_around(gamma: float, share: float) -> None:
    layer = layer_of(Operation("linear", "linear", "bits", 1, "binary"), (1, 1, 50))
    with torch.no_grad():
        layer.weights.inverse_temperature.fill_(1.0)
        layer.weights.logits[:, 0, :, 0, 0] = torch.tensor([-1e6, 1e6]).view(2, 1)
        layer.weights.logits[:, 0, 0] = torch.tensor([0.2, 0.8]).log().view(2, 1, 1)
        layer.norm.gamma.fill_(gamma)
        layer.norm.beta.zero_()
    # Every image is the same, so the batch's mean is the Gaussian's: it fires by half, and the sum 50 by 0.8.
    (unit, *_) = units_of(layer, torch.ones(5, 50, 1, 1))
    assert unit.firing[0] == pytest.approx(0.5, abs=1e-3)
    assert unit.firing[1] == pytest.approx(share, abs=0.02)


def test_sums_without_variance_are_no_units() -> None:
    layer = layer_of(Operation("linear", "linear", "bits", 8, "ternary"), (1, 1, 10))
    with torch.no_grad():
        layer.weights.inverse_temperature.fill_(1e9)
    assert units_of(layer, bits(5, 10, 1, 1)) == []


def test_two_points_have_the_distances_from_a_gaussian_that_calculus_gives() -> None:
    kolmogorov_smirnov, wasserstein = distances(np.repeat([-1.0, 1.0], 50_000))
    # Φ(1) - 1/2, and E| |Z| - 1 | = √(2/π) - 1 + 2 (Φ(1) - Φ(-1) - 2 (φ(0) - φ(1))).
    assert kolmogorov_smirnov == pytest.approx(0.34134, abs=1e-4)
    assert wasserstein == pytest.approx(0.53535, abs=1e-3)


def test_a_shift_is_wassersteins_distance() -> None:
    quantiles = np.sort(np.random.default_rng(0).standard_normal(100_000))
    assert distances(quantiles)[0] < 0.01
    assert distances(quantiles)[1] < 0.02
    assert distances(quantiles + 0.5)[1] == pytest.approx(0.5, abs=0.02)
