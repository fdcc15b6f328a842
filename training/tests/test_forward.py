"""PyTorch's pass through discrete networks against the integer reference, to the bit."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings, strategies
from make_fixture import residual
from networks import networks, random_network, random_pixels, residual_graph

from lrnet import reference
from lrnet.discrete import DiscreteNetwork, Input, Operation, Parameters
from lrnet.forward import discrete_forward, discrete_logits


def compare(network: DiscreteNetwork, pixels: np.ndarray) -> None:
    """Every node of every member; as bytes, since 0 and -0 are equal and yet not the same."""
    images = torch.from_numpy(pixels)
    for index, member in enumerate(network.members):
        outputs = discrete_forward(network, index, images)
        expected = reference.forward(network.graph, member, pixels)
        assert list(outputs) == list(expected)
        for name, value in expected.items():
            actual = outputs[name].numpy()
            assert (actual.dtype, actual.shape) == (value.dtype, value.shape)
            assert actual.tobytes() == value.tobytes(), f"member {index}, {name}"
        logits = discrete_logits(network, index, images, chunk=2).numpy()
        assert logits.tobytes() == expected["logits"].tobytes()


@settings(max_examples=300, deadline=None)
@given(networks(most_members=2), strategies.integers(0, 2**32 - 1))
def test_every_operation_of_a_random_network_gives_what_the_reference_gives(
    network: DiscreteNetwork, seed: int
) -> None:
    compare(network, random_pixels(np.random.default_rng(seed), network, 3))


def test_a_residual_network_gives_what_the_reference_gives() -> None:
    model = residual()
    compare(model.network, model.check.image)


def test_a_residual_network_of_18_layers_gives_what_the_reference_gives() -> None:
    generator = np.random.default_rng(18)
    network = random_network(generator, Input(32, 32, 3), residual_graph((16, 32, 64, 128), 4, 10), 1)
    compare(network, random_pixels(generator, network, 2))


def test_the_logits_of_an_image_do_not_depend_on_its_chunk() -> None:
    model = residual()
    images = torch.from_numpy(model.check.image)
    whole = discrete_logits(model.network, 0, images)
    assert torch.equal(torch.cat([discrete_logits(model.network, 0, image[None]) for image in images]), whole)


def linear_on_pixels(sides: tuple[int, int], channels: int, threshold: list[int]) -> DiscreteNetwork:
    """Sums of all pixels against thresholds, and a head."""
    taps = sides[0] * sides[1] * channels
    graph = (
        Operation("sums", "linear", "image", len(threshold), "binary"),
        Operation("logits", "linear", "sums", 1, "binary", "floats"),
    )
    member = {
        "sums": Parameters(np.ones((len(threshold), taps), np.int8), np.array(threshold, np.int32)),
        "logits": Parameters(np.ones((1, len(threshold)), np.int8), None, np.float32([1]), np.float32([0])),
    }
    return DiscreteNetwork(Input(*sides, channels), ("a",), graph, (member,))


def test_a_sum_is_compared_with_a_threshold_that_float32_does_not_hold() -> None:
    # -128 times -1 of 2^17 pixels is 2^24; as float32 the threshold 2^24 + 1 would be the same.
    network = linear_on_pixels((256, 512), 1, [2**24, 2**24 + 1])
    weights = network.members[0]["sums"].weights
    assert weights is not None
    weights[:] = -1
    pixels = np.zeros((1, 256, 512, 1), dtype=np.uint8)
    assert discrete_forward(network, 0, torch.from_numpy(pixels))["sums"].tolist() == [[[[True, False]]]]
    compare(network, pixels)


def test_a_sum_that_float32_does_not_hold_is_exact() -> None:
    # 127 * 196608 - 1, an odd number over 2^24.
    network = linear_on_pixels((256, 256), 3, [24_969_215, 24_969_216])
    pixels = np.full((1, 256, 256, 3), 255, dtype=np.uint8)
    pixels[0, 100, 100, 1] = 254
    assert discrete_forward(network, 0, torch.from_numpy(pixels))["sums"].tolist() == [[[[True, False]]]]
    compare(network, pixels)
