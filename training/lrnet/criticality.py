"""How far a signal reaches through a network of noisy weights, and the least sharpness at which it reaches the end.

Two draws of a network see the same image. Their pre-activations have a correlation c over images: 1 where nothing is
random, 0 where the noise has eaten the image. With ρ = signal ÷ (signal + noise), the part of a pre-activation's
variance that is its mean's, and signs that are drawn, wide layers of random weights give

    c_1 = ρ_1,    c_(l+1) = ρ_(l+1) · (2/π) · asin(c_l),

since signs of two Gaussians of correlation c have the correlation (2/π)·asin(c) (the arcsine law), and a random layer
hands the correlation of its inputs on. The derivative at c = 0 is ρ · 2/π < 1, so every signal dies in the end: like
Stamatescu et al., Critical initialisation in continuous approximations of binary neural networks (ICLR 2020,
arXiv 1902.00177), for one-bit weights, only ρ → 1, weights without noise, would let it through any depth. Such weights
have probabilities of 0 and 1, at which the softmax, whose derivatives are p_i (δ_ij - p_j), has no gradient. Wanted is
therefore as much noise as the network's own depth allows.

How far a signal reaches is the depth scale ξ of c_l = exp(-l/ξ), as in Schoenholz et al., Deep information propagation
(ICLR 2017). The network's L layers are within it, ξ >= L, where

    c_L >= exp(-1).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lrnet.flow import outputs
from lrnet.forward import to_input
from lrnet.layers import Gaussian, StochasticLayer
from lrnet.networks import FloatNetwork, StochasticNetwork
from lrnet.observe import observe

TARGET = math.exp(-1)
"""The correlation of two draws' last layer at which the depth scale is the network's depth."""

LOWEST, HIGHEST = 0.5, 64.0
"""Sharpnesses between which the critical one is sought: weights with hardly a preference, and nearly rounded ones."""

HALVINGS = 7
"""Steps of the search: it ends within 2^(7/2⁷), 4 %, of the critical sharpness."""


@dataclass(frozen=True)
class Signal:
    """One layer: correlation c of two draws' pre-activations for the same images, and ρ = signal ÷ (signal + noise)."""

    correlation: float
    share: float


@dataclass(frozen=True)
class ScalePoint:
    """What the logits give when multiplied by `scale`: the last layer's correlation c_L, and the softmax's slope.

    slope: Σ p_i (1 - p_i), the trace of the softmax's derivatives, mean over all weights; 0 … 1 - 1/(values).
    """

    scale: float
    correlation: float
    slope: float


@torch.no_grad()
def signals(network: StochasticNetwork, images: Tensor, seed: int = 0) -> list[Signal]:
    """The signal of each layer with weights in two draws for the same images, uint8 [n, H, W, C].

    It is that of the layer's own sums, without what is added to them.
    Activations are drawn, as in training; over the last draw, a layer's own, the correlation is exact and not sampled.
    Means are taken off at every position, so that only what differs between images counts, and a channel's scale does
    not matter. Channels that never vary are left out; where all are, nothing comes through, and both figures are 0.

    Raises ValueError for fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"a correlation over images needs at least 2 of them, not {len(images)}")
    found: list[Signal] = []

    def both(index: int, values: _Two, addends: _Two | None) -> _Two:
        layer = network.layers[index]
        if not isinstance(layer, StochasticLayer):
            return layer(values[0]), layer(values[1])
        one, other = (
            observe(layer, value, addend)
            for value, addend in zip(values, addends or (None, None), strict=True)
        )
        found.append(_signal(one.sums, other.sums))
        return one.drawn, other.drawn

    with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
        torch.manual_seed(seed)
        values = to_input(images)
        deque(outputs(network.graph, (values, values), both), maxlen=0)
    return found


_Two = tuple[Tensor, Tensor]
"""One value in two draws."""


def _signal(one: Gaussian, other: Gaussian) -> Signal:
    n, _, height, width = one.mean.shape
    first, second = (gaussian.mean - gaussian.mean.mean(dim=0) for gaussian in (one, other))

    def total(values: Tensor) -> Tensor:
        return values.sum(dim=(0, 2, 3), dtype=torch.float64)

    # A variance may be one number a channel, which stands for every image and position. Noise is no part of the
    # covariance of two draws.
    noise = [total(gaussian.variance.expand(n, -1, height, width)) for gaussian in (one, other)]
    signal = [total(first.square()), total(second.square())]
    whole = ((signal[0] + noise[0]) * (signal[1] + noise[1])).sqrt()
    varies = whole > 0
    if not varies.any():
        return Signal(0.0, 0.0)
    correlation = (total(first * second) / whole)[varies].mean()
    share = ((signal[0] * signal[1]).sqrt() / whole)[varies].mean()
    return Signal(float(correlation), float(share))


def recursion(shares: Sequence[float]) -> list[float]:
    """Each layer's correlation c_l by theory, from each layer's ρ_l."""
    correlations: list[float] = []
    carried = 1.0
    for share in shares:
        correlations.append(share * carried)
        carried = 2 / math.pi * math.asin(min(max(correlations[-1], -1.0), 1.0))
    return correlations


def depth_scale(correlation: float, depth: int) -> float:
    """ξ in layers, of c_L = exp(-L/ξ): 0 where nothing is left of a signal, infinite where all is."""
    if correlation <= 0:
        return 0.0
    return math.inf if correlation >= 1 else -depth / math.log(correlation)


def critical_sharpness(
    network: StochasticNetwork, pretrained: FloatNetwork, images: Tensor, seed: int = 0
) -> float:
    """The smallest sharpness (see distributions.SHARPNESS) at which c_L >= exp(-1), by bisection of its logarithm.

    `images` uint8 [n, H, W, C] are training images; a few hundred leave c_L an error of a few hundredths. The
    same seed gives the same sharpness, LOWEST … HIGHEST, at which `network` is left as started from `pretrained`.

    Raises ValueError where c_L stays below even at HIGHEST, as around five layers of random weights, or around
    weights whose training has gone wrong. The highest sharpness is then no answer: hardly any of its weights could
    still change.
    """

    def correlation(sharpness: float) -> float:
        network.start_from(pretrained, sharpness)
        return signals(network, images, seed)[-1].correlation

    if correlation(LOWEST) >= TARGET:
        return LOWEST
    low, high = LOWEST, HIGHEST
    if not (best := correlation(high)) >= TARGET:
        raise ValueError(
            f"two draws' last layers have a correlation of {best:.3f} even at sharpness {high:g}, under exp(-1): this"
            " network has no critical sharpness"
        )
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        if correlation(middle) >= TARGET:
            high = middle
        else:
            low = middle
    network.start_from(pretrained, high)
    return high


@torch.no_grad()
def scale_curve(
    network: StochasticNetwork, images: Tensor, scales: Sequence[float], seed: int = 0
) -> list[ScalePoint]:
    """What the network would be with other logit scales; `scales` multiply every layer's inverse temperature.

    At the start of the distribution stage a scale of s is a sharpness of s · SHARPNESS, but for the logits' limits.
    The network is left as it was.
    """
    weights = [layer.weights for layer in network.free]
    temperatures = [each.inverse_temperature.clone() for each in weights]
    count = sum(each.logits[0].numel() for each in weights)
    points = []
    try:
        for scale in scales:
            for each, temperature in zip(weights, temperatures, strict=True):
                each.inverse_temperature.copy_(temperature * scale)
            slope = (
                sum(float((p * (1 - p)).sum()) for p in (each.probabilities() for each in weights)) / count
            )
            points.append(ScalePoint(scale, signals(network, images, seed)[-1].correlation, slope))
    finally:
        for each, temperature in zip(weights, temperatures, strict=True):
            each.inverse_temperature.copy_(temperature)
    return points
