"""Graphs by name: the networks of the model format's table, fitted to an image's size and to a number of classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from lrnet.discrete import AveragePool, Input, Node, Operation, Sign

ArchitectureName = Literal["lenet", "perceptron", "vgg-small", "resnet-18"]

Weights = Literal["binary", "ternary"]

MAX_WIDTH = 8
"""Eight times 512 channels are the most that an operation may have."""


@dataclass(frozen=True)
class Architecture:
    """A network's name, the kind of all its weights, and the factor on the channels of all layers but the last."""

    name: ArchitectureName
    weights: Weights
    width: float = 1.0


def build(architecture: Architecture, image: Input, classes: int) -> tuple[Node, ...]:
    """The graph of a named network. Scaled channels are rounded to a multiple of 8, and are 8 at least.

    Raises ValueError for a width that is not over 0 and at most 8, and for an image of a size that the network has
    no place for. `lrnet.graph.value_shapes` holds the graph to all other rules.
    """
    width = architecture.width
    if not 0 < width <= MAX_WIDTH:
        raise ValueError(f"width is over 0 and at most {MAX_WIDTH}, not {width}")

    def scaled(channels: int) -> int:
        return max(8, 8 * math.floor(channels * width / 8 + 0.5))

    return _BUILDERS[architecture.name](image, classes, architecture.weights, scaled)


Scaled = Callable[[int], int]


def _lenet(image: Input, classes: int, weights: Weights, scaled: Scaled) -> tuple[Node, ...]:
    """32C5-P-64C5-P-512, without padding."""
    if min(image.height, image.width) < 16:
        raise ValueError(
            f"LeNet needs 16 x 16 pixels at least, not {image.height} x {image.width}: its second window of 5 x 5 and"
            " pool would leave nothing"
        )
    conv2d = partial(Operation, op="conv2d", weights=weights, kernel=5, pool=2)
    return (
        conv2d("conv1", input="image", out=scaled(32)),
        conv2d("conv2", input="conv1", out=scaled(64)),
        Operation("linear1", "linear", "conv2", scaled(512), weights),
        _head("linear1", classes, weights),
    )


def _perceptron(image: Input, classes: int, weights: Weights, scaled: Scaled) -> tuple[Node, ...]:
    """Three layers of 1024, for images of any size."""
    linear = partial(Operation, op="linear", out=scaled(1024), weights=weights)
    return (
        linear("linear1", input="image"),
        linear("linear2", input="linear1"),
        linear("linear3", input="linear2"),
        _head("linear3", classes, weights),
    )


def _vgg_small(image: Input, classes: int, weights: Weights, scaled: Scaled) -> tuple[Node, ...]:
    """128C3-128C3-P-256C3-256C3-P-512C3-512C3-P."""
    _require_eighths("VGG-Small pools three times, which", image)
    graph: list[Node] = []
    before = "image"
    for index, channels in enumerate((128, 128, 256, 256, 512, 512)):
        name = f"conv{index + 1}"
        graph.append(
            Operation(
                name,
                "conv2d",
                before,
                scaled(channels),
                weights,
                kernel=3,
                padding=1,
                pool=2 if index % 2 else 1,
            )
        )
        before = name
    return (*graph, _head(before, classes, weights))


def _resnet_18(image: Input, classes: int, weights: Weights, scaled: Scaled) -> tuple[Node, ...]:
    """Four stages of four convolutions, each with a shortcut around it (Liu et al., Bi-Real Net, ECCV 2018).

    Between stages the shortcut, too, is a convolution of bits: those of means over 2 x 2. The mean before the head is
    over the largest squares that height and width divide into: over everything where the image is a square.
    """
    _require_eighths("ResNet-18 halves height and width three times, which", image)
    floats = partial(Operation, op="conv2d", weights=weights, output="floats")
    three = partial(floats, kernel=3, padding=1)
    graph: list[Node] = [three("stem", input="image", out=scaled(64))]
    before = "stem"
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        for index in range(1, 5):
            halves = stage > 1 and index == 1
            shortcut = before
            if halves:
                mean, bits, shortcut = (f"stage{stage}.{part}" for part in ("mean", "mean_sign", "shortcut"))
                graph += [
                    AveragePool(mean, before, 2),
                    Sign(bits, mean),
                    floats(shortcut, input=bits, out=scaled(channels)),
                ]
            sign, name = f"stage{stage}.sign{index}", f"stage{stage}.conv{index}"
            graph += [
                Sign(sign, before),
                three(name, input=sign, out=scaled(channels), stride=2 if halves else 1, add=shortcut),
            ]
            before = name
    pool = AveragePool("mean", before, math.gcd(image.height, image.width) // 8)
    return (*graph, pool, _head("mean", classes, weights))


def _head(before: str, classes: int, weights: Weights) -> Operation:
    return Operation("logits", "linear", before, classes, weights, "floats")


def _require_eighths(reason: str, image: Input) -> None:
    if image.height % 8 or image.width % 8:
        raise ValueError(f"{reason} needs multiples of 8, not {image.height} x {image.width}")


_BUILDERS: Mapping[ArchitectureName, Callable[[Input, int, Weights, Scaled], tuple[Node, ...]]] = {
    "lenet": _lenet,
    "perceptron": _perceptron,
    "vgg-small": _vgg_small,
    "resnet-18": _resnet_18,
}
