"""One graph, two networks that learn: with float weights, and with random discrete weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrnet.discrete import Input, Operation
from lrnet.distributed import world
from lrnet.distributions import SHARPNESS, WeightKind
from lrnet.graph import MAX_FLOAT_SUM, Shape, taps, value_shapes
from lrnet.layers import (
    EPSILON,
    FrozenLayer,
    Gaussian,
    StochasticLayer,
    batch_moments,
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

    With `hardtanh` or `relu` it is the float twin, which pads with 0 everywhere where that is `relu`. With `sign`,
    whose gradient is hardtanh's, it is where the distributions start from; with `discrete` weights too, which let the
    gradient straight through to the float ones, it is the straight-through estimator's network.
    """

    def __init__(
        self, image: Input, graph: Sequence[Operation], activation: Activation, *, discrete: bool = False
    ) -> None:
        super().__init__()
        self.graph = tuple(graph)
        self.activation = activation
        self.discrete = discrete
        shapes = sources(image, graph)
        self.weights = nn.ParameterList()
        for operation, source in zip(graph, shapes, strict=True):
            weights = torch.empty(weight_shape(operation, source))
            nn.init.kaiming_uniform_(weights, nonlinearity="linear")
            self.weights.append(nn.Parameter(weights.contiguous(memory_format=torch.channels_last)))
        self.norms = nn.ModuleList(BatchNorm(operation.out, eps=EPSILON) for operation in graph)

    def forward(self, image: Tensor, generators: Generators | None = None) -> Tensor:
        """Logits [n, classes] of x = p - 128, [n, C, H, W]. Nothing is drawn."""
        values = image
        for operation, weights, norm in zip(self.graph, self.weights, self.norms, strict=True):
            border = 0.0 if self.activation == "relu" else padding_value(operation)
            used = straight_through_weights(weights, operation.weights) if self.discrete else weights
            sums = convolve(operation, pad(operation, values, border), used)
            values = self.activate(operation, norm, sums)
        return values.flatten(1)

    def activate(self, operation: Operation, norm: nn.Module, sums: Tensor) -> Tensor:
        """All of a layer that is not a sum over weights: steps that `torch.compile` makes one of."""
        values = norm(sums)
        if operation.output == "floats":
            return values
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
    """The graph with a distribution for every weight; a forward pass draws every activation anew.

    From the input on, layers may be frozen.
    """

    def __init__(self, image: Input, graph: Sequence[Operation], pixel_mean: float, frozen: int = 0) -> None:
        """`pixel_mean` is the training images' mean byte, 0 … 255; the first `frozen` layers are."""
        super().__init__()
        self.image = image
        self.graph = tuple(graph)
        shapes = sources(image, graph)
        self.layers = nn.ModuleList(
            FrozenLayer(operation, source)
            if index < frozen
            else StochasticLayer(operation, source, pixel_mean - 128.0)
            for index, (operation, source) in enumerate(zip(graph, shapes, strict=True))
        )

    @property
    def free(self) -> list[StochasticLayer]:
        """The layers that are not frozen."""
        return [layer for layer in self.layers if isinstance(layer, StochasticLayer)]

    @torch.no_grad()
    def start_from(self, pretrained: FloatNetwork, sharpness: float = SHARPNESS) -> None:
        """Takes over float weights, as distributions around them, and the batch norms' γ and β."""
        for layer, weights, norm in zip(self.layers, pretrained.weights, pretrained.norms, strict=True):
            layer.weights.start_from(weights, sharpness)
            layer.norm.gamma.copy_(norm.weight)
            layer.norm.beta.copy_(norm.bias)

    def forward(self, image: Tensor, generators: Generators | None = None) -> Tensor:
        """Drawn logits [n, classes] of x = p - 128, [n, C, H, W]; PyTorch's own generator draws without others."""
        values = image
        for layer in self.layers:
            values = layer(values, generators)
        return values.flatten(1)

    def most_probable(self) -> list[Tensor]:
        """Each operation's most probable weights, or those that are frozen, int8 [out, in, height, width]."""
        return [
            layer.weights.to(torch.int8) if isinstance(layer, FrozenLayer) else layer.weights.most_probable()
            for layer in self.layers
        ]

    def compile_steps(self) -> None:
        for layer in self.free:
            layer.draw = torch.compile(layer.draw, dynamic=False)
            layer.weights.moments = torch.compile(layer.weights.moments, dynamic=False)
