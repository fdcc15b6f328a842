"""The integer reference against a forward pass that is slow and obvious, and against values worked by hand."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
from hypothesis import given, settings, strategies
from networks import networks, random_pixels

from lrnet import reference
from lrnet.discrete import DiscreteNetwork, Input, Operation, Parameters

Grid = list[list[list[int]]]
"""[y][x][c]: pixels minus 128, or bits as -1 and +1."""


def plain_forward(network: DiscreteNetwork, member: int, image: np.ndarray) -> dict[str, list]:
    """Every operation's output for one image: bits as a grid of -1 and +1, floats as a list of float32."""
    values: dict[str, list] = {"image": [[[int(p) - 128 for p in pixel] for pixel in row] for row in image]}
    for operation in network.graph:
        parameters = network.members[member][operation.name]
        source = values[operation.input]
        fill = 0 if operation.input == "image" else -1
        sums = plain_sums(operation, parameters.weights.tolist(), source, fill)
        if operation.output == "floats":
            values[operation.name] = [
                np.float32(np.float32(np.float32(s) * scale) + bias)
                for s, scale, bias in zip(sums[0][0], parameters.scale, parameters.bias, strict=True)
            ]
            continue
        thresholds = parameters.threshold.tolist()
        bits = [
            [[1 if s >= t else -1 for s, t in zip(pixel, thresholds, strict=True)] for pixel in row]
            for row in sums
        ]
        values[operation.name] = plain_pool(bits) if operation.pool == 2 else bits
    return values


def plain_sums(operation: Operation, weights: list[list[int]], source: Grid, fill: int) -> Grid:
    height, width, channels = len(source), len(source[0]), len(source[0][0])
    if operation.op == "linear":
        flat = [value for row in source for pixel in row for value in pixel]
        return [[[sum(w * x for w, x in zip(row, flat, strict=True)) for row in weights]]]
    k, stride, padding = operation.kernel, operation.stride, operation.padding
    out: Grid = []
    for y in range(0, height + 2 * padding - k + 1, stride):
        out.append([])
        for x in range(0, width + 2 * padding - k + 1, stride):
            seen = []
            for ky in range(k):
                for kx in range(k):
                    row, column = y + ky - padding, x + kx - padding
                    inside = 0 <= row < height and 0 <= column < width
                    seen += source[row][column] if inside else [fill] * channels
            out[-1].append([sum(w * x for w, x in zip(row, seen, strict=True)) for row in weights])
    return out


def plain_pool(bits: Grid) -> Grid:
    return [
        [
            [max(bits[y + dy][x + dx][c] for dy in (0, 1) for dx in (0, 1)) for c in range(len(bits[0][0]))]
            for x in range(0, len(bits[0]) - 1, 2)
        ]
        for y in range(0, len(bits) - 1, 2)
    ]


@settings(max_examples=100, deadline=None)
@given(networks(most_members=2), strategies.integers(0, 2**32 - 1))
def test_every_operation_gives_what_the_plain_forward_gives(network: DiscreteNetwork, seed: int) -> None:
    pixels = random_pixels(np.random.default_rng(seed), network, 3)[1:]
    for index, member in enumerate(network.members):
        outputs = reference.forward(network.graph, member, pixels)
        for row, image in enumerate(pixels):
            expected = plain_forward(network, index, image)
            for operation in network.graph:
                actual = outputs[operation.name][row]
                if operation.output == "bits":
                    assert (2 * actual.astype(int) - 1).tolist() == expected[operation.name]
                else:
                    assert actual.dtype == np.float32
                    assert actual[0, 0].tolist() == [float(v) for v in expected[operation.name]]


def single(operation: Operation, parameters: Parameters, image: Input) -> DiscreteNetwork:
    return DiscreteNetwork(image, ("a",) * operation.out, (operation,), ({operation.name: parameters},))


def test_padding_of_pixels_is_zero_and_padding_of_bits_is_minus_one() -> None:
    ones = np.ones((1, 9), dtype=np.int8)
    graph = (
        Operation("first", "conv2d", "image", 1, "binary", kernel=3, padding=1),
        Operation("logits", "conv2d", "first", 1, "binary", "floats", kernel=3, padding=1),
    )
    member = {
        "first": Parameters(ones, np.array([127], dtype=np.int32)),
        "logits": Parameters(ones, None, np.float32([1]), np.float32([0])),
    }
    # One white pixel, 127: padded with 0 its sum is 127 and its bit +1; then 1 - 8 = -7.
    values = reference.forward(graph, member, np.full((1, 1, 1, 1), 255, dtype=np.uint8))
    assert values["first"].tolist() == [[[[True]]]]
    assert values["logits"].tolist() == [[[[-7.0]]]]


def test_a_sum_equal_to_the_threshold_gives_one() -> None:
    operation = Operation("layer", "linear", "image", 2, "binary")
    parameters = Parameters(np.ones((2, 1), dtype=np.int8), np.array([5, 6], dtype=np.int32))
    network = single(operation, parameters, Input(1, 1, 1))
    values = reference.forward(network.graph, network.members[0], np.full((1, 1, 1, 1), 133, dtype=np.uint8))
    assert values["layer"].tolist() == [[[[True, False]]]]


def test_a_sum_that_float32_does_not_hold_is_exact() -> None:
    operation = Operation("layer", "linear", "image", 2, "binary")
    weights = np.ones((2, 256 * 256 * 3), dtype=np.int8)
    pixels = np.full((1, 256, 256, 3), 255, dtype=np.uint8)
    pixels[0, 100, 100, 1] = 254
    # 127 * 196608 - 1, an odd number over 2^24.
    parameters = Parameters(weights, np.array([24_969_215, 24_969_216], dtype=np.int32))
    values = reference.forward((operation,), {"layer": parameters}, pixels)
    assert values["layer"].tolist() == [[[[True, False]]]]


def test_a_float_is_rounded_after_the_product_and_again_after_the_sum() -> None:
    # 3 * 0.1f rounds to 0.3f exactly, which the bias takes away; a fused product and sum keeps -2^-27.
    scale, bias = np.float32(0.1), np.float32(-0.3)
    operation = Operation("logits", "linear", "image", 1, "binary", "floats")
    parameters = Parameters(np.ones((1, 1), dtype=np.int8), None, scale[None], bias[None])
    network = single(operation, parameters, Input(1, 1, 1))
    value = reference.logits(network, np.full((1, 1, 1, 1), 131, dtype=np.uint8))[0, 0, 0]
    assert value == 0
    assert np.float32(3 * float(scale) + float(bias)) == np.float32(-(2.0**-27))


def test_chunks_do_not_change_the_logits() -> None:
    generator = np.random.default_rng(3)
    operation = Operation("logits", "linear", "image", 4, "ternary", "floats")
    weights = generator.integers(-1, 2, size=(4, 12)).astype(np.int8)
    scale, bias = generator.normal(size=(2, 4)).astype(np.float32)
    network = single(operation, Parameters(weights, None, scale, bias), Input(2, 2, 3))
    pixels = random_pixels(generator, network, 7)
    whole = reference.logits(network, pixels)
    assert (reference.logits(network, pixels, chunk=2) == whole).all()
    assert (reference.logits(network, pixels[3:4])[0, 0] == whole[0, 3]).all()


def test_bits_are_packed_in_little_endian_words_with_channel_0_in_bit_0() -> None:
    bits = np.zeros((1, 1, 1, 70), dtype=bool)
    bits[..., [0, 9, 63, 64, 69]] = True
    words = struct.unpack("<2Q", reference.pack(bits).tobytes())
    assert words == (1 | 1 << 9 | 1 << 63, 1 | 1 << 5)


def test_a_digest_is_the_sha256_of_packed_bits_or_of_little_endian_floats() -> None:
    bits = np.array([True, False, True]).reshape(1, 1, 1, 3)
    assert reference.digest(bits) == hashlib.sha256(bytes([5, 0, 0, 0, 0, 0, 0, 0])).digest()
    floats = np.float32([1.5, -2]).reshape(1, 1, 1, 2)
    assert reference.digest(floats) == hashlib.sha256(struct.pack("<2f", 1.5, -2)).digest()
