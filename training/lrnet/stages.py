"""The three stages that fit a network by gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lrnet.calibrate import accuracy, mean_probabilities
from lrnet.discretize import realize
from lrnet.job import Job
from lrnet.members import logits_of
from lrnet.networks import FloatNetwork, StochasticNetwork, to_input

StageName = Literal["twin", "signs", "distribution"]

STAGES: tuple[StageName, ...] = ("twin", "signs", "distribution")

STEERING_INTERVAL = 10
"""Steps between two corrections of the inverse temperatures."""

CHECK_IMAGES = 2000
"""Training images on which batch norm is measured for an epoch's accuracy."""


@dataclass(frozen=True)
class Stage:
    """A network to fit; `groups` are the optimizer's, each with its highest learning rate as `peak`.

    `after_step(step, progress)` is called with the number of steps done and the part of the stage that they are.
    """

    network: nn.Module
    epochs: int
    groups: list[dict[str, Any]]
    after_step: Callable[[int, float], None]
    held_out_accuracy: Callable[[], float]


def build(job: Job, name: StageName, predecessor: nn.Module | None) -> Stage:
    """A stage whose network starts where the one before it ended; without it, from anywhere, to be overwritten."""
    if name == "distribution":
        return _distribution(job, predecessor)
    return _floats(job, name, predecessor)


def _floats(job: Job, name: Literal["twin", "signs"], predecessor: nn.Module | None) -> Stage:
    settings = job.run.twin if name == "twin" else job.run.signs
    activation = "hardtanh" if name == "twin" else "sign"
    network = FloatNetwork(job.run.input, job.run.graph, activation)
    if predecessor is not None:
        network.load_state_dict(predecessor.state_dict())
    network.to(job.device)

    def held_out_accuracy() -> float:
        return _accuracy(job, float_logits(network, job.held_out_images))

    peak = settings.learning_rate
    groups = [
        {"params": list(network.weights), "peak": peak, "weight_decay": settings.weight_decay},
        {"params": list(network.norms.parameters()), "peak": peak, "weight_decay": 0.0},
    ]
    return Stage(network, settings.epochs, groups, lambda step, progress: None, held_out_accuracy)


def _distribution(job: Job, predecessor: nn.Module | None) -> Stage:
    run = job.run
    settings = run.distribution
    network = StochasticNetwork(run.input, run.graph, job.pixel_mean)
    network.to(job.device)
    if predecessor is not None:
        assert isinstance(predecessor, FloatNetwork)
        network.start_from(predecessor)
    weights = [layer.weights for layer in network.layers]

    def after_step(step: int, progress: float) -> None:
        for distribution in weights:
            distribution.clip()
            if step % STEERING_INTERVAL == 0:
                first = float(distribution.first_entropy)
                distribution.steer(first + (settings.final_entropy - first) * progress)

    def held_out_accuracy() -> float:
        member = realize(network, network.most_probable(), job.images[:CHECK_IMAGES])
        logits = logits_of(member, run.input, run.labels, run.graph, job.held_out_images)
        return _accuracy(job, torch.from_numpy(logits))

    groups = [
        {"params": [each.logits for each in weights], "peak": settings.learning_rate, "weight_decay": 0.0},
        {
            "params": [value for layer in network.layers for value in layer.norm.parameters()],
            "peak": settings.norm_learning_rate,
            "weight_decay": 0.0,
        },
    ]
    return Stage(network, settings.epochs, groups, after_step, held_out_accuracy)


@torch.no_grad()
def float_logits(network: FloatNetwork, images: Tensor, chunk: int = 500) -> Tensor:
    """Logits float32 [n, classes] of images uint8 [n, H, W, C]; the network is left in evaluation mode."""
    network.eval()
    return torch.cat([network(to_input(rows)) for rows in images.split(chunk)])


def _accuracy(job: Job, logits: Tensor) -> float:
    return accuracy(mean_probabilities(logits.cpu().numpy()[None]), job.held_out.labels)
