"""The stages that fit a network by gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from lrnet import distributed
from lrnet.calibrate import accuracy, mean_probabilities
from lrnet.criticality import critical_sharpness
from lrnet.discrete import Parameters
from lrnet.flow import weighted
from lrnet.forward import to_input
from lrnet.job import Job
from lrnet.layers import StochasticLayer
from lrnet.members import most_probable
from lrnet.networks import FloatNetwork, StochasticNetwork, straight_through_weights
from lrnet.run import FloatStage, Run
from lrnet.versions import Evidence, best_version, versions

STEERING_INTERVAL = 10
"""Steps between two corrections of the inverse temperatures."""

MEASURED, CHECKED = 2000, 5000
"""Training images on which batch norm is measured for an epoch's accuracy, and held-out images, at most, that give it."""


Kind = Literal["twin", "signs", "ste", "distribution", "freezing"]

KINDS: tuple[Kind, ...] = get_args(Kind)

KEPT: Mapping[Kind, str] = {"twin": "float.pt", "distribution": "distribution.pt"}
"""The stages whose networks are read again when they are over, and their files."""


@dataclass(frozen=True)
class Step:
    """One stage of a run, by what it fits.

    frozen: nodes, from the input on, that are discrete already; before: epochs of its kind that came before it.
    """

    kind: Kind
    name: str
    epochs: int
    frozen: int = 0
    before: int = 0


def plan(run: Run) -> tuple[Step, ...]:
    """The stages of a run in order.

    A stage of freezing begins when a layer with weights has become discrete, and with it the nodes without weights
    before it: a sign's thresholds are learned until the layer that it leads to is settled. With the straight-through
    estimator the third has as many epochs as the distribution and the freezing together.
    """
    epochs = run.freezing.epochs
    freezing = [
        Step("freezing", f"freezing {run.graph[index].name}", epochs, index + 1, place * epochs)
        for place, index in enumerate(weighted(run.graph)[:-1])
        if epochs > 0
    ]
    start = (Step("twin", "twin", run.twin.epochs), Step("signs", "signs", run.signs.epochs))
    if run.method == "ste":
        return (*start, Step("ste", "ste", run.distribution.epochs + sum(step.epochs for step in freezing)))
    return (*start, Step("distribution", "distribution", run.distribution.epochs), *freezing)


SEARCHED = 500
"""Training images by which the critical sharpness is found."""


@dataclass(frozen=True)
class Stage:
    """A network to fit; `groups` are the optimizer's, each with its highest learning rate as `peak`.

    `after_step(step, progress)` is called with the number of steps done and the part of the stage that they are.
    """

    network: FloatNetwork | StochasticNetwork
    groups: list[dict[str, Any]]
    after_step: Callable[[int, float], None]
    held_out_accuracy: Callable[[], float]


def build(job: Job, step: Step, predecessor: nn.Module | None) -> Stage:
    """A stage whose network starts where the one before it ended; without it, from anywhere, to be overwritten."""
    if step.kind == "distribution":
        return _distribution(job, predecessor)
    if step.kind == "freezing":
        return _freezing(job, step.frozen, predecessor)
    return _floats(job, step, predecessor)


def _floats(job: Job, step: Step, predecessor: nn.Module | None) -> Stage:
    settings: FloatStage = job.run.twin if step.kind == "twin" else job.run.signs
    activation = job.run.twin.activation if step.kind == "twin" else "sign"
    discrete = step.kind == "ste" or (step.kind == "signs" and job.run.signs.discrete)
    network = FloatNetwork(job.run.input, job.run.graph, activation, discrete=discrete)
    if predecessor is not None:
        network.load_state_dict(predecessor.state_dict())
    network.to(job.device)

    def held_out_accuracy() -> float:
        logits = float_logits(network, job.held_out_images[:CHECKED])
        return accuracy(mean_probabilities(logits.cpu().numpy()[None]), job.held_out.labels[:CHECKED])

    peak = settings.learning_rate
    groups = [
        {"params": list(network.weights), "peak": peak, "weight_decay": settings.weight_decay},
        {
            "params": [*network.norms.parameters(), *network.thresholds],
            "peak": peak,
            "weight_decay": 0.0,
        },
    ]
    return Stage(network, groups, lambda step, progress: None, held_out_accuracy)


def _distribution(job: Job, predecessor: nn.Module | None) -> Stage:
    settings = job.run.distribution
    network = StochasticNetwork(job.run.input, job.run.graph, job.pixel_mean)
    network.to(job.device)
    if predecessor is not None:
        assert isinstance(predecessor, FloatNetwork)
        sharpness = settings.sharpness
        if sharpness == 0:
            sharpness = critical_sharpness(network, predecessor, job.sample(SEARCHED), seed=job.run.seed)
            job.note({"event": "sharpness", "critical": round(sharpness, 3)})
        network.start_from(predecessor, sharpness)
        distributed.share(network)

    def entropy(layer: StochasticLayer, progress: float) -> float:
        first = float(layer.weights.first_entropy)
        return first + (settings.final_entropy - first) * progress

    return _stochastic(job, network, settings.learning_rate, settings.norm_learning_rate, entropy)


def _freezing(job: Job, frozen: int, predecessor: nn.Module | None) -> Stage:
    """The layers behind the last one that is to be frozen, which is chosen here among its versions."""
    settings = job.run.freezing
    if predecessor is None:
        network = StochasticNetwork(job.run.input, job.run.graph, job.pixel_mean, frozen).to(job.device)
    else:
        assert isinstance(predecessor, StochasticNetwork)
        network = predecessor
        network.freeze(_first_layers(job, network, frozen))
        distributed.share(network)
    return _stochastic(
        job,
        network,
        settings.learning_rate,
        settings.norm_learning_rate,
        lambda layer, progress: job.run.distribution.final_entropy,
    )


def _first_layers(job: Job, network: StochasticNetwork, count: int) -> list[Parameters]:
    """The first layers as they are to be from now on: the last of them the best of its versions, which is logged."""
    settings, last = job.run.freezing, count - 1
    evidence = Evidence.of(job.sample(settings.images), job.held_out_images, job.held_out.labels)
    layers = [layer.discrete() for layer in network.layers[:last]]
    for index, parameters in enumerate(layers):
        evidence = evidence.behind(network, index, parameters)
    candidates = versions(network.layers[last], settings.candidates)
    choice = best_version(network, last, candidates, evidence)
    job.note(
        {
            "event": "frozen",
            "layer": job.run.graph[last].name,
            "chosen": choice.chosen,
            "held_out_log_losses": [round(loss, 5) for loss in choice.losses],
        }
    )
    return [*layers, choice.parameters]


def _stochastic(
    job: Job,
    network: StochasticNetwork,
    learning_rate: float,
    norm_learning_rate: float,
    entropy: Callable[[StochasticLayer, float], float],
) -> Stage:
    """The free layers of a network, each led to an entropy that depends on the part of the stage that is done."""
    free = network.free

    def after_step(step: int, progress: float) -> None:
        for layer in free:
            layer.weights.clip()
            if step % STEERING_INTERVAL == 0:
                layer.weights.steer(entropy(layer, progress))

    def held_out_accuracy() -> float:
        labels = job.held_out.labels[:CHECKED]
        evidence = Evidence.of(job.images[:MEASURED], job.held_out_images[:CHECKED], labels)
        return accuracy(mean_probabilities(most_probable(network, evidence).logits[None]), labels)

    groups = [
        {"params": [layer.weights.logits for layer in free], "peak": learning_rate, "weight_decay": 0.0},
        {
            "params": [
                *(value for layer in free for value in layer.norm.parameters()),
                *(layer.threshold for layer in network.free_signs),
            ],
            "peak": norm_learning_rate,
            "weight_decay": 0.0,
        },
    ]
    return Stage(network, groups, after_step, held_out_accuracy)


@torch.no_grad()
def settled(job: Job, network: FloatNetwork) -> StochasticNetwork:
    """The network of a straight-through estimator as a distribution with all mass on its discrete weights."""
    discrete = FloatNetwork(job.run.input, job.run.graph, "sign").to(job.device)
    discrete.load_state_dict(network.state_dict())
    for index, weights in zip(weighted(job.run.graph), discrete.weights, strict=True):
        weights.copy_(straight_through_weights(weights, job.run.graph[index].weights))
    result = StochasticNetwork(job.run.input, job.run.graph, job.pixel_mean).to(job.device)
    result.start_from(discrete)
    return result


@torch.no_grad()
def float_logits(network: FloatNetwork, images: Tensor, chunk: int = 500) -> Tensor:
    """Logits float32 [n, classes] of images uint8 [n, H, W, C]; the network is left in evaluation mode."""
    network.eval()
    return torch.cat([network(to_input(rows)) for rows in images.split(chunk)])
