"""Discrete versions of one layer, and which of them is best: how networks are frozen, and members drawn, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrnet.calibrate import fit_temperature, log_loss, mean_probabilities
from lrnet.discrete import Parameters
from lrnet.discretize import Chunks, input_chunks, realize_layer, through
from lrnet.flow import added_by, read_behind
from lrnet.layers import StochasticLayer
from lrnet.networks import StochasticNetwork


@dataclass(frozen=True)
class Evidence:
    """What versions of a layer are judged by: all values that are there when it is its turn and are read from then on.

    measured: training images, on which batch norm is measured; deciding: held-out images, with labels [n].
    """

    measured: Mapping[str, Chunks]
    deciding: Mapping[str, Chunks]
    labels: NDArray[np.int64]

    @staticmethod
    def of(measured: Tensor, deciding: Tensor, labels: NDArray[np.int64]) -> Evidence:
        """At the input of a network, from images uint8 [n, H, W, C]."""
        return Evidence({"image": input_chunks(measured)}, {"image": input_chunks(deciding)}, labels)

    def behind(self, network: StochasticNetwork, index: int, parameters: Parameters) -> Evidence:
        """When it is the next layer's turn."""
        name = network.graph[index].name
        measured, deciding = (
            read_behind({**values, name: _output(network, index, parameters, values)}, network.readers, index)
            for values in (self.measured, self.deciding)
        )
        return Evidence(measured, deciding, self.labels)

    def logits(self, network: StochasticNetwork, parameters: Parameters) -> NDArray[np.float32]:
        """Of the images that decide, float32 [n, classes], when it is the last layer's turn."""
        chunks = _output(network, len(network.graph) - 1, parameters, self.deciding)
        return torch.cat([values.flatten(1) for values in chunks]).cpu().numpy()


def _output(
    network: StochasticNetwork, index: int, parameters: Parameters, values: Mapping[str, Chunks]
) -> Chunks:
    node = network.graph[index]
    add = added_by(node)
    return through(network, index, parameters, values[node.input], None if add is None else values[add])


@dataclass(frozen=True)
class Choice:
    """The best of several versions of a layer; losses: the held-out log-loss, nats a row, that each led to."""

    parameters: Parameters
    chosen: int
    losses: tuple[float, ...]


def draws(layer: StochasticLayer, count: int) -> Iterator[Tensor]:
    """Drawn weights of a layer, int8 [out, in, height, width]."""
    return (layer.weights.sample() for _ in range(count))


def versions(layer: StochasticLayer, count: int) -> Iterator[Tensor]:
    """Its most probable weights, then drawn ones."""
    return chain([layer.weights.most_probable()], draws(layer, count))


def best_version(
    network: StochasticNetwork, index: int, candidates: Iterable[Tensor], evidence: Evidence
) -> Choice:
    """The version of a layer, of weights int8 [out, in, height, width], with the least held-out log-loss; the only one
    is not judged.

    The layers behind it take their most probable weights, with batch norms measured anew behind each version. The
    log-loss is that of the best temperature: accuracy moves in steps of 1/n and cannot tell most versions apart.
    """
    inputs = evidence.measured[network.graph[index].input]
    measured = [realize_layer(network, index, weights, inputs) for weights in candidates]
    if len(measured) == 1:
        return Choice(measured[0], 0, ())
    losses = [_loss(network, index, parameters, evidence) for parameters in measured]
    best = int(np.argmin(losses))
    return Choice(measured[best], best, tuple(losses))


def _loss(network: StochasticNetwork, index: int, parameters: Parameters, evidence: Evidence) -> float:
    for behind in range(index + 1, len(network.graph)):
        evidence = evidence.behind(network, behind - 1, parameters)
        parameters = _most_probable(network, behind, evidence)
    logits = evidence.logits(network, parameters)
    temperature = fit_temperature(logits[None], evidence.labels)
    return log_loss(mean_probabilities(logits[None], temperature), evidence.labels)


def _most_probable(network: StochasticNetwork, index: int, evidence: Evidence) -> Parameters:
    layer = network.layers[index]
    if not isinstance(layer, StochasticLayer):
        return layer.discrete()
    inputs = evidence.measured[network.graph[index].input]
    return realize_layer(network, index, layer.weights.most_probable(), inputs)
