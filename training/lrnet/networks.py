"""One graph, three networks: with float weights, with random discrete weights, and discrete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrnet.discrete import DiscreteNetwork, Input, Operation, Parameters
from lrnet.graph import MAX_FLOAT_SUM, Shape, taps, value_shapes
from lrnet.layers import EPSILON, StochasticLayer, convolve, pad, straight_through_sign, weight_shape

Activation = Literal["hardtanh", "sign"]


def sources(image: Input, graph: Sequence[Operation]) -> list[Shape]:
    """The input shape of every operation of a chain.

    Raises ValueError where the graph breaks a rule of the format, or is not a chain, which is all that is trained.
    """
    shapes = value_shapes(image, graph)
    names = list(shapes)
    for before, operation in zip(names, graph, strict=False):
        if operation.input != before:
            raise ValueError(
                f"{operation.name}: its input is {operation.input!r}, and only chains can be trained"
            )
        if (operation.output == "floats") != (operation is graph[-1]):
            raise ValueError(f"{operation.name}: the last operation, and no other, gives floats")
        largest = taps(operation, shapes[before]) * (128 if before == "image" else 1)
        if largest > MAX_FLOAT_SUM:
            raise ValueError(f"{operation.name}: its sums may leave ±2^24, where float32 is exact")
    return list(shapes.values())[:-1]


def to_input(pixels: Tensor) -> Tensor:
    """Bytes p, uint8 [n, H, W, C], as x = p - 128, float32 [n, C, H, W]."""
    return pixels.permute(0, 3, 1, 2).float() - 128.0


class FloatNetwork(nn.Module):
    """The graph with float weights: convolution, batch norm, activation, pool; the last operation gives logits.

    With `hardtanh` it is the float twin. With `sign`, whose gradient is hardtanh's, it is where the
    distributions start from.
    """

    def __init__(self, image: Input, graph: Sequence[Operation], activation: Activation) -> None:
        super().__init__()
        self.graph = tuple(graph)
        self.activation = activation
        shapes = sources(image, graph)
        self.weights = nn.ParameterList()
        for operation, source in zip(graph, shapes, strict=True):
            weights = torch.empty(weight_shape(operation, source))
            nn.init.kaiming_uniform_(weights, nonlinearity="linear")
            self.weights.append(nn.Parameter(weights.contiguous(memory_format=torch.channels_last)))
        self.norms = nn.ModuleList(nn.BatchNorm2d(operation.out, eps=EPSILON) for operation in graph)

    def forward(self, image: Tensor) -> Tensor:
        """Logits [n, classes] of x = p - 128, [n, C, H, W]."""
        values = image
        for operation, weights, norm in zip(self.graph, self.weights, self.norms, strict=True):
            values = norm(convolve(operation, pad(operation, values), weights))
            if operation.output == "floats":
                continue
            if operation.pool == 2:
                values = F.max_pool2d(values, 2)
            values = F.hardtanh(values) if self.activation == "hardtanh" else straight_through_sign(values)
        return values.flatten(1)


class StochasticNetwork(nn.Module):
    """The graph with a distribution for every weight; a forward pass draws every activation anew."""

    def __init__(self, image: Input, graph: Sequence[Operation], pixel_mean: float) -> None:
        """`pixel_mean` is the training images' mean byte, 0 … 255."""
        super().__init__()
        self.image = image
        self.graph = tuple(graph)
        shapes = sources(image, graph)
        self.layers = nn.ModuleList(
            StochasticLayer(operation, source, pixel_mean - 128.0)
            for operation, source in zip(graph, shapes, strict=True)
        )

    @torch.no_grad()
    def start_from(self, pretrained: FloatNetwork) -> None:
        """Takes over float weights, as distributions around them, and the batch norms' γ and β."""
        for layer, weights, norm in zip(self.layers, pretrained.weights, pretrained.norms, strict=True):
            layer.weights.start_from(weights)
            layer.norm.gamma.copy_(norm.weight)
            layer.norm.beta.copy_(norm.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Drawn logits [n, classes] of x = p - 128, [n, C, H, W]."""
        values = image
        for layer in self.layers:
            values = layer(values)
        return values.flatten(1)

    def most_probable(self) -> list[Tensor]:
        """Each operation's most probable weights, int8 [out, in, height, width]."""
        return [layer.weights.most_probable() for layer in self.layers]

    def sample(self) -> list[Tensor]:
        """One draw of every operation's weights, int8 [out, in, height, width]."""
        return [layer.weights.sample() for layer in self.layers]


@torch.no_grad()
def discrete_forward(network: DiscreteNetwork, member: int, images: Tensor) -> dict[str, Tensor]:
    """Every operation's output for images uint8 [n, H, W, C], by name and in order.

    Bits are bool [n, H, W, out], floats float32 [n, H, W, out]; the logits come last.
    """
    shapes = sources(network.input, network.graph)
    outputs: dict[str, Tensor] = {}
    values = to_input(images)
    for operation, source in zip(network.graph, shapes, strict=True):
        parameters = network.members[member][operation.name]
        weights = weights_from_taps(operation, source, parameters, images.device)
        values = discrete_output(operation, parameters, discrete_sums(operation, values, weights))
        rows = values.permute(0, 2, 3, 1)
        outputs[operation.name] = rows > 0 if operation.output == "bits" else rows
    return outputs


def discrete_logits(network: DiscreteNetwork, member: int, images: Tensor, chunk: int = 500) -> Tensor:
    """Logits float32 [n, classes] of images uint8 [n, H, W, C]."""
    return torch.cat(
        [discrete_forward(network, member, rows)["logits"].flatten(1) for rows in images.split(chunk)]
    )


def discrete_sums(operation: Operation, values: Tensor, weights: Tensor) -> Tensor:
    """Integer sums, as float32 [n, out, H, W], which is exact, since |sum| <= 2²⁴."""
    with torch.autocast(values.device.type, enabled=False):
        return convolve(operation, pad(operation, values), weights).round()


def discrete_output(operation: Operation, parameters: Parameters, sums: Tensor) -> Tensor:
    """±1 by threshold and pooled, or floats by scale and bias with two roundings; [n, out, H, W]."""

    def columns(values: object) -> Tensor:
        return torch.as_tensor(values, device=sums.device).view(1, -1, 1, 1)

    if operation.output == "floats":
        return sums * columns(parameters.scale) + columns(parameters.bias)
    bits = torch.where(sums >= columns(parameters.threshold), 1.0, -1.0)
    return F.max_pool2d(bits, 2) if operation.pool == 2 else bits


def weights_from_taps(
    operation: Operation, source: Shape, parameters: Parameters, device: torch.device
) -> Tensor:
    """Weights [out, taps], taps in the order (y, x, channel), as float32 [out, in, height, width]."""
    out, channels, height, width = weight_shape(operation, source)
    taps = torch.as_tensor(parameters.weights, device=device)
    return taps.view(out, height, width, channels).permute(0, 3, 1, 2).float()
