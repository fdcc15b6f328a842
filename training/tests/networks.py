"""Random discrete networks for the tests of the reference and of the format."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from hypothesis import strategies
from numpy.typing import NDArray

from lrnet.discrete import AveragePool, DiscreteNetwork, Input, Node, Operation, Parameters, Sign
from lrnet.graph import Shape, ValueType, output_shape, taps, value_shapes

SIDES = (1, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9)  # of images; more often those that means divide
MOST_CHANNELS = 130
MOST_TAPS = 1200  # three channels still get 7 x 7
MOST_PRODUCTS = 300_000  # of one row of one node: keeps the slow forward pass within a second

Values = Mapping[str, tuple[Shape, ValueType]]
Output = Literal["bits", "floats"]


def residual_graph(
    widths: Sequence[int], convolutions: int, classes: int, means: int = 4
) -> tuple[Node, ...]:
    """A residual network with a shortcut around every convolution (Liu et al., Bi-Real Net, ECCV 2018).

    Stages of so many convolutions, each but the first halving height and width; before the head, means over squares.
    """

    def conv2d(name: str, source: str, out: int, **attributes: Any) -> Operation:  # noqa: ANN401
        return Operation(name, "conv2d", source, out, "ternary", "floats", **attributes)

    graph: list[Node] = [conv2d("stem", "image", widths[0], kernel=3, padding=1)]
    x = "stem"
    for stage, width in enumerate(widths):
        for index in range(convolutions):
            place = f"{stage}.{index}"
            shortcut, stride = x, 1
            if stage > 0 and index == 0:
                graph += [
                    AveragePool("d" + place, x, 2),
                    Sign("e" + place, "d" + place),
                    conv2d("r" + place, "e" + place, width),
                ]
                shortcut, stride = "r" + place, 2
            graph += [
                Sign("s" + place, x),
                conv2d("x" + place, "s" + place, width, kernel=3, stride=stride, padding=1, add=shortcut),
            ]
            x = "x" + place
    head = Operation("logits", "linear", "means", classes, "ternary", "floats")
    return (*graph, AveragePool("means", x, means), head)


def listed(graph: Sequence[Node]) -> list[dict[str, Any]]:
    """A graph as a run's table has it."""
    return [
        {key: value for key, value in {**vars(node), "op": node.op}.items() if value is not None}
        for node in graph
    ]


@strategies.composite
def networks(draw: strategies.DrawFn, most_members: int = 3) -> DiscreteNetwork:
    """A network of up to six nodes before its head: every op, every attribute and every way to branch and to add."""
    height = draw(strategies.sampled_from(SIDES))
    width = draw(strategies.sampled_from((height, *SIDES)))
    image = Input(height, width, draw(strategies.sampled_from((1, 3))))
    graph: list[Node] = []
    values: dict[str, tuple[Shape, ValueType]] = {
        "image": ((image.height, image.width, image.channels), "pixels")
    }
    for index in range(draw(strategies.integers(0, 6))):
        node = draw(_node(f"node{index}", values))
        graph.append(node)
        values[node.name] = (output_shape(node, values[node.input][0]), node.output)
    graph.append(draw(_head(values)))
    generator = np.random.default_rng(draw(strategies.integers(0, 2**32 - 1)))
    members = draw(strategies.integers(1, most_members))
    return random_network(generator, image, tuple(graph), members)


def random_network(
    generator: np.random.Generator, image: Input, graph: tuple[Node, ...], members: int
) -> DiscreteNetwork:
    """Members with random weights, thresholds near the sums that the weights give, and some zeros of both signs."""
    shapes = value_shapes(image, graph)
    return DiscreteNetwork(
        image,
        tuple(f"class {index}" for index in range(shapes["logits"][2])),
        graph,
        tuple(
            {
                node.name: with_zeros(generator, random_parameters(generator, node, shapes[node.input]))
                for node in graph
            }
            for _ in range(members)
        ),
    )


def random_parameters(generator: np.random.Generator, node: Node, source: Shape) -> Parameters:
    """One node's values; hidden bits have thresholds that never and always fire, and ternary ones a zero row."""
    if isinstance(node, Sign):
        return Parameters(threshold=generator.normal(scale=4, size=source[2]).astype(np.float32))
    if isinstance(node, AveragePool):
        return Parameters()
    count = taps(node, source)
    allowed = (-1, 1) if node.weights == "binary" else (-1, 0, 1)
    weights = generator.choice(np.array(allowed, dtype=np.int8), size=(node.out, count))
    if node.output == "floats":
        scale, bias = generator.normal(size=(2, node.out)).astype(np.float32)
        scale[0] = 0
        return Parameters(weights, None, scale, bias)
    if node.weights == "ternary":
        weights[1 % node.out] = 0
    # A sum of `count` products deviates from 0 by the root of `count`; a pixel's 74 is 256 / sqrt(12).
    spread = np.sqrt(count) * (74 if node.input == "image" else 1)
    threshold = np.round(generator.normal(scale=spread / 2, size=node.out))
    threshold[2:4] = (2**30, -(2**30))[: max(0, node.out - 2)]
    return Parameters(weights, threshold.astype(np.int32))


def with_zeros(generator: np.random.Generator, parameters: Parameters) -> Parameters:
    """A fifth of the constants that are floats are 0 or -0: equal where a sign is taken, and yet not the same."""

    def sprinkled(values: NDArray[np.generic] | None) -> Any:  # noqa: ANN401
        if values is None or values.dtype != np.float32:
            return values
        zeros = generator.choice(np.float32([0, -0.0]), size=values.shape)
        return np.where(generator.random(values.shape) < 0.2, zeros, values)

    return Parameters(
        parameters.weights,
        sprinkled(parameters.threshold),
        sprinkled(parameters.scale),
        sprinkled(parameters.bias),
    )


def random_pixels(generator: np.random.Generator, network: DiscreteNetwork, rows: int) -> NDArray[np.uint8]:
    """Pixels [rows, H, W, C]; the first row is all 0, the second all 255."""
    image = network.input
    shape = (rows, image.height, image.width, image.channels)
    pixels = generator.integers(0, 256, size=shape, dtype=np.uint8)
    pixels[:1], pixels[1:2] = 0, 255
    return pixels


@strategies.composite
def _node(draw: strategies.DrawFn, name: str, values: Values) -> Node:
    """Mostly behind the last value; sums are added to earlier floats where some fit."""
    sums = _residual_sums(name, values)
    if sums and draw(strategies.booleans()):
        return _with_weights(draw, draw(strategies.sampled_from(sums)))
    names = tuple(values)
    source_name = draw(strategies.sampled_from((*names[-1:] * len(names), *names)))
    (height, width, channels), source_type = values[source_name]
    if source_type == "floats":
        sizes = [size for size in range(2, 10) if height % size == width % size == 0]
        op = draw(
            strategies.sampled_from(("sign", "linear", *("average_pool", "average_pool") * bool(sizes)))
        )
        if op == "sign":
            return Sign(name, source_name)
        if op == "average_pool":
            return AveragePool(name, source_name, draw(strategies.sampled_from((*sizes, 1))))
        return draw(_linear(name, source_name, height * width * channels, "floats"))
    output = draw(strategies.sampled_from(("bits", "floats")))
    if draw(strategies.booleans()) and draw(strategies.booleans()):
        return draw(_linear(name, source_name, height * width * channels, output))
    return draw(_convolution(name, source_name, (height, width, channels), output))


@strategies.composite
def _linear(draw: strategies.DrawFn, name: str, source_name: str, count: int, output: Output) -> Operation:
    most = min(MOST_CHANNELS, max(1, MOST_PRODUCTS // count))
    out = draw(strategies.integers(1, most))
    return _with_weights(draw, Operation(name, "linear", source_name, out, "binary", output))


@strategies.composite
def _convolution(
    draw: strategies.DrawFn, name: str, source_name: str, source: Shape, output: Output
) -> Operation:
    kernel = draw(strategies.integers(1, min(7, math.isqrt(MOST_TAPS // source[2]))))
    smallest = min(source[:2])
    # The smallest padding that leaves the kernel room on the shorter side.
    least = max(0, -(-(kernel - smallest) // 2))
    if least >= kernel:
        kernel, least = 1, 0
    padding = draw(strategies.integers(least, kernel - 1))
    stride = draw(strategies.integers(1, 4))
    # What keeps the size of its input can be added to.
    if kernel % 2 == 1 and draw(strategies.booleans()):
        padding, stride = kernel // 2, 1
    positions = (smallest + 2 * padding - kernel) // stride + 1
    pool = draw(strategies.sampled_from((1, 2))) if positions >= 2 and output == "bits" else 1
    one = Operation(
        name,
        "conv2d",
        source_name,
        1,
        "binary",
        output,
        kernel=kernel,
        stride=stride,
        padding=padding,
        pool=pool,
    )
    out = draw(strategies.integers(1, min(MOST_CHANNELS, max(1, MOST_PRODUCTS // _products(one, source)))))
    return _with_weights(draw, dataclasses.replace(one, out=out))


@strategies.composite
def _head(draw: strategies.DrawFn, values: Values) -> Node:
    """A linear operation behind the last value or, where they fit, a window over all of it, its means, or a sum."""
    name = tuple(values)[-1]
    (height, width, _), source_type = values[name]
    linear = Operation("logits", "linear", name, draw(strategies.integers(1, 12)), "binary", "floats")
    heads: list[Node] = [linear]
    if height == width:
        if source_type == "floats":
            heads.append(AveragePool("logits", name, height))
        elif height <= 7:
            heads.append(dataclasses.replace(linear, op="conv2d", kernel=height))
    heads += [sum_ for sum_ in _residual_sums("logits", values) if values[sum_.add][0][:2] == (1, 1)]
    head = draw(strategies.sampled_from(heads))
    return _with_weights(draw, head) if isinstance(head, Operation) else head


def _residual_sums(name: str, values: Values) -> list[Operation]:
    """All sums, of few enough products, that floats which are there already can be added to."""
    sums = []
    for add, (shape, add_type) in values.items():
        if add_type != "floats":
            continue
        for source_name, (source, source_type) in values.items():
            linear = Operation(name, "linear", source_name, shape[2], "binary", "floats", add=add)
            if shape[:2] == (1, 1):
                sums.append((linear, source))
            if source_type != "floats" and source[:2] == shape[:2]:
                sums += [
                    (dataclasses.replace(linear, op="conv2d", kernel=kernel, padding=kernel // 2), source)
                    for kernel in (1, 3, 5, 7)
                ]
    return [sum_ for sum_, source in sums if _products(sum_, source) <= MOST_PRODUCTS]


def _products(operation: Operation, source: Shape) -> int:
    height, width, out = output_shape(operation, source)
    return height * width * out * operation.pool**2 * taps(operation, source)


def _with_weights(draw: strategies.DrawFn, operation: Operation) -> Operation:
    return dataclasses.replace(operation, weights=draw(strategies.sampled_from(("binary", "ternary"))))
