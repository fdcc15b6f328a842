"""Temperatures that make the first k members' mean probabilities honest, and the figures that say how honest."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax

LOWEST, HIGHEST = 0.05, 20.0


def mean_probabilities(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """Mean over members of softmax(logits / temperature): [members, n, classes] to float64 [n, classes]."""
    return softmax(logits.astype(np.float64) / temperature, axis=-1).mean(axis=0)


def log_loss(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean of -ln p(label), nats."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


def accuracy(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The fraction of rows whose largest probability, at the lowest index on ties, is the label's."""
    return float((probabilities.argmax(axis=-1) == labels).mean())


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature in 0.05 … 20 with the least log-loss of the members' mean, for [members, n, classes].

    The targets are softened by one row in n + 2, as in Platt, "Probabilistic Outputs for Support Vector Machines"
    (1999): when every held-out label is right, plain log-loss would ask for a temperature of zero.
    """
    n, classes = logits.shape[1:]
    softness = 1 / (n + 2)
    targets = np.full((n, classes), softness / (classes - 1))
    targets[np.arange(n), labels] = 1 - softness

    def loss(log_temperature: float) -> float:
        probabilities = mean_probabilities(logits, math.exp(log_temperature))
        return float(-(targets * np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))).sum() / n)

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    return math.exp(float(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def fit_temperatures(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> list[float]:
    """Entry k - 1: the temperature of the first k members, of logits [members, n, classes]."""
    return [fit_temperature(logits[:k], labels) for k in range(1, len(logits) + 1)]
