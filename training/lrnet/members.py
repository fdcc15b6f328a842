"""Discrete networks put together from the learned distribution, and members chosen among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lrnet.calibrate import accuracy, log_loss, mean_probabilities
from lrnet.data import Split
from lrnet.discrete import Parameters
from lrnet.layers import StochasticLayer
from lrnet.networks import StochasticNetwork
from lrnet.versions import Evidence, best_version, draws, versions

Member = Mapping[str, Parameters]


@dataclass(frozen=True)
class Chosen:
    """`candidates` holds the members' places among the candidates; the one that answers alone comes first.

    logits: float32 [members, n, classes] on the images that decided; scores: each candidate's accuracy there;
    unchosen: the accuracy there of the mean of as many candidates, the first ones.
    """

    members: tuple[Member, ...]
    candidates: tuple[int, ...]
    logits: NDArray[np.float32]
    scores: tuple[float, ...]
    unchosen: float


@dataclass(frozen=True)
class Candidate:
    """A discrete network, and its logits float32 [n, classes] on the images that decide."""

    member: Member
    logits: NDArray[np.float32]


def most_probable(network: StochasticNetwork, evidence: Evidence) -> Candidate:
    """The network of the most probable weights."""
    return _put_together(network, evidence, lambda layer: [layer.weights.most_probable()])


def frozen(network: StochasticNetwork, evidence: Evidence, count: int) -> Candidate:
    """Layer after layer the best of the most probable version and `count` drawn ones."""
    return _put_together(network, evidence, lambda layer: versions(layer, count))


def drawn(network: StochasticNetwork, evidence: Evidence, count: int) -> Candidate:
    """Layer after layer the best of `count` drawn versions."""
    return _put_together(network, evidence, lambda layer: draws(layer, count))


def _put_together(
    network: StochasticNetwork, evidence: Evidence, of: Callable[[StochasticLayer], Iterable[Tensor]]
) -> Candidate:
    """A network whose layers are the best of the versions that are made of each.

    Layers that are frozen or have no weights are taken as they are.
    """
    member: dict[str, Parameters] = {}
    for index, (node, layer) in enumerate(zip(network.graph, network.layers, strict=True)):
        if isinstance(layer, StochasticLayer):
            parameters = best_version(network, index, of(layer), evidence).parameters
        else:
            parameters = layer.discrete()
        member[node.name] = parameters
        if node is not network.graph[-1]:
            evidence = evidence.behind(network, index, parameters)
    return Candidate(member, evidence.logits(network, parameters))


def choose(
    candidates: Iterable[Candidate],
    count: int,
    held_out: Split,
    *,
    first: int | None = None,
) -> Chosen:
    """The candidate `first`, or else the best alone, then whichever lowers the log-loss of the mean most.

    The best alone is so by accuracy, then log-loss. Accuracy moves in steps of 1/n and cannot tell most candidates
    apart; the log-loss can. Raises ValueError when there are fewer candidates than members.
    """
    found = list(candidates)
    if len(found) < count:
        raise ValueError(f"{count} members cannot be chosen from {len(found)} candidates")
    probabilities = [mean_probabilities(each.logits[None]) for each in found]
    scores = [accuracy(each, held_out.labels) for each in probabilities]
    losses = [log_loss(each, held_out.labels) for each in probabilities]
    if first is None:
        first = min(range(len(found)), key=lambda index: (-scores[index], losses[index]))
    order = [first]
    total = probabilities[order[0]].copy()
    while len(order) < count:
        left = [index for index in range(len(found)) if index not in order]
        mixed = [log_loss((total + probabilities[i]) / (len(order) + 1), held_out.labels) for i in left]
        best = left[int(np.argmin(mixed))]
        order.append(best)
        total += probabilities[best]
    return Chosen(
        members=tuple(found[index].member for index in order),
        candidates=tuple(order),
        logits=np.stack([found[index].logits for index in order]),
        scores=tuple(scores),
        unchosen=accuracy(np.mean(probabilities[:count], axis=0), held_out.labels),
    )
