"""Draws many discrete networks from the learned distribution, and chooses members among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lrnet.calibrate import accuracy, log_loss, mean_probabilities
from lrnet.data import Split
from lrnet.discrete import DiscreteNetwork, Input, Operation, Parameters
from lrnet.discretize import realize
from lrnet.networks import StochasticNetwork, discrete_logits

Member = Mapping[str, Parameters]


@dataclass(frozen=True)
class Chosen:
    """`candidates` holds the members' places among the candidates, 0 the most probable network; the best comes first.

    logits: float32 [members, n, classes] on the images that decided; scores: each candidate's accuracy there.
    """

    members: tuple[Member, ...]
    candidates: tuple[int, ...]
    logits: NDArray[np.float32]
    scores: tuple[float, ...]


def draw(network: StochasticNetwork, count: int, images: torch.Tensor) -> Iterator[Member]:
    """The most probable network, then `count` drawn ones, each with batch norm measured on `images`."""
    yield realize(network, network.most_probable(), images)
    for _ in range(count):
        yield realize(network, network.sample(), images)


def logits_of(
    member: Member,
    image: Input,
    labels: tuple[str, ...],
    graph: tuple[Operation, ...],
    images: torch.Tensor,
) -> NDArray[np.float32]:
    """One member's logits, float32 [n, classes]."""
    network = DiscreteNetwork(image, labels, graph, (member,))
    return discrete_logits(network, 0, images).cpu().numpy()


def choose(candidates: Iterable[tuple[Member, NDArray[np.float32]]], count: int, held_out: Split) -> Chosen:
    """The single best candidate by accuracy (then log-loss), then whichever lowers the log-loss of the mean most.

    Accuracy moves in steps of 1/n and cannot tell most candidates apart; the log-loss can. Raises ValueError
    when there are fewer candidates than members.
    """
    members, all_logits = zip(*candidates, strict=True)
    if len(members) < count:
        raise ValueError(f"{count} members cannot be chosen from {len(members)} candidates")
    probabilities = [mean_probabilities(logits[None]) for logits in all_logits]
    scores = [accuracy(each, held_out.labels) for each in probabilities]
    losses = [log_loss(each, held_out.labels) for each in probabilities]
    order = [min(range(len(members)), key=lambda index: (-scores[index], losses[index]))]
    total = probabilities[order[0]].copy()
    while len(order) < count:
        left = [index for index in range(len(members)) if index not in order]
        mixed = [log_loss((total + probabilities[i]) / (len(order) + 1), held_out.labels) for i in left]
        best = left[int(np.argmin(mixed))]
        order.append(best)
        total += probabilities[best]
    return Chosen(
        members=tuple(members[index] for index in order),
        candidates=tuple(order),
        logits=np.stack([all_logits[index] for index in order]),
        scores=tuple(scores),
    )
