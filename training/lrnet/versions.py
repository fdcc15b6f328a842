"""Discrete versions of one layer, and which of them is best: how networks are frozen, and members drawn, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrnet.calibrate import fit_temperature, log_loss, mean_probabilities
from lrnet.discrete import Parameters
from lrnet.discretize import Chunks, input_chunks, realize_layer, through
from lrnet.layers import StochasticLayer
from lrnet.networks import StochasticNetwork


@dataclass(frozen=True)
class Evidence:
    """What versions of a layer are judged by, both at that layer's input.

    measured: training images, on which batch norm is measured; deciding: held-out images, with labels [n].
    """

    measured: Chunks
    deciding: Chunks
    labels: NDArray[np.int64]

    @staticmethod
    def of(measured: Tensor, deciding: Tensor, labels: NDArray[np.int64]) -> Evidence:
        """At the input of a network, from images uint8 [n, H, W, C]."""
        return Evidence(input_chunks(measured), input_chunks(deciding), labels)

    def behind(self, network: StochasticNetwork, index: int, parameters: Parameters) -> Evidence:
        """At the input of the layer behind."""
        return Evidence(
            through(network, index, parameters, self.measured),
            through(network, index, parameters, self.deciding),
            self.labels,
        )

    def logits(self, network: StochasticNetwork, parameters: Parameters) -> NDArray[np.float32]:
        """Of the images that decide, float32 [n, classes], at the input of the last layer."""
        chunks = through(network, len(network.graph) - 1, parameters, self.deciding)
        return torch.cat([values.flatten(1) for values in chunks]).cpu().numpy()


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
    measured = [realize_layer(network, index, weights, evidence.measured) for weights in candidates]
    if len(measured) == 1:
        return Choice(measured[0], 0, ())
    losses = [_loss(network, index, parameters, evidence) for parameters in measured]
    best = int(np.argmin(losses))
    return Choice(measured[best], best, tuple(losses))


def _loss(network: StochasticNetwork, index: int, parameters: Parameters, evidence: Evidence) -> float:
    while network.graph[index].output == "bits":
        evidence = evidence.behind(network, index, parameters)
        index += 1
        weights = network.layers[index].weights.most_probable()
        parameters = realize_layer(network, index, weights, evidence.measured)
    logits = evidence.logits(network, parameters)
    temperature = fit_temperature(logits[None], evidence.labels)
    return log_loss(mean_probabilities(logits[None], temperature), evidence.labels)
