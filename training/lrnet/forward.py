"""PyTorch's pass through a discrete network: to the bit what the integer reference gives, and much faster.

Sums of integers may be added in any order, and so are convolutions. Floats are added one after the other, as the
format has it: PyTorch's own sums and means promise no order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lrnet.discrete import AveragePool, DiscreteNetwork, Node, Operation, Parameters, Sign
from lrnet.graph import MAX_FLOAT_SUM, Shape, value_shapes, value_types
from lrnet.layers import convolve, pad, weight_shape


def to_input(pixels: Tensor) -> Tensor:
    """Bytes p, uint8 [n, H, W, C], as x = p - 128, float32 [n, C, H, W]."""
    return pixels.permute(0, 3, 1, 2).float() - 128.0


@torch.no_grad()
def discrete_forward(network: DiscreteNetwork, member: int, images: Tensor) -> dict[str, Tensor]:
    """Every node's output for images uint8 [n, H, W, C], by name and in order.

    Bits are bool [n, H, W, channels], floats float32 [n, H, W, channels]; the logits come last. All are held at once.
    """
    outputs: dict[str, Tensor] = {}
    for node, value in _values(network, member, images):
        rows = value.permute(0, 2, 3, 1)
        outputs[node.name] = rows > 0 if node.output == "bits" else rows
    return outputs


@torch.no_grad()
def discrete_logits(network: DiscreteNetwork, member: int, images: Tensor, chunk: int = 500) -> Tensor:
    """Logits float32 [n, classes] of images uint8 [n, H, W, C]."""

    def last(rows: Tensor) -> Tensor:
        ((_, value),) = deque(_values(network, member, rows), maxlen=1)
        return value.flatten(1)

    return torch.cat([last(rows) for rows in images.split(chunk)])


def _values(network: DiscreteNetwork, member: int, images: Tensor) -> Iterator[tuple[Node, Tensor]]:
    """Every node with its output [n, channels, H, W], bits as ±1. What no later node reads is let go."""
    graph = network.graph
    shapes, types = value_shapes(network.input, graph), value_types(graph)
    last_reader = {name: index for index, node in enumerate(graph) for name in _read_by(node)}
    values = {"image": to_input(images)}
    for index, node in enumerate(graph):
        parameters, value = network.members[member][node.name], values[node.input]
        if isinstance(node, Sign):
            output = _signs(value, parameters.threshold)
        elif isinstance(node, AveragePool):
            output = _means(value, node.size)
        elif types[node.input] == "floats":
            output = _to_floats(parameters, _sums_of_floats(value, parameters))
        else:
            weights = weights_from_taps(node, shapes[node.input], parameters, images.device)
            output = discrete_output(node, parameters, discrete_sums(node, value, weights))
        if isinstance(node, Operation) and node.add is not None:
            output = output + values[node.add]
        values[node.name] = output
        yield node, output
        for name in [name for name in values if last_reader.get(name, -1) <= index]:
            del values[name]


def _read_by(node: Node) -> Sequence[str]:
    if isinstance(node, Operation) and node.add is not None:
        return (node.input, node.add)
    return (node.input,)


def discrete_sums(operation: Operation, values: Tensor, weights: Tensor) -> Tensor:
    """Integer sums of pixels or bits, [n, out, H, W], as float32, or as float64 where |sum| may be over 2²⁴."""
    largest = weights[0].numel() * (128 if operation.input == "image" else 1)
    exact = torch.float32 if largest <= MAX_FLOAT_SUM else torch.float64
    with torch.autocast(values.device.type, enabled=False):
        return convolve(operation, pad(operation, values).to(exact), weights.to(exact)).round()


def discrete_output(operation: Operation, parameters: Parameters, sums: Tensor) -> Tensor:
    """Of integer sums: ±1 by threshold and pooled, or floats by scale and bias with two roundings; [n, out, H, W]."""
    # As integers, since PyTorch would compare with thresholds in float32, and since their 0 has no sign.
    integers = sums.int()
    if operation.output == "floats":
        return _to_floats(parameters, integers.float())
    bits = _signs(integers, parameters.threshold)
    return F.max_pool2d(bits, 2) if operation.pool == 2 else bits


def weights_from_taps(
    operation: Operation, source: Shape, parameters: Parameters, device: torch.device
) -> Tensor:
    """Weights [out, taps], taps in the order (y, x, channel), as float32 [out, in, height, width]."""
    out, channels, height, width = weight_shape(operation, source)
    taps = torch.as_tensor(parameters.weights, device=device)
    return taps.view(out, height, width, channels).permute(0, 3, 1, 2).float()


def _columns(values: object, device: torch.device) -> Tensor:
    """One value a channel, as it meets [n, channels, H, W]."""
    return torch.as_tensor(values, device=device).view(1, -1, 1, 1)


def _signs(values: Tensor, threshold: object) -> Tensor:
    return torch.where(values >= _columns(threshold, values.device), 1.0, -1.0)


def _to_floats(parameters: Parameters, sums: Tensor) -> Tensor:
    return sums * _columns(parameters.scale, sums.device) + _columns(parameters.bias, sums.device)


def _sums_of_floats(values: Tensor, parameters: Parameters) -> Tensor:
    """`linear`: tap after tap in the order (y, x, channel), from +0, one rounding an addition; [n, out, 1, 1]."""
    columns = values.permute(0, 2, 3, 1).flatten(1)
    weights = torch.as_tensor(parameters.weights, device=values.device).float()
    sums = torch.zeros(len(values), len(weights), device=values.device)
    for column, row in zip(columns.split(1, dim=1), weights.T, strict=True):
        sums += column * row
    return sums[:, :, None, None]


def _means(values: Tensor, size: int) -> Tensor:
    """Means of squares: summed row after row of a square, from +0, one rounding an addition, and divided once."""
    rows, channels, height, width = values.shape
    sums = torch.zeros(rows, channels, height // size, width // size, device=values.device)
    for y in range(size):
        for x in range(size):
            sums += values[:, :, y::size, x::size]
    # A tensor on the device: by a Python number CUDA multiplies with its reciprocal.
    return sums / torch.tensor(float(size**2), device=values.device)
