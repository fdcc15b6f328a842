"""PyTorch's pass through a discrete network: to the bit what the integer reference gives, and much faster.

Sums of integers may be added in any order, and so are convolutions. Floats are added one after the other, as the
format has it: PyTorch's own sums and means promise no order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lrnet.discrete import AveragePool, DiscreteNetwork, Node, Operation, Parameters, Sign
from lrnet.flow import outputs
from lrnet.graph import MAX_FLOAT_SUM, Shape, ValueType, value_shapes, value_types
from lrnet.layers import columns, convolve, pad, weight_shape


def to_input(pixels: Tensor) -> Tensor:
    """Bytes p, uint8 [n, H, W, C], as x = p - 128, float32 [n, C, H, W]."""
    return pixels.permute(0, 3, 1, 2).float() - 128.0


@torch.no_grad()
def discrete_forward(network: DiscreteNetwork, member: int, images: Tensor) -> dict[str, Tensor]:
    """Every node's output for images uint8 [n, H, W, C], by name and in order.

    Bits are bool [n, H, W, channels], floats float32 [n, H, W, channels]; the logits come last. All are held at once.
    """
    found: dict[str, Tensor] = {}
    for node, value in _values(network, member, images):
        rows = value.permute(0, 2, 3, 1)
        found[node.name] = rows > 0 if node.output == "bits" else rows
    return found


@torch.no_grad()
def discrete_logits(network: DiscreteNetwork, member: int, images: Tensor, chunk: int = 500) -> Tensor:
    """Logits float32 [n, classes] of images uint8 [n, H, W, C]."""

    def last(rows: Tensor) -> Tensor:
        ((_, value),) = deque(_values(network, member, rows), maxlen=1)
        return value.flatten(1)

    return torch.cat([last(rows) for rows in images.split(chunk)])


def _values(network: DiscreteNetwork, member: int, images: Tensor) -> Iterator[tuple[Node, Tensor]]:
    """Every node with its output [n, channels, H, W], bits as ±1."""
    graph, parameters = network.graph, network.members[member]
    shapes, types = value_shapes(network.input, graph), value_types(graph)

    def apply(index: int, values: Tensor, addend: Tensor | None) -> Tensor:
        node = graph[index]
        constants = to_constants(node, parameters[node.name], shapes[node.input], images.device)
        return discrete_output(node, constants, values, types[node.input], addend)

    return outputs(graph, to_input(images), apply)


class Constants(NamedTuple):
    """One node's parameters as they meet values [n, channels, H, W]; what a node has not is None.

    weights: float32 [out, in, height, width], whole numbers; threshold: int32, or float32 for `sign`; scale and bias:
    float32, all three [channels].
    """

    weights: Tensor | None = None
    threshold: Tensor | None = None
    scale: Tensor | None = None
    bias: Tensor | None = None


def to_constants(node: Node, parameters: Parameters, source: Shape, device: torch.device) -> Constants:
    """A node's parameters on a device; `source` is the shape of what it reads."""
    on_device = {
        key: torch.as_tensor(value, device=device)
        for key, value in vars(parameters).items()
        if value is not None
    }
    if isinstance(node, Operation):
        on_device["weights"] = weights_from_taps(node, source, parameters, device)
    return Constants(**on_device)


def weights_from_taps(
    operation: Operation, source: Shape, parameters: Parameters, device: torch.device
) -> Tensor:
    """Weights [out, taps], taps in the order (y, x, channel), as float32 [out, in, height, width]."""
    out, channels, height, width = weight_shape(operation, source)
    taps = torch.as_tensor(parameters.weights, device=device)
    return taps.view(out, height, width, channels).permute(0, 3, 1, 2).float()


def discrete_output(
    node: Node, constants: Constants, values: Tensor, source: ValueType, addend: Tensor | None = None
) -> Tensor:
    """A node's output [n, channels, H, W] of float32 values of the type `source`; bits are ±1."""
    if isinstance(node, Sign):
        return _signs(values, constants.threshold)
    if isinstance(node, AveragePool):
        return _means(values, node.size)
    sums = discrete_sums(node, values, constants.weights, source)
    if source != "floats":
        # As integers, since PyTorch would compare with thresholds in float32, and since their 0 has no sign.
        sums = sums.int()
    if node.output == "bits":
        bits = _signs(sums, constants.threshold)
        return F.max_pool2d(bits, 2) if node.pool == 2 else bits
    floats = sums.float() * columns(constants.scale) + columns(constants.bias)
    return floats if addend is None else floats + addend


def discrete_sums(operation: Operation, values: Tensor, weights: Tensor, source: ValueType) -> Tensor:
    """Sums [n, out, H, W] of values of the type `source`, with weights [out, in, height, width].

    Of floats they are float32, rounded as the format has it; of pixels or bits whole numbers, as float32, or as
    float64 where |sum| may be over 2²⁴.
    """
    if source == "floats":
        return _sums_of_floats(values, weights)
    largest = weights[0].numel() * (128 if source == "pixels" else 1)
    exact = torch.float32 if largest <= MAX_FLOAT_SUM else torch.float64
    with torch.autocast(values.device.type, enabled=False):
        return convolve(operation, pad(operation, values).to(exact), weights.to(exact)).round()


def _sums_of_floats(values: Tensor, weights: Tensor) -> Tensor:
    """`linear`: tap after tap in the order (y, x, channel), from +0, one rounding an addition; [n, out, 1, 1]."""
    taps = values.permute(0, 2, 3, 1).flatten(1)
    sums = torch.zeros(len(values), len(weights), device=values.device)
    for column, row in zip(taps.split(1, dim=1), weights.permute(0, 2, 3, 1).flatten(1).T, strict=True):
        sums += column * row
    return sums[:, :, None, None]


def _signs(values: Tensor, threshold: Tensor) -> Tensor:
    return torch.where(values >= columns(threshold), 1.0, -1.0)


def _means(values: Tensor, size: int) -> Tensor:
    """Means of squares: summed row after row of a square, from +0, one rounding an addition, and divided once."""
    rows, channels, height, width = values.shape
    sums = torch.zeros(rows, channels, height // size, width // size, device=values.device)
    for y in range(size):
        for x in range(size):
            sums += values[:, :, y::size, x::size]
    # A tensor on the device: by a Python number CUDA multiplies with its reciprocal.
    return sums / torch.tensor(float(size**2), device=values.device)
