"""How Gaussian a layer's sums are: what training takes them for, against the sums of drawn weights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from lrnet.layers import StochasticLayer, pad
from lrnet.observe import Observation

SAMPLED_AT_ONCE = 2**21
"""Weights a step: bounds the memory for draws."""

TRIES = 8
"""Places looked at for each unit that is wanted; some units' sums have no variance."""


@dataclass(frozen=True)
class Unit:
    """One sum, a channel's at one position for one image, in many drawn networks.

    mean and deviation: of the Gaussian that training takes the sum for; kolmogorov_smirnov and wasserstein: see
    `distances`; firing: P(+1) before the pool, by that Gaussian and as a share of the draws, by training's batch norm;
    sums: float64 [draws], ascending.
    """

    image: int
    channel: int
    row: int
    column: int
    mean: float
    deviation: float
    kolmogorov_smirnov: float
    wasserstein: float
    firing: tuple[float, float]
    sums: NDArray[np.float64]


def distances(standardized: NDArray[np.float64]) -> tuple[float, float]:
    """Kolmogorov and Smirnov's distance of draws from N(0, 1), and Wasserstein's of order 1.

    The first is the largest difference of the distribution functions, so no threshold's P(+1) is further off. Of n
    draws from the Gaussian itself it is 0.87/√n in the mean, and of whole numbers at least half of the most frequent
    one's probability. The second compares draws with the Gaussian's quantiles at (i + 1/2)/n.
    """
    n = len(standardized)
    quantiles = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return (
        float(stats.kstest(standardized, stats.norm.cdf, method="asymp").statistic),
        float(stats.wasserstein_distance(standardized, quantiles)),
    )


@torch.no_grad()
def sample_units(
    layer: StochasticLayer, values: Tensor, seen: Observation, count: int, draws: int
) -> list[Unit]:
    """At most `count` units, by PyTorch's generator; each sees its image's input alike in all draws of its weights.

    values: the layer's input [n, in, H, W]; seen: what the layer made of it. Sums without variance are passed over, so
    there may be fewer units, or none.
    """
    size = seen.sums.mean.shape
    variance, normalized_variance = (each.variance.expand(size) for each in (seen.sums, seen.normalized))
    units: list[Unit] = []
    for flat in torch.randint(seen.sums.mean.numel(), (TRIES * count,)).tolist():
        place = tuple(int(axis) for axis in np.unravel_index(flat, size))
        if len(units) == count or variance[place] <= 0:
            continue
        image, channel, row, column = place
        mean, deviation = float(seen.sums.mean[place]), float(variance[place].sqrt())
        sums = np.sort(_sums(layer, channel, _window(layer, values[image : image + 1], row, column), draws))
        standardized = (sums - mean) / deviation
        centre, scale = float(seen.normalized.mean[place]), float(normalized_variance[place].sqrt())
        direction = -1.0 if layer.norm.gamma[channel] < 0 else 1.0
        drawn = float((centre + direction * scale * standardized >= 0).mean())
        expected = float(stats.norm.sf(0.0, centre, scale)) if scale > 0 else drawn
        units.append(Unit(*place, mean, deviation, *distances(standardized), (expected, drawn), sums))
    return units


def _window(layer: StochasticLayer, values: Tensor, row: int, column: int) -> Tensor:
    """The inputs [in, height, width] of the sum at a position, padding included."""
    operation = layer.operation
    padded = pad(operation, values)[0]
    if operation.op == "linear":
        return padded
    top, left = row * operation.stride, column * operation.stride
    return padded[:, top : top + operation.kernel, left : left + operation.kernel]


def _sums(layer: StochasticLayer, channel: int, window: Tensor, draws: int) -> NDArray[np.float64]:
    """A channel's sums over one window in `draws` networks.

    Over pixels they are less what varies of centre·Σ w: the batch norm of a drawn network takes it away, and the
    Gaussian leaves it out (see layers.preactivation).
    """
    centre = layer.centre if layer.operation.input == "image" else 0.0
    mean, _ = layer.weights.moments()
    inputs = (window - centre).flatten()
    values = layer.weights.values.flatten()
    # A weight is the first value, and a step higher for each bound that a uniform number lies above.
    bounds = list(accumulate(layer.weights.probabilities()[:-1, channel].flatten(1)))
    lowest = values[0] * inputs.sum() + centre * mean[channel].sum()
    most = max(1, SAMPLED_AT_ONCE // inputs.numel())
    found = []
    for first in range(0, draws, most):
        uniform = torch.rand(min(most, draws - first), inputs.numel(), device=inputs.device)
        steps = sum(
            step * ((uniform > bound).float() @ inputs)
            for step, bound in zip(values.diff(), bounds, strict=True)
        )
        found.append(lowest + steps)
    return torch.cat(found).double().cpu().numpy()
