"""What is measured of a distribution over discrete networks, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lrnet.criticality import TARGET, ScalePoint, Signal, depth_scale, recursion, scale_curve, signals
from lrnet.distributions import WeightDistribution
from lrnet.forward import to_input
from lrnet.job import Job
from lrnet.networks import StochasticNetwork
from lrnet.normality import Unit, sample_units
from lrnet.observe import observe

UNITS = 16
"""Sums a layer whose draws are compared with their Gaussians."""

BATCHES = 10
"""Held-out batches, of the training's size, that are looked at at most."""

UNDECIDED = 0.9
"""A weight is undecided while its most probable value's probability is under this."""

SCALES = tuple(2.0 ** (power / 2) for power in range(-8, 9))
"""Factors of the logits in the curve of criticality."""

MOST_ERROR = 0.05
MOST_DEAD = 0.5
LEAST_ENTROPY = 1e-3
"""What is worth a remark: P(+1) off by over 0.05 in the mean, more than half of the units never or always on, weights
of under 0.001 nats, which hardly learn any more."""


@dataclass(frozen=True)
class Weights:
    """One layer's weights: shares are of all its weights, entropy nats a weight.

    most_probable: the share of the weights whose most probable value is this one, by value.
    """

    count: int
    kind: str
    inverse_temperature: float
    entropy: float
    undecided: float
    most_probable: Mapping[int, float]


@dataclass(frozen=True)
class Normality:
    """Of a layer's drawn sums against their Gaussians, over so many units: distances (see normality.distances), and by
    how much P(+1) is off."""

    units: int
    kolmogorov_smirnov_mean: float
    kolmogorov_smirnov_worst: float
    wasserstein_mean: float
    wasserstein_worst: float
    firing_mean: float
    firing_worst: float


@dataclass(frozen=True)
class Activity:
    """One layer's bits over images: mean entropy of a unit's firing rate, bits; shares of units that are dead."""

    entropy: float
    never: float
    always: float


@dataclass(frozen=True)
class Gradients:
    """Root mean squares of the derivatives of one batch's mean loss.

    preactivation: by a layer's drawn, normalized pre-activations; logits: by its weights' logits.
    """

    preactivation: float
    logits: float


@dataclass(frozen=True)
class Layer:
    """theory: the recursion's correlation; activity: None for the last layer, which draws no bits."""

    name: str
    weights: Weights
    units: tuple[Unit, ...]
    activity: Activity | None
    gradients: Gradients
    signal: Signal
    theory: float

    @property
    def normality(self) -> Normality | None:
        """None where no sum varies."""
        if not self.units:
            return None
        columns = (
            [unit.kolmogorov_smirnov for unit in self.units],
            [unit.wasserstein for unit in self.units],
            [abs(expected - drawn) for expected, drawn in (unit.firing for unit in self.units)],
        )
        figures = [figure for column in columns for figure in (float(np.mean(column)), max(column))]
        return Normality(len(self.units), *figures)


@dataclass(frozen=True)
class Diagnosis:
    """images: how many held-out images gave activity and signal; batch: how many gave the rest."""

    run: str
    seed: int
    epoch: int
    images: int
    batch: int
    draws: int
    layers: tuple[Layer, ...]
    curve: tuple[ScalePoint, ...]

    @property
    def depth_scale(self) -> float:
        """Layers in which a signal falls to 1/e, 0 … infinity (see criticality.depth_scale)."""
        return depth_scale(self.layers[-1].signal.correlation, len(self.layers))


def measure(job: Job, network: StochasticNetwork, epoch: int, draws: int) -> Diagnosis:
    """Raises ValueError where the run's batch or its held-out images are a single one, which batch norm cannot use."""
    batch = min(job.run.batch, len(job.held_out_images))
    if batch < 2:
        raise ValueError("batch and held_out: a diagnosis needs at least 2 images a batch")
    batches = job.held_out_images.split(batch)[: min(BATCHES, len(job.held_out_images) // batch)]
    seed = job.run.seed
    with torch.random.fork_rng(devices=[job.device] if job.device.type == "cuda" else []):
        torch.manual_seed(seed)
        units, activities = _draw(network, batches, draws)
        labels = torch.tensor(job.held_out.labels[:batch], device=job.device)
        derivatives = gradients(network, to_input(batches[0]), labels)
    signal = _mean([signals(network, images, seed + index) for index, images in enumerate(batches)])
    theory = recursion([each.share for each in signal])
    layers = tuple(
        Layer(operation.name, describe(layer.weights), *figures)
        for operation, layer, *figures in zip(
            network.graph, network.layers, units, activities, derivatives, signal, theory, strict=True
        )
    )
    curve = tuple(scale_curve(network, batches[0], SCALES, seed))
    return Diagnosis(job.run.name, seed, epoch, batch * len(batches), batch, draws, layers, curve)


@torch.no_grad()
def _draw(
    network: StochasticNetwork, batches: Sequence[Tensor], draws: int
) -> tuple[list[tuple[Unit, ...]], list[Activity | None]]:
    """Units of the first batch, and activity over all batches, a layer."""
    units: list[tuple[Unit, ...]] = []
    fired: list[Tensor] = []
    for index, images in enumerate(batches):
        values = to_input(images)
        for place, layer in enumerate(network.layers):
            seen = observe(layer, values)
            on = (seen.drawn > 0).sum(dim=0)
            if index == 0:
                units.append(tuple(sample_units(layer, values, seen, UNITS, draws)))
                fired.append(on)
            else:
                fired[place] += on
            values = seen.drawn
    count = sum(len(images) for images in batches)
    return units, [
        activity(on.double().cpu().numpy() / count) if operation.output == "bits" else None
        for operation, on in zip(network.graph, fired, strict=True)
    ]


def activity(rates: NDArray[np.float64]) -> Activity:
    """Of units that fire at these rates over images, 0 … 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -(rates * np.log2(rates) + (1 - rates) * np.log2(1 - rates))
    # 0 · log 0 is 0.
    return Activity(float(np.nan_to_num(bits).mean()), float((rates == 0).mean()), float((rates == 1).mean()))


@torch.no_grad()
def describe(weights: WeightDistribution) -> Weights:
    most = weights.most_probable()
    return Weights(
        count=most.numel(),
        kind="binary" if len(weights.values) == 2 else "ternary",
        inverse_temperature=float(weights.inverse_temperature),
        entropy=float(weights.entropy()),
        undecided=float((weights.probabilities().amax(dim=0) < UNDECIDED).double().mean()),
        most_probable={
            int(value): float((most == value).double().mean()) for value in weights.values.flatten()
        },
    )


def gradients(network: StochasticNetwork, images: Tensor, labels: Tensor) -> list[Gradients]:
    """Of one batch, x = p - 128 [n, C, H, W] and labels [n], layer by layer."""
    network.zero_grad(set_to_none=True)
    values = images
    normalized = []
    for layer in network.layers:
        seen = observe(layer, values)
        seen.normalized.mean.retain_grad()
        normalized.append(seen.normalized.mean)
        values = seen.drawn
    F.cross_entropy(values.flatten(1), labels).backward()
    found = [
        Gradients(_root_mean_square(mean.grad), _root_mean_square(layer.weights.logits.grad))
        for mean, layer in zip(normalized, network.layers, strict=True)
    ]
    network.zero_grad(set_to_none=True)
    return found


def _root_mean_square(gradient: Tensor | None) -> float:
    return 0.0 if gradient is None else float(gradient.double().square().mean().sqrt())


def _mean(batches: Sequence[Sequence[Signal]]) -> list[Signal]:
    return [
        Signal(
            float(np.mean([each.correlation for each in layer])),
            float(np.mean([each.share for each in layer])),
        )
        for layer in zip(*batches, strict=True)
    ]


def remarks(diagnosis: Diagnosis) -> list[str]:
    """What is not as it should be, one sentence each."""
    found = []
    for layer in diagnosis.layers:
        normality, activity = layer.normality, layer.activity
        if activity is not None and normality is not None and normality.firing_mean > MOST_ERROR:
            found.append(f"{layer.name}: training's P(+1) is off by {normality.firing_mean:.3f} in the mean")
        if activity is not None and (dead := activity.never + activity.always) > MOST_DEAD:
            found.append(f"{layer.name}: {dead:.0%} of its units never or always fire")
        if layer.weights.entropy < LEAST_ENTROPY:
            found.append(f"{layer.name}: its weights are decided and hardly learn any more")
        if layer.gradients.logits == 0:
            found.append(f"{layer.name}: no gradient reaches its logits")
    if (reached := diagnosis.layers[-1].signal.correlation) < TARGET:
        found.append(
            f"two draws' logits have a correlation of {reached:.3f}, under exp(-1): a signal dies within"
            f" {diagnosis.depth_scale:.1f} of {len(diagnosis.layers)} layers"
        )
    return found
