"""The float twin in the form that onnxruntime runs fastest, and quantizes with the least loss."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from lrnet.discrete import AveragePool, Node, Operation, Sign
from lrnet.flow import outputs
from lrnet.graph import value_types
from lrnet.networks import FloatNetwork


class FusedNetwork(nn.Module):
    """x = p - 128, float32 [n, C, H, W], to logits [n, classes]: a layer for each node of the graph."""

    def __init__(self, graph: Sequence[Node], layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.graph = tuple(graph)
        self.layers = nn.ModuleList(layers)

    def forward(self, image: Tensor) -> Tensor:
        ((_, logits),) = deque(outputs(self.graph, image, self._output), maxlen=1)
        return logits.flatten(1) if logits.ndim > 2 else logits

    def _output(self, index: int, values: Tensor, addend: Tensor | None) -> Tensor:
        node = self.graph[index]
        if isinstance(node, Operation) and node.op == "linear":
            values = values.flatten(1) if values.ndim > 2 else values
        else:
            values = _spatial(values)
        values = self.layers[index](values)
        return values if addend is None else _spatial(values) + _spatial(addend)


@torch.no_grad()
def fused(twin: FloatNetwork) -> FusedNetwork:
    """The function of a twin that is ready for inference.

    Batch norm becomes part of weights and biases. The activation comes before the pool, with which it commutes: there
    a runtime fuses it with the sum, and a sum in eight bits needs no wider range than the activation's. Values of
    hardtanh are carried as v + 1, so that the border of -1 is one of 0, which a convolution adds by itself.
    """
    shift = 1.0 if twin.activation == "hardtanh" else 0.0
    types = value_types(twin.graph)
    layers: list[nn.Module] = []
    for node in twin.graph:
        if isinstance(node, AveragePool):
            layers.append(nn.AvgPool2d(node.size))
        elif isinstance(node, Sign):
            threshold = twin.thresholds[twin.places[node.name]]
            layers.append(nn.Sequential(_Offset(shift - threshold), _activation(twin)))
        else:
            layer = _sums(twin, node)
            parts: list[nn.Module] = [layer]
            if types[node.input] == "bits":
                layer.bias -= shift * layer.weight.flatten(1).sum(dim=1)
            if node.output == "bits":
                layer.bias += shift
                parts.append(_activation(twin))
                if node.pool == 2:
                    parts.append(nn.MaxPool2d(2))
            layers.append(nn.Sequential(*parts))
    return FusedNetwork(twin.graph, layers).eval()


class _Offset(nn.Module):
    """Adds a number a channel, of `offset` [C], to values [n, C, H, W]."""

    def __init__(self, offset: Tensor) -> None:
        super().__init__()
        self.offset = nn.Parameter(offset.reshape(-1, 1, 1).clone())

    def forward(self, values: Tensor) -> Tensor:
        return values + self.offset


def _sums(twin: FloatNetwork, node: Operation) -> nn.Linear | nn.Conv2d:
    """Sums over weights with their batch norm."""
    weights, norm = twin.weights[twin.places[node.name]], twin.norms[twin.places[node.name]]
    moments = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    layer: nn.Linear | nn.Conv2d
    if node.op == "linear":
        matrix = weights.flatten(1)
        layer = nn.Linear(matrix.shape[1], node.out)
        layer.weight, layer.bias = fuse_linear_bn_weights(matrix, None, *moments)
    else:
        layer = nn.Conv2d(weights.shape[1], node.out, node.kernel, node.stride, node.padding)
        layer.weight, layer.bias = fuse_conv_bn_weights(weights.contiguous(), None, *moments)
    return layer


def _activation(twin: FloatNetwork) -> nn.Module:
    return nn.Hardtanh(0.0, 2.0) if twin.activation == "hardtanh" else nn.ReLU()


def _spatial(values: Tensor) -> Tensor:
    return values if values.ndim > 2 else values[:, :, None, None]
