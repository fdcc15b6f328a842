"""The integer reference against a forward pass that is slow and obvious, and against values worked by hand."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
from hypothesis import given, settings, strategies
from make_fixture import residual
from networks import networks, random_pixels

from lrnet import reference
from lrnet.discrete import AveragePool, DiscreteNetwork, Input, Node, Operation, Parameters, Sign
from lrnet.graph import value_types

Grid = list[list[list[float]]]
"""[y][x][c]: pixels minus 128, bits as -1 and +1, or floats."""


def fround(value: float) -> float:
    """The nearest float32. Of one operation on two of them, done in float64, it is what float32 gives."""
    return float(np.float32(value))


def plain_forward(network: DiscreteNetwork, member: int, image: np.ndarray) -> dict[str, Grid]:
    """Every node's output for one image."""
    values: dict[str, Grid] = {"image": [[[int(p) - 128 for p in pixel] for pixel in row] for row in image]}
    types = value_types(network.graph)
    for node in network.graph:
        parameters, source = network.members[member][node.name], values[node.input]
        if isinstance(node, Sign):
            values[node.name] = plain_signs(source, parameters.threshold.tolist())
        elif isinstance(node, AveragePool):
            values[node.name] = plain_means(source, node.size)
        elif types[node.input] == "floats":
            sums = plain_sums_of_floats(parameters.weights.tolist(), source)
            values[node.name] = plain_finish(node, parameters, sums, values)
        else:
            fill = 0 if node.input == "image" else -1
            sums = plain_sums(node, parameters.weights.tolist(), source, fill)
            values[node.name] = plain_finish(node, parameters, sums, values)
    return values


def plain_finish(operation: Operation, parameters: Parameters, sums: Grid, values: dict[str, Grid]) -> Grid:
    if operation.output == "bits":
        bits = plain_signs(sums, parameters.threshold.tolist())
        return plain_pool(bits) if operation.pool == 2 else bits
    constants = list(zip(parameters.scale.tolist(), parameters.bias.tolist(), strict=True))
    floats = [
        [
            [fround(fround(s * scale) + bias) for s, (scale, bias) in zip(pixel, constants, strict=True)]
            for pixel in row
        ]
        for row in sums
    ]
    if operation.add is None:
        return floats
    return [
        [[fround(a + b) for a, b in zip(*pixels, strict=True)] for pixels in zip(*rows, strict=True)]
        for rows in zip(floats, values[operation.add], strict=True)
    ]


def plain_signs(source: Grid, thresholds: list[float]) -> Grid:
    return [
        [[1 if s >= t else -1 for s, t in zip(pixel, thresholds, strict=True)] for pixel in row]
        for row in source
    ]


def plain_means(source: Grid, size: int) -> Grid:
    def mean(top: int, left: int, channel: int) -> float:
        total = 0.0
        for y in range(top, top + size):
            for x in range(left, left + size):
                total = fround(total + source[y][x][channel])
        return fround(total / size**2)

    return [
        [
            [mean(y, x, channel) for channel in range(len(source[0][0]))]
            for x in range(0, len(source[0]), size)
        ]
        for y in range(0, len(source), size)
    ]


def plain_sums_of_floats(weights: list[list[int]], source: Grid) -> Grid:
    flat = [value for row in source for pixel in row for value in pixel]
    sums = []
    for row in weights:
        total = 0.0
        for w, x in zip(row, flat, strict=True):
            total = fround(total + w * x)
        sums.append(total)
    return [[sums]]


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


@settings(max_examples=200, deadline=None)
@given(networks(most_members=2), strategies.integers(0, 2**32 - 1))
def test_every_operation_gives_what_the_plain_forward_gives(network: DiscreteNetwork, seed: int) -> None:
    pixels = random_pixels(np.random.default_rng(seed), network, 3)[1:]
    for index, member in enumerate(network.members):
        outputs = reference.forward(network.graph, member, pixels)
        for row, image in enumerate(pixels):
            expected = plain_forward(network, index, image)
            for node in network.graph:
                actual = outputs[node.name][row]
                if node.output == "bits":
                    assert (2 * actual.astype(int) - 1).tolist() == expected[node.name]
                else:
                    # As bytes, since 0 and -0 are equal and yet not the same.
                    assert actual.dtype == np.float32
                    assert actual.shape == np.shape(expected[node.name])
                    assert actual.tobytes() == np.array(expected[node.name], np.float32).tobytes()


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


def floats_of(*constants: tuple[float, float]) -> tuple[Node, Parameters]:
    """A stem that makes floats of the pixels of one channel: for each constant one, x · scale + bias."""
    scale, bias = np.float32(constants).T
    stem = Operation("stem", "conv2d", "image", len(constants), "binary", "floats")
    return stem, Parameters(np.ones((len(constants), 1), dtype=np.int8), None, scale, bias)


def after_stem(
    stem: tuple[Node, Parameters], node: Node, parameters: Parameters, x: np.ndarray
) -> dict[str, Any]:
    """The values of the stem and one node behind it, for one image of x = p - 128."""
    pixels = (np.asarray(x) + 128).astype(np.uint8)[None, :, :, None]
    return reference.forward((stem[0], node), {"stem": stem[1], node.name: parameters}, pixels)


def test_a_sign_is_one_from_the_threshold_on_and_zeros_of_both_signs_are_equal() -> None:
    stem = floats_of((1, 0), (-1, -0.0))
    parameters = Parameters(threshold=np.float32([2, 0]))
    values = after_stem(stem, Sign("sign", "stem"), parameters, [[1, 2], [3, 0]])
    # Floats 1, -1 | 2, -2 | 3, -3 | 0, -0.
    assert np.signbit(values["stem"][0, 1, 1, 1])
    assert values["sign"].tolist() == [[[[False, False], [True, False]], [[True, False], [False, True]]]]


def test_a_mean_is_of_each_channel_by_itself_summed_in_float32_and_divided_once() -> None:
    x = [[2, 2, 4, -4], [6, 2, 0, 0]]
    values = after_stem(floats_of((1, 0.5), (1, 2**24)), AveragePool("mean", "stem", 2), Parameters(), x)
    # (2.5 + 2.5 + 6.5 + 2.5) / 4 and (4.5 - 3.5 + 0.5 + 0.5) / 4. Beside them 2^25 + 4, + 2^24 + 6 = 3 * 2^24 + 10,
    # a tie that rounds to … + 8, + 2^24 + 2 = 2^26 + 10, which rounds to 2^26 + 8; the exact mean would be 16777219.
    assert values["mean"].tolist() == [[[[3.5, 16777218], [0.5, 16777216]]]]


def test_a_mean_is_divided_by_its_count_and_not_multiplied_with_a_reciprocal() -> None:
    x = np.zeros((3, 3), dtype=np.int64)
    x[0, 0] = 17
    values = after_stem(floats_of((1, 0)), AveragePool("mean", "stem", 3), Parameters(), x)
    assert values["mean"].tolist() == [[[[np.float32(17 / 9)]]]]
    assert np.float32(17) * np.float32(1 / 9) != np.float32(17 / 9)


def test_floats_are_summed_one_after_the_other_each_sum_rounded() -> None:
    linear = Operation("sum", "linear", "stem", 2, "ternary", "floats")
    weights = np.array([[1, 1, -1, 0], [-1, -1, 0, 1]], dtype=np.int8)
    parameters = Parameters(weights, None, np.float32([1, 1]), np.float32([0, 0]))
    values = after_stem(floats_of((1, 2**24)), linear, parameters, [[0, 6, 2, 4]])
    # 2^24 + (2^24 + 6) = 2^25 + 6, a tie that rounds to 2^25 + 8, - (2^24 + 2) = 2^24 + 6; exactly, 2^24 + 4.
    # -2^24 - (2^24 + 6) likewise to -2^25 - 8, + (2^24 + 4) = -2^24 - 4; exactly, -2^24 - 2.
    assert values["sum"].tolist() == [[[[16777222, -16777220]]]]


def test_what_is_added_comes_after_scale_and_bias_rounded_by_itself() -> None:
    more = Operation("more", "conv2d", "image", 1, "binary", "floats", add="stem")
    parameters = Parameters(-np.ones((1, 1), dtype=np.int8), None, np.float32([1]), np.float32([0]))
    values = after_stem(floats_of((2**24, 0)), more, parameters, [[1, 2, 3]])
    # 2^24 - 1 is exact; 2^25 - 2, too; 3 * 2^24 - 3 lies between two even numbers, and rounds to the multiple of 8.
    assert values["more"].flatten().tolist() == [16777215, 33554430, 50331644]


def test_a_sum_of_nothing_is_a_zero_without_a_sign() -> None:
    operation = Operation("logits", "linear", "image", 1, "binary", "floats")
    parameters = Parameters(-np.ones((1, 1), dtype=np.int8), None, np.float32([1]), np.float32([-0.0]))
    network = single(operation, parameters, Input(1, 1, 1))
    # x = 0 times -1 is the integer 0: 0 * 1 + -0 is 0, where -0 * 1 + -0 would be -0.
    assert not np.signbit(reference.logits(network, np.full((1, 1, 1, 1), 128, dtype=np.uint8)))


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


def test_the_logits_of_members_are_those_of_their_check_vectors() -> None:
    model = residual()
    assert (reference.logits(model.network, model.check.image, chunk=3) == model.check.logits).all()
    assert (reference.logits(model.network, model.check.image, members=1) == model.check.logits[:1]).all()


def test_bits_are_packed_in_little_endian_words_with_channel_0_in_bit_0() -> None:
    bits = np.zeros((1, 1, 1, 70), dtype=bool)
    bits[..., [0, 9, 63, 64, 69]] = True
    words = struct.unpack("<2Q", reference.pack(bits).tobytes())
    assert words == (1 | 1 << 9 | 1 << 63, 1 | 1 << 5)


def test_a_digest_is_of_packed_bits_or_of_little_endian_floats() -> None:
    bits = np.array([True, False, True]).reshape(1, 1, 1, 3)
    assert reference.digested(bits) == bytes([5, 0, 0, 0, 0, 0, 0, 0])
    floats = np.float32([1.5, -2]).reshape(1, 1, 1, 2)
    assert reference.digested(floats) == struct.pack("<2f", 1.5, -2)


def test_check_vectors_are_of_all_rows_whatever_is_worked_on_at_once() -> None:
    model = residual()
    network, images = model.network, model.check.image
    digests, logits = reference.check_vectors(network, images, chunk=3)
    outputs = reference.forward(network.graph, network.members[1], images)
    expected = [hashlib.sha256(reference.digested(value)).digest() for value in outputs.values()]
    assert [bytes(each) for each in digests[1]] == expected
    assert logits[1].tobytes() == outputs["logits"].tobytes()
