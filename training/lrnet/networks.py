"""One graph, two networks that learn: with float weights, and with random discrete weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrnet.discrete import AveragePool, Input, Node, Operation, Parameters, Sign
from lrnet.distributed import world
from lrnet.distributions import SHARPNESS, WeightKind
from lrnet.flow import last_readers, outputs, weighted
from lrnet.frozen import FrozenLayer
from lrnet.graph import MAX_FLOAT_SUM, Shape, taps, value_shapes, value_types
from lrnet.layers import (
    EPSILON,
    Gaussian,
    MeanLayer,
    SignLayer,
    StochasticLayer,
    batch_moments,
    columns,
    convolve,
    moments_over_processes,
    normalize,
    pad,
    padding_value,
    straight_through_sign,
    weight_shape,
)
from lrnet.noise import Generators

Activation = Literal["hardtanh", "relu", "sign"]


def trained_shapes(image: Input, graph: Sequence[Node]) -> dict[str, Shape]:
    """The shape of `image` and of every node's output, in order.

    Raises ValueError where the graph breaks a rule of the format, or has sums that training cannot hold exactly.
    """
    shapes, types = value_shapes(image, graph), value_types(graph)
    for node in graph:
        if not isinstance(node, Operation) or types[node.input] == "floats":
            continue
        largest = taps(node, shapes[node.input]) * (128 if types[node.input] == "pixels" else 1)
        if largest > MAX_FLOAT_SUM:
            raise ValueError(f"{node.name}: its sums may leave ±2^24, where float32 is exact")
    return shapes


class BatchNorm(nn.BatchNorm2d):
    """Batch norm whose moments are the whole batch's, however many processes share it."""

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or world() == 1:
            return super().forward(values)
        gaussian = Gaussian(values, values.new_zeros(1, values.shape[1], 1, 1))
        mean, variance = moments_over_processes(*batch_moments(gaussian))
        with torch.no_grad():
            n = world() * values.numel() // values.shape[1]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (n / (n - 1)), self.momentum)
            self.num_batches_tracked.add_(1)
        return normalize(gaussian, mean, variance, self.weight, self.bias).mean


class FloatNetwork(nn.Module):
    """The graph with float weights: convolution, batch norm, activation, pool; the last operation gives logits.

    A sign becomes the activation of floats less a threshold a channel, which is learned. With `hardtanh` or `relu` it
    is the float twin, which pads with 0 everywhere where that is `relu`. With `sign`, whose gradient is hardtanh's, it
    is where the distributions start from; with `discrete` weights too, which let the gradient straight through to the
    float ones, it is the straight-through estimator's network.
    """

    def __init__(
        self, image: Input, graph: Sequence[Node], activation: Activation, *, discrete: bool = False
    ) -> None:
        super().__init__()
        self.graph = tuple(graph)
        self.activation = activation
        self.discrete = discrete
        shapes = trained_shapes(image, graph)
        operations = [node for node in graph if isinstance(node, Operation)]
        signs = [node for node in graph if isinstance(node, Sign)]
        # A node's place among the weights and norms, or among the thresholds.
        self.places = {node.name: place for nodes in (operations, signs) for place, node in enumerate(nodes)}
        self.weights = nn.ParameterList()
        for operation in operations:
            weights = torch.empty(weight_shape(operation, shapes[operation.input]))
            nn.init.kaiming_uniform_(weights, nonlinearity="linear")
            self.weights.append(nn.Parameter(weights.contiguous(memory_format=torch.channels_last)))
        self.norms = nn.ModuleList(BatchNorm(operation.out, eps=EPSILON) for operation in operations)
        self.thresholds = nn.ParameterList(torch.zeros(shapes[sign.input][2]) for sign in signs)

    def forward(self, image: Tensor, generators: Generators | None = None) -> Tensor:
        """Logits [n, classes] of x = p - 128, [n, C, H, W]. Nothing is drawn."""
        ((_, logits),) = deque(outputs(self.graph, image, self._output), maxlen=1)
        return logits.flatten(1)

    def _output(self, index: int, values: Tensor, addend: Tensor | None) -> Tensor:
        node = self.graph[index]
        if isinstance(node, AveragePool):
            return F.avg_pool2d(values, node.size)
        place = self.places[node.name]
        if isinstance(node, Sign):
            return _ACTIVATIONS[self.activation](values - columns(self.thresholds[place]))
        weights = self.weights[place]
        border = 0.0 if self.activation == "relu" else padding_value(node)
        used = straight_through_weights(weights, node.weights) if self.discrete else weights
        return self.activate(node, self.norms[place], convolve(node, pad(node, values, border), used), addend)

    def activate(
        self, operation: Operation, norm: nn.Module, sums: Tensor, addend: Tensor | None = None
    ) -> Tensor:
        """All of a layer that is not a sum over weights: steps that `torch.compile` makes one of."""
        values = norm(sums)
        if operation.output == "floats":
            return values if addend is None else values + addend
        if operation.pool == 2:
            values = F.max_pool2d(values, 2)
        return _ACTIVATIONS[self.activation](values)

    def compile_steps(self) -> None:
        self.activate = torch.compile(self.activate, dynamic=False)  # type: ignore[method-assign]


_ACTIVATIONS = {"hardtanh": F.hardtanh, "relu": F.relu, "sign": straight_through_sign}


def straight_through_weights(weights: Tensor, kind: WeightKind) -> Tensor:
    """Discrete values of float weights [out, in, height, width], whose gradient is passed on as it is.

    Binary: the sign. Ternary: 0 where |w| is at most 0.7 times the channel's mean |w|, which is near the closest
    ternary weights to those of a normal distribution (Li, Zhang and Liu, "Ternary Weight Networks", 2016).
    """
    with torch.no_grad():
        values = torch.where(weights >= 0, 1.0, -1.0).to(weights.dtype)
        if kind == "ternary":
            magnitudes = weights.abs()
            values *= magnitudes > 0.7 * magnitudes.mean(dim=(1, 2, 3), keepdim=True)
    return values + (weights - weights.detach())


class StochasticNetwork(nn.Module):
    """The graph with a distribution for every weight; a forward pass draws every sum over weights anew.

    A layer for each node; from the input on, layers may be frozen.
    """

    def __init__(self, image: Input, graph: Sequence[Node], pixel_mean: float, frozen: int = 0) -> None:
        """`pixel_mean` is the training images' mean byte, 0 … 255; the first `frozen` layers are."""
        super().__init__()
        self.image = image
        self.graph = tuple(graph)
        self.shapes = trained_shapes(image, graph)
        self.types = value_types(graph)
        self.readers = last_readers(graph)
        self.layers = nn.ModuleList(
            FrozenLayer(node, self.shapes[node.input], self.types[node.input])
            if index < frozen
            else self._free_layer(node, pixel_mean)
            for index, node in enumerate(graph)
        )

    def _free_layer(self, node: Node, pixel_mean: float) -> nn.Module:
        source = self.shapes[node.input]
        if isinstance(node, AveragePool):
            return MeanLayer(node)
        if isinstance(node, Sign):
            return SignLayer(node, source[2])
        of_floats = self.types[node.input] == "floats"
        return StochasticLayer(node, source, pixel_mean - 128.0, of_floats=of_floats)

    @property
    def free(self) -> list[StochasticLayer]:
        """The layers with weights that are not frozen."""
        return [layer for layer in self.layers if isinstance(layer, StochasticLayer)]

    @property
    def free_signs(self) -> list[SignLayer]:
        """The signs whose thresholds are not frozen."""
        return [layer for layer in self.layers if isinstance(layer, SignLayer)]

    def freeze(self, parameters: Sequence[Parameters]) -> None:
        """Puts discrete layers in the place of the first ones."""
        device = next(self.parameters()).device
        for index, (node, each) in enumerate(zip(self.graph, parameters, strict=False)):
            layer = FrozenLayer(node, self.shapes[node.input], self.types[node.input])
            layer.settle(each)
            self.layers[index] = layer.to(device)

    @torch.no_grad()
    def start_from(self, pretrained: FloatNetwork, sharpness: float = SHARPNESS) -> None:
        """Takes over float weights, as distributions around them, the batch norms' γ and β, and the thresholds."""
        for layer, weights, norm in zip(self.free, pretrained.weights, pretrained.norms, strict=True):
            layer.weights.start_from(weights, sharpness)
            layer.norm.gamma.copy_(norm.weight)
            layer.norm.beta.copy_(norm.bias)
        for layer, threshold in zip(self.free_signs, pretrained.thresholds, strict=True):
            layer.threshold.copy_(threshold)

    def forward(self, image: Tensor, generators: Generators | None = None) -> Tensor:
        """Drawn logits [n, classes] of x = p - 128, [n, C, H, W]; PyTorch's own generator draws without others."""

        def output(index: int, values: Tensor, addend: Tensor | None) -> Tensor:
            return self.layers[index](values, generators, addend)

        ((_, logits),) = deque(outputs(self.graph, image, output), maxlen=1)
        return logits.flatten(1)

    def most_probable(self) -> list[Tensor]:
        """Each operation's most probable weights, or those that are frozen, int8 [out, in, height, width]."""
        layers = [self.layers[index] for index in weighted(self.graph)]
        return [
            layer.weights.to(torch.int8) if isinstance(layer, FrozenLayer) else layer.weights.most_probable()
            for layer in layers
        ]

    def compile_steps(self) -> None:
        for layer in self.free:
            layer.draw = torch.compile(layer.draw, dynamic=False)
            layer.weights.moments = torch.compile(layer.weights.moments, dynamic=False)
