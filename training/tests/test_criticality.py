"""How far signals reach through noisy weights: measured, by theory, and steered by the sharpness."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrnet.criticality import (
    HIGHEST,
    LOWEST,
    critical_sharpness,
    depth_scale,
    recursion,
    scale_curve,
    signals,
)
from lrnet.discrete import Input, Operation
from lrnet.networks import FloatNetwork, StochasticNetwork

IMAGE = Input(12, 12, 3, "stretch")


def wide_linear(layers: int, width: int = 512) -> tuple[Operation, ...]:
    names = ["image", *(f"linear{index}" for index in range(1, layers))]
    hidden = [
        Operation(name, "linear", before, out=width, weights="ternary") for before, name in pairwise(names)
    ]
    return (*hidden, Operation("logits", "linear", names[-1], out=256, weights="ternary", output="floats"))


def wide_convolutions() -> tuple[Operation, ...]:
    # The first window is wide, too: the theory is one of many independent inputs.
    return (
        Operation("conv1", "conv2d", "image", out=192, weights="binary", kernel=7),
        Operation("conv2", "conv2d", "conv1", out=192, weights="binary", kernel=3),
        Operation("conv3", "conv2d", "conv2", out=192, weights="ternary", kernel=3),
        Operation("logits", "linear", "conv3", out=256, weights="ternary", output="floats"),
    )


def images(count: int = 400) -> torch.Tensor:
    return torch.randint(0, 256, (count, 12, 12, 3), dtype=torch.uint8)


def started(
    graph: tuple[Operation, ...], sharpness: float, seed: int = 0
) -> tuple[StochasticNetwork, FloatNetwork]:
    """Distributions around the random weights of an untrained network, and that network."""
    torch.manual_seed(seed)
    pretrained = FloatNetwork(IMAGE, graph, "sign")
    network = StochasticNetwork(IMAGE, graph, pixel_mean=127.5)
    network.start_from(pretrained, sharpness)
    return network, pretrained


def share_by_the_weights_alone(network: StochasticNetwork, layer: int) -> float:
    """ρ of inputs that are independent of one another: Σ E[w]² ÷ Σ E[w²]."""
    mean, variance = network.layers[layer].weights.moments()
    return float((mean.square().sum() / (mean.square() + variance).sum()).detach())


@pytest.mark.parametrize("sharpness", [2.0, 4.0, 12.0])
@pytest.mark.parametrize("graph", [wide_linear(6), wide_convolutions()], ids=["linear", "convolutions"])
def test_wide_random_layers_lose_correlation_as_the_arcsine_law_says(
    graph: tuple[Operation, ...], sharpness: float
) -> None:
    network, _ = started(graph, sharpness)
    measured = signals(network, images())
    carried, expected = 1.0, []
    for index in range(len(graph)):
        expected.append(share_by_the_weights_alone(network, index) * carried)
        carried = 2 / math.pi * math.asin(expected[-1])
    assert [layer.correlation for layer in measured] == pytest.approx(expected, abs=0.02)
    assert recursion([layer.share for layer in measured]) == pytest.approx(expected, abs=0.02)


def test_the_recursion_of_a_half_and_a_third() -> None:
    # asin(1/2) = π/6: 1/3 · 2/π · π/6 = 1/9.
    assert recursion([0.5, 1 / 3]) == pytest.approx([0.5, 1 / 9])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_correlation_by_theory_never_rises_with_depth(shares: list[float]) -> None:
    correlations = recursion(shares)
    assert all(0 <= later <= earlier <= 1 for earlier, later in pairwise([1.0, *correlations]))


def test_weights_without_noise_keep_a_signal_whole() -> None:
    network, _ = started(wide_linear(4, 64), 4.0)
    for layer in network.layers:
        layer.weights.inverse_temperature.fill_(1e6)
    assert [layer.correlation for layer in signals(network, images(50))] == pytest.approx([1.0] * 4, abs=1e-3)


def test_weights_without_preference_carry_nothing() -> None:
    network = StochasticNetwork(IMAGE, wide_linear(3, 64), pixel_mean=127.5)
    assert [layer.correlation for layer in signals(network, images(50))] == pytest.approx([0.0] * 3, abs=1e-6)


def test_what_is_the_same_in_every_image_is_no_signal() -> None:
    network, _ = started(wide_linear(3, 256), 4.0)
    same = images(1).expand(300, -1, -1, -1)
    assert [layer.correlation for layer in signals(network, same)] == pytest.approx([0.0] * 3, abs=0.03)


def test_layers_that_never_vary_carry_nothing() -> None:
    network, _ = started(wide_linear(3, 64), 4.0)
    same = images(1).expand(20, -1, -1, -1)
    with torch.no_grad():
        for layer in network.layers:
            layer.weights.logits.copy_(torch.tensor([-5.0, 5.0, -5.0]).view(3, 1, 1, 1, 1))
            layer.weights.inverse_temperature.fill_(100.0)
    assert [(layer.correlation, layer.share) for layer in signals(network, same)] == [(0.0, 0.0)] * 3


def test_a_correlation_of_one_image_is_refused() -> None:
    network, _ = started(wide_linear(2, 8), 4.0)
    with pytest.raises(ValueError, match="at least 2 of them, not 1"):
        signals(network, images(1))


def test_a_seed_gives_the_same_signals_and_leaves_the_generator_alone() -> None:
    network, _ = started(wide_linear(3, 64), 2.0)
    batch = images(50)
    torch.manual_seed(5)
    first = signals(network, batch, seed=1)
    after = torch.rand(())
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(()))
    assert signals(network, batch, seed=1) == first
    assert signals(network, batch, seed=2) != first


def test_the_depth_scale_is_the_depth_where_a_correlation_is_one_over_e() -> None:
    assert depth_scale(math.exp(-1), 6) == pytest.approx(6)
    assert depth_scale(math.exp(-2), 6) == pytest.approx(3)
    assert depth_scale(0.0, 6) == 0
    assert depth_scale(-0.01, 6) == 0
    assert depth_scale(1.0, 6) == math.inf


@pytest.mark.parametrize("layers", [2, 4])
def test_the_critical_sharpness_is_the_least_that_reaches_the_end(layers: int) -> None:
    network, pretrained = started(wide_linear(layers, 256), 4.0)
    batch = images(300)
    found = critical_sharpness(network, pretrained, batch)
    assert signals(network, batch)[-1].correlation >= math.exp(-1)
    network.start_from(pretrained, found / 1.05)
    assert signals(network, batch)[-1].correlation < math.exp(-1)


def test_a_deeper_network_needs_a_higher_sharpness() -> None:
    batch = images(300)
    shallow, middle, deep = (
        critical_sharpness(*started(wide_linear(layers, 256), 4.0), batch) for layers in (2, 3, 4)
    )
    assert LOWEST < shallow < middle < deep < HIGHEST


def test_the_critical_sharpness_of_a_seed_is_the_same_and_the_network_is_left_at_it() -> None:
    network, pretrained = started(wide_linear(3, 64), 4.0)
    batch = images(100)
    found = critical_sharpness(network, pretrained, batch, seed=3)
    logits = [layer.weights.logits.clone() for layer in network.layers]
    assert critical_sharpness(network, pretrained, batch, seed=3) == found
    network.start_from(pretrained, found)
    assert all(torch.equal(a, b.weights.logits) for a, b in zip(logits, network.layers, strict=True))


def test_a_network_without_signal_has_no_critical_sharpness() -> None:
    network, pretrained = started(wide_linear(3, 16), 4.0)
    with torch.no_grad():
        for weights in pretrained.weights:
            weights.zero_()
    with pytest.raises(ValueError, match=r"correlation of 0\.000 even at sharpness 64"):
        critical_sharpness(network, pretrained, images(20))


def test_a_scale_curve_rises_in_correlation_falls_in_slope_and_leaves_the_network_as_it_was() -> None:
    network, _ = started(wide_linear(3, 128), 4.0)
    with torch.no_grad():
        network.layers[1].weights.inverse_temperature.fill_(1.5)
    points = scale_curve(network, images(200), [0.01, 0.5, 1.0, 2.0, 8.0])
    assert [point.scale for point in points] == [0.01, 0.5, 1.0, 2.0, 8.0]
    correlations = [point.correlation for point in points]
    assert correlations == sorted(correlations)
    slopes = [point.slope for point in points]
    assert slopes == sorted(slopes, reverse=True)
    # Three values without preference have 3 · 1/3 · 2/3.
    assert slopes[0] == pytest.approx(2 / 3, abs=1e-2)
    assert [float(layer.weights.inverse_temperature) for layer in network.layers] == [1.0, 1.5, 1.0]


def test_a_scale_of_two_is_twice_the_sharpness() -> None:
    network, pretrained = started(wide_linear(3, 128), 1.0)
    batch = images(200)
    (point,) = scale_curve(network, batch, [2.0], seed=4)
    network.start_from(pretrained, 2.0)
    assert point.correlation == pytest.approx(signals(network, batch, seed=4)[-1].correlation, abs=1e-3)
