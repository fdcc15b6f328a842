"""From drawn weights to a discrete network: batch norm estimated anew, folded into integer thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrnet.discrete import Operation, Parameters
from lrnet.forward import discrete_output, discrete_sums, to_constants, to_input
from lrnet.graph import ValueType
from lrnet.layers import EPSILON
from lrnet.networks import StochasticNetwork

NEVER = 2**30
"""The threshold that no sum reaches; its negative is one that every sum reaches."""

SMALLEST_FLOAT = 2.0**-64

CHUNK = 500
"""Images a step: bounds the memory for sums."""

Chunks = Sequence[Tensor]
"""Values [n, channels, H, W] of some images at one place of a network, a few images a chunk.

Pixels, as x = p - 128, and bits, as ±1, are held as int8, floats as float32: there is a value of every image at once,
and only the chunk that is computed with need be float32.
"""


def input_chunks(images: Tensor) -> Chunks:
    """Images uint8 [n, H, W, C] as the values that the first layer takes."""
    return [to_input(rows).to(torch.int8) for rows in images.split(CHUNK)]


@torch.no_grad()
def realize_layer(network: StochasticNetwork, index: int, weights: Tensor, inputs: Chunks) -> Parameters:
    """One layer that is not frozen with drawn weights, int8 [out, in, height, width].

    The mean and the variance of its sums are measured on inputs, which the discrete layers before it gave for
    training images, and its batch norm becomes its threshold, or scale and bias.

    Raises ValueError when γ or β is not finite.
    """
    operation, layer = network.graph[index], network.layers[index]
    mean, variance = sum_statistics(operation, inputs, weights.float(), network.types[operation.input])
    gamma, beta = (value.double().cpu().numpy() for value in (layer.norm.gamma, layer.norm.beta))
    if not (np.isfinite(gamma).all() and np.isfinite(beta).all()):
        raise ValueError(f"{operation.name}: its batch norm is not finite, the training has diverged")
    fold = fold_threshold if operation.output == "bits" else fold_head
    return fold(to_taps(weights), mean, variance, gamma, beta)


@torch.no_grad()
def through(
    network: StochasticNetwork,
    index: int,
    parameters: Parameters,
    inputs: Chunks,
    addends: Chunks | None = None,
) -> Chunks:
    """What a discrete layer makes of its inputs, and of what it adds."""
    node = network.graph[index]
    constants = to_constants(node, parameters, network.shapes[node.input], inputs[0].device)
    held = torch.float32 if node.output == "floats" else torch.int8
    return [
        discrete_output(node, constants, values.float(), network.types[node.input], addend).to(held)
        for values, addend in zip(inputs, addends or [None] * len(inputs), strict=True)
    ]


def sum_statistics(
    operation: Operation, chunks: Chunks, weights: Tensor, source: ValueType
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of an operation's sums of values of the type `source`, float64 [out], over rows and positions."""
    count = 0
    total = torch.zeros(operation.out, dtype=torch.float64, device=weights.device)
    squares = torch.zeros_like(total)
    for values in chunks:
        sums = discrete_sums(operation, values.float(), weights, source)
        count += sums.numel() // operation.out
        total += sums.sum(dim=(0, 2, 3), dtype=torch.float64)
        squares += sums.square().sum(dim=(0, 2, 3), dtype=torch.float64)
    mean = total / count
    variance = (squares / count - mean.square()).clamp_min(0.0)
    return mean.cpu().numpy(), variance.cpu().numpy()


def to_taps(weights: Tensor) -> NDArray[np.int8]:
    """Weights [out, in, height, width] as int8 [out, taps], taps in the order (y, x, channel)."""
    return weights.permute(0, 2, 3, 1).reshape(len(weights), -1).to(torch.int8).cpu().numpy()


def fold_threshold(
    weights: NDArray[np.int8],
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    gamma: NDArray[np.float64],
    beta: NDArray[np.float64],
) -> Parameters:
    """The integer t for which s >= t says that γ·(s - μ)/σ + β >= 0, a channel.

    For γ > 0, t = ⌈μ - βσ/γ⌉. For γ < 0 the inequality turns around: the weights are negated, and with them s and μ.
    For γ = 0 the sign of β decides alone.
    """
    sigma = np.sqrt(variance + EPSILON)
    direction = np.where(gamma < 0, -1.0, 1.0)
    flat = gamma == 0
    # Division by the smallest of γ may overflow to infinity, which clip brings back to a threshold.
    with np.errstate(over="ignore"):
        edge = direction * mean - beta * sigma / np.where(flat, 1.0, np.abs(gamma))
    threshold = np.clip(np.ceil(edge), -NEVER, NEVER)
    threshold = np.where(flat, np.where(beta >= 0, -NEVER, NEVER), threshold)
    return Parameters(
        weights=weights * direction.astype(np.int8)[:, None], threshold=threshold.astype(np.int32)
    )


def fold_head(
    weights: NDArray[np.int8],
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    gamma: NDArray[np.float64],
    beta: NDArray[np.float64],
) -> Parameters:
    """Scale γ/σ and bias β - γμ/σ, a channel; magnitudes under 2⁻⁶⁴, which the format does not hold, become 0."""
    scale = gamma / np.sqrt(variance + EPSILON)
    bias = beta - mean * scale

    def to_float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.where(np.abs(values) < SMALLEST_FLOAT, 0.0, values).astype(np.float32)

    return Parameters(weights=weights, scale=to_float32(scale), bias=to_float32(bias))
