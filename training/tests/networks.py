"""Random discrete networks for the tests of the reference and of the format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from hypothesis import strategies
from numpy.typing import NDArray

from lrnet.discrete import AveragePool, DiscreteNetwork, Input, Node, Operation, Parameters, Sign
from lrnet.graph import Shape, taps, value_shapes

MOST_CHANNELS = 130
MOST_TAPS = 1200  # keeps the slow forward pass within a second; three channels still get 7 x 7


def residual_graph(
    widths: Sequence[int], convolutions: int, classes: int, weights: Literal["binary", "ternary"] = "ternary"
) -> tuple[Node, ...]:
    """A residual network with a shortcut around every convolution (Liu et al., Bi-Real Net, ECCV 2018).

    Stages of so many convolutions, each but the first halving height and width; before the head, means over 4 x 4.
    """

    def conv2d(name: str, source: str, out: int, **attributes: Any) -> Operation:  # noqa: ANN401
        return Operation(name, "conv2d", source, out, weights, "floats", **attributes)

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
    head = Operation("logits", "linear", "mean", classes, weights, "floats")
    return (*graph, AveragePool("mean", x, 4), head)


@strategies.composite
def networks(draw: strategies.DrawFn, most_members: int = 3) -> DiscreteNetwork:
    """A network of one to three layers before its head, every attribute of the format drawn."""
    image = Input(
        draw(strategies.integers(1, 9)),
        draw(strategies.integers(1, 9)),
        draw(strategies.sampled_from((1, 3))),
    )
    graph: list[Operation] = []
    source: Shape = (image.height, image.width, image.channels)
    for index in range(draw(strategies.integers(0, 3))):
        name = f"layer{index}"
        operation = draw(_layer(name, graph[-1].name if graph else "image", source))
        graph.append(operation)
        source = value_shapes(image, [*graph, _head(graph, "binary", 1)])[name]
    weights = draw(strategies.sampled_from(("binary", "ternary")))
    graph.append(_head(graph, weights, draw(strategies.integers(1, 12))))
    generator = np.random.default_rng(draw(strategies.integers(0, 2**32 - 1)))
    members = draw(strategies.integers(1, most_members))
    return random_network(generator, image, tuple(graph), members)


def random_network(
    generator: np.random.Generator, image: Input, graph: tuple[Operation, ...], members: int
) -> DiscreteNetwork:
    """Members with random weights, and thresholds near the sums that the weights give."""
    shapes = value_shapes(image, graph)
    return DiscreteNetwork(
        image,
        tuple(f"class {index}" for index in range(graph[-1].out)),
        graph,
        tuple(
            {
                operation.name: random_parameters(generator, operation, shapes[operation.input])
                for operation in graph
            }
            for _ in range(members)
        ),
    )


def random_parameters(generator: np.random.Generator, operation: Operation, source: Shape) -> Parameters:
    """One operation's values; a hidden one has thresholds that never and always fire, and a ternary zero row."""
    count = taps(operation, source)
    allowed = (-1, 1) if operation.weights == "binary" else (-1, 0, 1)
    weights = generator.choice(np.array(allowed, dtype=np.int8), size=(operation.out, count))
    if operation.output == "floats":
        scale, bias = generator.normal(size=(2, operation.out)).astype(np.float32)
        scale[0] = 0
        return Parameters(weights, None, scale, bias)
    if operation.weights == "ternary":
        weights[1 % operation.out] = 0
    # A sum of `count` products deviates from 0 by the root of `count`; a pixel's 74 is 256 / sqrt(12).
    spread = np.sqrt(count) * (74 if operation.input == "image" else 1)
    threshold = np.round(generator.normal(scale=spread / 2, size=operation.out))
    threshold[2:4] = (2**30, -(2**30))[: max(0, operation.out - 2)]
    return Parameters(weights, threshold.astype(np.int32))


def random_pixels(generator: np.random.Generator, network: DiscreteNetwork, rows: int) -> NDArray[np.uint8]:
    """Pixels [rows, H, W, C]; the first row is all 0, the second all 255."""
    image = network.input
    shape = (rows, image.height, image.width, image.channels)
    pixels = generator.integers(0, 256, size=shape, dtype=np.uint8)
    pixels[:1], pixels[1:2] = 0, 255
    return pixels


@strategies.composite
def _layer(draw: strategies.DrawFn, name: str, source_name: str, source: Shape) -> Operation:
    out = draw(strategies.integers(1, MOST_CHANNELS))
    weights = draw(strategies.sampled_from(("binary", "ternary")))
    if draw(strategies.booleans()) and draw(strategies.booleans()):
        return Operation(name, "linear", source_name, out, weights)
    kernel = draw(strategies.integers(1, min(7, math.isqrt(MOST_TAPS // source[2]))))
    smallest = min(source[:2])
    # The smallest padding that leaves the kernel room on the shorter side.
    least = max(0, -(-(kernel - smallest) // 2))
    if least >= kernel:
        kernel, least = 1, 0
    padding = draw(strategies.integers(least, kernel - 1))
    stride = draw(strategies.integers(1, 4))
    positions = (smallest + 2 * padding - kernel) // stride + 1
    pool = draw(strategies.sampled_from((1, 2))) if positions >= 2 else 1
    return Operation(
        name,
        "conv2d",
        source_name,
        out,
        weights,
        kernel=kernel,
        stride=stride,
        padding=padding,
        pool=pool,
    )


def _head(graph: list[Operation], weights: str, classes: int) -> Operation:
    source = graph[-1].name if graph else "image"
    return Operation("logits", "linear", source, classes, weights, output="floats")
