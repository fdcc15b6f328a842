"""Layers on Gaussian pre-activations: convolution, moment-matching batch norm, sampled signs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrnet.discrete import AveragePool, Operation, Parameters, Sign
from lrnet.distributed import mean_over_processes, world
from lrnet.distributions import WeightDistribution
from lrnet.graph import Shape
from lrnet.noise import Generators, normal_like

EPSILON = 1e-5
"""Added to batch norm's variance, in float training, in LRT and on discrete networks alike."""


class Gaussian(NamedTuple):
    """Independent Gaussians: mean [n, channels, H, W]; variance the same, or [1, channels, 1, 1]."""

    mean: Tensor
    variance: Tensor


def weight_shape(operation: Operation, source: Shape) -> tuple[int, int, int, int]:
    """[out, in, height, width] of an operation's weights; a linear layer is a window over all of its input."""
    height, width, channels = source
    if operation.op == "linear":
        return (operation.out, channels, height, width)
    return (operation.out, channels, operation.kernel, operation.kernel)


def columns(values: Tensor) -> Tensor:
    """One value a channel, [channels], as it meets [n, channels, H, W]."""
    return values.view(1, -1, 1, 1)


def padding_value(operation: Operation) -> float:
    """What lies around an operation's input: x = 0 around pixels, -1 around bits."""
    return 0.0 if operation.input == "image" else -1.0


def pad(operation: Operation, values: Tensor, border: float | None = None) -> Tensor:
    """An operation's input with its padding, of the values that the format gives it or of `border`."""
    if operation.padding == 0:
        return values
    value = padding_value(operation) if border is None else border
    return F.pad(values, [operation.padding] * 4, value=value)


def convolve(operation: Operation, padded: Tensor, weights: Tensor) -> Tensor:
    """Sums [n, out, H, W] over [n, in, H, W], already padded, with weights [out, in, height, width].

    Under autocast they come back as float32, though summed in bfloat16: what batch norm takes of them needs it.
    """
    if operation.op == "linear":
        sums = F.linear(padded.flatten(1), weights.flatten(1))[:, :, None, None]
    else:
        sums = F.conv2d(padded, weights, stride=operation.stride)
    return sums.float() if sums.dtype == torch.bfloat16 else sums


class _StraightThroughSign(torch.autograd.Function):
    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, values: Tensor) -> Tensor:
        context.save_for_backward(values)  # type: ignore[attr-defined]
        return torch.where(values >= 0, 1.0, -1.0).to(values.dtype)

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        (values,) = context.saved_tensors  # type: ignore[attr-defined]
        return gradient * (values.abs() <= 1)


def straight_through_sign(values: Tensor) -> Tensor:
    """Sign in {-1, +1}, +1 at 0; its gradient is that of hardtanh, 1 within [-1, 1] and 0 outside."""
    return _StraightThroughSign.apply(values)


def sample(gaussian: Gaussian, noise: Tensor) -> Tensor:
    """One draw, mean + √variance · noise, that gradients flow through to both moments."""
    return torch.addcmul(gaussian.mean, gaussian.variance.sqrt(), noise)


def preactivation(
    operation: Operation,
    distribution: WeightDistribution,
    values: Tensor,
    centre: float | Tensor = 0.0,
    *,
    of_floats: bool = False,
) -> Gaussian:
    """The sum Σ w·x over random weights, Gaussian by the central limit theorem: mean Σ E[w]·x, variance Σ Var[w]·x².

    For bits x² = 1, padding included, so the variance is one number a channel. For pixels and floats the variance is
    that of Σ w·(x - centre), where the centre is the same for all images and positions: the rest, centre·Σ w, is one
    number a channel of a drawn network, and the batch norm that is estimated anew on each one takes it away.
    """
    mean_weights, variance_weights = distribution.moments()
    padded = pad(operation, values)
    mean = convolve(operation, padded, mean_weights.contiguous(memory_format=torch.channels_last))
    if operation.input == "image" or of_floats:
        squares = (padded - centre).square()
        return Gaussian(mean, convolve(operation, squares, variance_weights))
    return Gaussian(mean, variance_weights.sum(dim=(1, 2, 3)).view(1, -1, 1, 1))


class MomentBatchNorm(nn.Module):
    """Batch norm of Gaussians: normalized by the mean and variance of a batch of draws, then γ and β.

    By the law of total variance a channel's variance is Var[mean] + E[variance], over images and positions.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, gaussian: Gaussian) -> Gaussian:
        mean, variance = moments_over_processes(*batch_moments(gaussian))
        return normalize(gaussian, mean, variance, self.gamma, self.beta)


def batch_moments(gaussian: Gaussian) -> tuple[Tensor, Tensor]:
    """Mean and variance [channels] of draws from all of a batch's Gaussians."""
    between, mean = torch.var_mean(gaussian.mean, dim=(0, 2, 3), correction=0)
    return mean, between + gaussian.variance.mean(dim=(0, 2, 3))


def moments_over_processes(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The same of the whole batch, of which every process holds an equal part."""
    if world() == 1:
        return mean, variance
    whole = mean_over_processes(mean)
    # Squares of differences: a difference of squares would cancel where the mean is large beside the deviation.
    return whole, mean_over_processes(variance + (mean - whole).square())


def normalize(gaussian: Gaussian, mean: Tensor, variance: Tensor, gamma: Tensor, beta: Tensor) -> Gaussian:
    """γ·(x - mean)/σ + β of Gaussians x, all of them [channels]."""
    scale = gamma * torch.rsqrt(variance + EPSILON)
    shift = beta - mean * scale
    return Gaussian(
        torch.addcmul(columns(shift), gaussian.mean, columns(scale)),
        gaussian.variance * columns(scale.square()),
    )


class StochasticLayer(nn.Module):
    """Convolution or linear with random weights, batch norm, and a drawn sign, pooled where the operation says so.

    The maximum of drawn pre-activations has the sign that the OR of their drawn bits has, so the pool comes
    before the sign: a gradient then reaches the one position that decided. Where the operation gives floats they are
    drawn, too, and what is added to them is not.
    """

    def __init__(
        self, operation: Operation, source: Shape, centre: float, *, of_floats: bool = False
    ) -> None:
        """`centre` is that of pixels; sums of floats take each float's mean over the batch."""
        super().__init__()
        self.operation = operation
        self.centre = centre
        self.of_floats = of_floats
        self.weights = WeightDistribution(operation.weights, weight_shape(operation, source))
        self.norm = MomentBatchNorm(operation.out)

    def forward(
        self, values: Tensor, generators: Generators | None = None, addend: Tensor | None = None
    ) -> Tensor:
        centre = mean_over_processes(values.mean(dim=0, keepdim=True)) if self.of_floats else self.centre
        gaussian = preactivation(self.operation, self.weights, values, centre, of_floats=self.of_floats)
        return self.draw(gaussian, normal_like(gaussian.mean, generators), addend)

    def draw(self, gaussian: Gaussian, noise: Tensor, addend: Tensor | None = None) -> Tensor:
        """All of a layer that is not a sum over weights: steps that `torch.compile` makes one of."""
        values = activation(self.operation, sample(self.norm(gaussian), noise))
        return values if addend is None else values + addend


def activation(operation: Operation, values: Tensor) -> Tensor:
    """Pooled signs of normalized pre-activations; these themselves where the operation gives floats."""
    if operation.output == "floats":
        return values
    if operation.pool == 2:
        values = F.max_pool2d(values, 2)
    return straight_through_sign(values)


class SignLayer(nn.Module):
    """Signs of floats less a threshold a channel; the gradient that a sign passes moves the threshold too.

    v - t >= 0 says the same of float32 as v >= t, which is how the format has it.
    """

    def __init__(self, node: Sign, channels: int) -> None:
        super().__init__()
        self.node = node
        self.threshold = nn.Parameter(torch.zeros(channels))

    def forward(
        self, values: Tensor, generators: Generators | None = None, addend: Tensor | None = None
    ) -> Tensor:
        return straight_through_sign(values - columns(self.threshold))

    def discrete(self) -> Parameters:
        """The layer as the format holds it. Raises ValueError when a threshold is not finite."""
        threshold = self.threshold.detach().float().cpu().numpy().copy()
        if not np.isfinite(threshold).all():
            raise ValueError(f"{self.node.name}: its thresholds are not finite, the training has diverged")
        return Parameters(threshold=threshold)


class MeanLayer(nn.Module):
    """Means over squares of floats: an average pool."""

    def __init__(self, node: AveragePool) -> None:
        super().__init__()
        self.node = node

    def forward(
        self, values: Tensor, generators: Generators | None = None, addend: Tensor | None = None
    ) -> Tensor:
        return F.avg_pool2d(values, self.node.size)

    def discrete(self) -> Parameters:
        return Parameters()
