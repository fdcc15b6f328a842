"""A layer that training has settled: it computes what the discrete network will."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lrnet.discrete import AveragePool, Node, Parameters, Sign
from lrnet.forward import Constants, discrete_output, to_constants
from lrnet.graph import Shape, ValueType
from lrnet.layers import weight_shape
from lrnet.noise import Generators


class FrozenLayer(nn.Module):
    """A node whose discrete parameters are settled; it passes no gradient on, and draws nothing.

    Its buffers are those of `lrnet.forward.Constants`, None where the node has no such parameter.
    """

    weights: Tensor | None
    threshold: Tensor | None
    scale: Tensor | None
    bias: Tensor | None

    def __init__(self, node: Node, source: Shape, source_type: ValueType) -> None:
        """`source` and `source_type` are the shape and the type of what the node reads."""
        super().__init__()
        self.node = node
        self.source = source
        self.source_type = source_type
        for name, value in _zeros(node, source)._asdict().items():
            self.register_buffer(name, value)

    @torch.no_grad()
    def settle(self, parameters: Parameters) -> None:
        """Takes over a discrete layer."""
        constants = to_constants(self.node, parameters, self.source, torch.device("cpu"))
        for name, value in constants._asdict().items():
            if value is not None:
                getattr(self, name).copy_(value)

    def discrete(self) -> Parameters:
        """The layer as the format holds it."""
        values = {name: value.cpu() for name, value in self.named_buffers()}
        if "weights" in values:
            values["weights"] = values["weights"].permute(0, 2, 3, 1).flatten(1).to(torch.int8)
        return Parameters(**{name: value.numpy() for name, value in values.items()})

    @torch.no_grad()
    def forward(
        self, values: Tensor, generators: Generators | None = None, addend: Tensor | None = None
    ) -> Tensor:
        # In float32 whatever the network trains in: these are the discrete network's values, to the bit.
        constants = {
            name: value.float() if value.is_floating_point() else value
            for name, value in self.named_buffers()
        }
        floats = None if addend is None else addend.float()
        output = discrete_output(self.node, Constants(**constants), values.float(), self.source_type, floats)
        return output.to(values.dtype)


def _zeros(node: Node, source: Shape) -> Constants:
    if isinstance(node, AveragePool):
        return Constants()
    if isinstance(node, Sign):
        return Constants(threshold=torch.zeros(source[2]))
    weights = torch.zeros(weight_shape(node, source))
    if node.output == "bits":
        return Constants(weights, torch.zeros(node.out, dtype=torch.int32))
    return Constants(weights, scale=torch.zeros(node.out), bias=torch.zeros(node.out))
