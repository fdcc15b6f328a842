from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lrnet.discrete import DiscreteNetwork, Input, Operation, Parameters
from lrnet.discretize import (
    fold_head,
    fold_threshold,
    input_chunks,
    realize_layer,
    sum_statistics,
    through,
    to_taps,
)
from lrnet.forward import discrete_forward, discrete_sums, to_input, weights_from_taps
from lrnet.layers import EPSILON
from lrnet.networks import FloatNetwork, StochasticNetwork

IMAGE = Input(height=9, width=8, channels=1)
GRAPH = (
    Operation("conv1", "conv2d", "image", out=6, weights="ternary", kernel=3, padding=1, pool=2),
    Operation("conv2", "conv2d", "conv1", out=5, weights="binary", kernel=3, padding=1),
    Operation("linear1", "linear", "conv2", out=7, weights="ternary"),
    Operation("logits", "linear", "linear1", out=3, weights="ternary", output="floats"),
)

weights_of_three_taps = np.array([[1, -1, 0]], dtype=np.int8)


def column(value: float) -> np.ndarray:
    return np.array([value], dtype=np.float64)


finite = st.floats(-50, 50, allow_nan=False)


@given(
    mean=finite,
    variance=st.floats(0, 400),
    gamma=st.floats(0.01, 5) | st.floats(-5, -0.01),
    beta=st.floats(-5, 5),
)
@settings(max_examples=300, deadline=None)
def test_a_threshold_decides_every_integer_sum_as_batch_norm_does(
    mean: float, variance: float, gamma: float, beta: float
) -> None:
    folded = fold_threshold(
        weights_of_three_taps, column(mean), column(variance), column(gamma), column(beta)
    )
    assert folded.threshold is not None
    threshold = int(folded.threshold[0])
    sigma = np.sqrt(variance + EPSILON)
    flipped = gamma < 0
    assert folded.weights.tolist() == [[-1, 1, 0]] if flipped else [[1, -1, 0]]
    sums = np.arange(-200, 201)
    normalized = gamma * (sums - mean) / sigma + beta
    decided = (-sums if flipped else sums) >= threshold
    # On the edge itself float64's own rounding of the formula decides.
    away = np.abs(normalized) > 1e-9
    assert (decided == (normalized >= 0))[away].all()


@pytest.mark.parametrize(("beta", "threshold"), [(0.5, -(2**30)), (0.0, -(2**30)), (-0.5, 2**30)])
def test_without_gamma_the_sign_of_beta_decides_alone(beta: float, threshold: int) -> None:
    folded = fold_threshold(weights_of_three_taps, column(3), column(4), column(0), column(beta))
    assert folded.threshold is not None
    assert folded.threshold.tolist() == [threshold]
    assert folded.threshold.dtype == np.int32


@pytest.mark.parametrize(("beta", "threshold"), [(1.0, -(2**30)), (-1.0, 2**30)])
@pytest.mark.parametrize("gamma", [1e-300, -1e-300])
def test_thresholds_stay_in_range_for_the_smallest_gamma(gamma: float, beta: float, threshold: int) -> None:
    folded = fold_threshold(weights_of_three_taps, column(3), column(4), column(gamma), column(beta))
    assert folded.threshold is not None
    assert folded.threshold.tolist() == [threshold]


def test_a_whole_edge_belongs_to_plus_one() -> None:
    # sigma² = 4 - EPSILON + EPSILON; the edge is 3 - 1·2/0.5 = -1.
    folded = fold_threshold(weights_of_three_taps, column(3), column(4 - EPSILON), column(0.5), column(1))
    assert folded.threshold is not None
    assert folded.threshold.tolist() == [-1]


def test_a_head_is_batch_norm_as_scale_and_bias() -> None:
    folded = fold_head(weights_of_three_taps, column(3), column(4 - EPSILON), column(-0.5), column(1))
    assert folded.scale is not None
    assert folded.bias is not None
    assert folded.weights.tolist() == [[1, -1, 0]]
    assert (folded.scale.tolist(), folded.bias.tolist()) == ([-0.25], [1.75])
    assert folded.scale.dtype == folded.bias.dtype == np.float32


def test_a_head_holds_nothing_smaller_than_the_format_allows() -> None:
    folded = fold_head(weights_of_three_taps, column(0), column(4), column(1e-30), column(-1e-30))
    assert folded.scale is not None
    assert folded.bias is not None
    assert (folded.scale.tolist(), folded.bias.tolist()) == ([0.0], [0.0])


def network(seed: int = 0) -> StochasticNetwork:
    torch.manual_seed(seed)
    result = StochasticNetwork(IMAGE, GRAPH, pixel_mean=100.0)
    result.start_from(FloatNetwork(IMAGE, GRAPH, "sign"))
    with torch.no_grad():
        for layer in result.layers:
            layer.norm.gamma.normal_()
            layer.norm.beta.normal_()
    return result


def pixels(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 9, 8, 1), generator=generator, dtype=torch.uint8)


def test_statistics_are_the_same_in_one_chunk_and_in_many() -> None:
    images = to_input(pixels(20))
    weights = torch.randint(-1, 2, (6, 1, 3, 3)).float()
    whole = sum_statistics(GRAPH[0], [images], weights, "pixels")
    parts = sum_statistics(GRAPH[0], images.split(7), weights, "pixels")
    np.testing.assert_allclose(parts, whole, rtol=1e-12)


def test_statistics_are_exact_means_and_variances_of_integer_sums() -> None:
    images = to_input(pixels(3))
    weights = torch.randint(-1, 2, (6, 1, 3, 3)).float()
    sums = discrete_sums(GRAPH[0], images, weights, "pixels")
    mean, variance = sum_statistics(GRAPH[0], [images], weights, "pixels")
    for channel in range(6):
        values = [Fraction(int(value)) for value in sums[:, channel].flatten()]
        expected = sum(values) / len(values)
        assert mean[channel] == pytest.approx(float(expected), rel=1e-12)
        spread = sum((value - expected) ** 2 for value in values) / len(values)
        assert variance[channel] == pytest.approx(float(spread), rel=1e-9)


def realize(
    stochastic: StochasticNetwork, weights: Sequence[torch.Tensor], images: torch.Tensor
) -> dict[str, Parameters]:
    """The discrete network of one draw of weights, its batch norms measured on images, layer after layer."""
    member, values = {}, input_chunks(images)
    for index, (operation, drawn) in enumerate(zip(GRAPH, weights, strict=True)):
        member[operation.name] = realize_layer(stochastic, index, drawn, values)
        values = through(stochastic, index, member[operation.name], values)
    return member


def test_a_realized_network_is_the_drawn_weights_under_batch_norm_in_float64() -> None:
    stochastic, images = network(), pixels(64)
    torch.manual_seed(1)
    drawn = [layer.weights.sample() for layer in stochastic.layers]
    member = realize(stochastic, drawn, images)
    outputs = discrete_forward(DiscreteNetwork(IMAGE, ("a", "b", "c"), GRAPH, (member,)), 0, images)
    values = to_input(images).double()
    for operation, weights, layer in zip(GRAPH, drawn, stochastic.layers, strict=True):
        if operation.op == "linear":
            sums = values.flatten(1) @ weights.flatten(1).double().T
            sums = sums[:, :, None, None]
        else:
            fill = 0.0 if operation.input == "image" else -1.0
            sums = F.conv2d(F.pad(values, [1] * 4, value=fill), weights.double())
        gamma, beta = layer.norm.gamma.double(), layer.norm.beta.double()
        normalized = F.batch_norm(sums, None, None, gamma, beta, training=True, eps=EPSILON)
        if operation.output == "floats":
            torch.testing.assert_close(
                outputs["logits"].flatten(1).double(), normalized.flatten(1), rtol=1e-4, atol=1e-5
            )
            return
        bits = torch.where(normalized >= 0, 1.0, -1.0).double()
        values = F.max_pool2d(bits, 2) if operation.pool == 2 else bits
        assert torch.equal(outputs[operation.name], values.permute(0, 2, 3, 1) > 0)


def test_whole_numbers_are_held_as_bytes_and_floats_as_floats() -> None:
    stochastic = network()
    edges = torch.tensor([0, 127, 128, 255], dtype=torch.uint8).repeat(18).view(1, 9, 8, 1)
    values = input_chunks(edges)
    assert values[0].flatten()[:4].tolist() == [-128, -1, 0, 127]
    types = [values[0].dtype]
    for index, weights in enumerate(stochastic.most_probable()):
        values = through(stochastic, index, realize_layer(stochastic, index, weights, values), values)
        types.append(values[0].dtype)
    assert types == [*[torch.int8] * 4, torch.float32]


def test_batch_norm_is_measured_on_the_images_that_are_given() -> None:
    stochastic = network()
    drawn = stochastic.most_probable()
    dark = realize(stochastic, drawn, pixels(64) // 4)
    bright = realize(stochastic, drawn, pixels(64))
    assert dark["conv1"].threshold is not None
    assert dark["conv1"].threshold.tolist() != bright["conv1"].threshold.tolist()


def test_the_result_for_an_image_does_not_depend_on_its_batch() -> None:
    stochastic, images = network(), pixels(40)
    member = realize(stochastic, stochastic.most_probable(), images)
    discrete = DiscreteNetwork(IMAGE, ("a", "b", "c"), GRAPH, (member,))
    together = discrete_forward(discrete, 0, images)["logits"]
    alone = torch.cat([discrete_forward(discrete, 0, image[None])["logits"] for image in images])
    assert torch.equal(together, alone)


def test_taps_come_in_the_order_row_column_channel() -> None:
    weights = torch.tensor([[[[1, 0], [0, 0]], [[-1, 0], [1, 0]]]], dtype=torch.int8)
    assert to_taps(weights).tolist() == [[1, -1, 0, 0, 0, 1, 0, 0]]


def test_weights_come_back_from_their_taps() -> None:
    stochastic = network()
    member = realize(stochastic, stochastic.most_probable(), pixels(8))
    # conv2 sees [4, 4, 6]; its γ may be negative, so compare up to the sign of a channel.
    back = weights_from_taps(GRAPH[1], (4, 4, 6), member["conv2"], torch.device("cpu"))
    original = stochastic.most_probable()[1].float()
    same = (back == original).flatten(1).all(1)
    negated = (back == -original).flatten(1).all(1)
    assert bool((same | negated).all())


def test_a_training_that_diverged_is_not_made_discrete() -> None:
    stochastic = network()
    with torch.no_grad():
        stochastic.layers[1].norm.beta[2] = torch.nan
    with pytest.raises(ValueError, match=r"conv2: .*diverged"):
        realize(stochastic, stochastic.most_probable(), pixels(8))
