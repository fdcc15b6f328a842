"""Categorical distributions over discrete weights, with free logits.

The local reparameterization trick for discrete weights is from Shayer, Levi and Fetaya, "Learning Discrete
Weights Using the Local Reparameterization Trick" (ICLR 2018); discrete activations on top of it are from
Berger, Navon and Fetaya (arXiv 2307.01683).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

WeightKind = Literal["binary", "ternary"]

VALUES: dict[WeightKind, tuple[float, ...]] = {"binary": (-1.0, 1.0), "ternary": (-1.0, 0.0, 1.0)}

MAX_LOGIT = 5.0
"""Logits stay within ±5: beyond it the softmax has no gradient left to come back by."""

SHARPNESS = 4.0
"""Unless told otherwise a float weight w starts with p(v) in proportion to exp(-4 (w - v)²): mass on the two nearest
values."""


class WeightDistribution(nn.Module):
    """Independent categorical distributions, one a weight.

    `logits` [values, out, in, height, width] are learned; `inverse_temperature`, one number, is steered, from the
    mean entropy `first_entropy` on.
    """

    logits: Tensor
    inverse_temperature: Tensor
    first_entropy: Tensor
    values: Tensor

    def __init__(self, kind: WeightKind, shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        values = torch.tensor(VALUES[kind])
        self.logits = nn.Parameter(torch.zeros(len(values), *shape))
        self.register_buffer("inverse_temperature", torch.ones(()))
        self.register_buffer("values", values.view(-1, 1, 1, 1, 1), persistent=False)
        self.register_buffer("first_entropy", self.entropy().detach())

    @torch.no_grad()
    def start_from(self, weights: Tensor, sharpness: float = SHARPNESS) -> None:
        """Sets the logits from float weights [out, in, height, width], each channel scaled to a mean square of 1.

        p(v) is then in proportion to exp(-sharpness (w - v)²), within the limits of the logits.
        """
        scale = weights.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
        scaled = (weights / scale).clamp(-1.0, 1.0)
        logits = -sharpness * (scaled - self.values).square()
        # The most probable value gets the highest logit there is, so that clipping keeps the order of the others.
        self.logits.copy_(logits - logits.amax(dim=0) + MAX_LOGIT)
        self.clip()
        self.first_entropy.copy_(self.entropy())

    @torch.no_grad()
    def clip(self) -> None:
        self.logits.clamp_(-MAX_LOGIT, MAX_LOGIT)

    def probabilities(self) -> Tensor:
        """[values, out, in, height, width], summing to 1 over the first axis."""
        return torch.softmax(self.inverse_temperature * self.logits, dim=0)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean in [-1, 1] and variance in [0, 1] of each weight, [out, in, height, width]."""
        probabilities = self.probabilities()
        mean = (self.values * probabilities).sum(dim=0)
        square = (self.values.square() * probabilities).sum(dim=0)
        return mean, (square - mean.square()).clamp_min(0.0)

    def entropy(self) -> Tensor:
        """Mean entropy of a weight in nats: 0 … ln(number of values)."""
        return torch.special.entr(self.probabilities()).sum(dim=0).mean()

    @torch.no_grad()
    def steer(self, target: float, gain: float = 0.5, largest: float = 100.0) -> None:
        """One step of the inverse temperature towards a mean entropy of `target` nats."""
        ratio = float(self.entropy()) / max(target, 1e-6)
        step = min(max(ratio, 0.5), 2.0) ** gain
        self.inverse_temperature.mul_(step).clamp_(1.0 / largest, largest)

    @torch.no_grad()
    def sample(self) -> Tensor:
        """One draw of all weights, int8 [out, in, height, width]."""
        # The smallest of exponential variables with rates p is the i-th with probability p_i.
        probabilities = self.probabilities()
        waiting = torch.empty_like(probabilities).exponential_() / probabilities
        return self._at(waiting.argmin(dim=0))

    @torch.no_grad()
    def most_probable(self) -> Tensor:
        """The most probable value of each weight, int8 [out, in, height, width]; ties go to the lower value."""
        return self._at(self.logits.argmax(dim=0))

    def _at(self, index: Tensor) -> Tensor:
        return self.values.flatten()[index].to(torch.int8)
