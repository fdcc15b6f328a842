"""How good answers are: accuracy, log-loss, calibration and confusions of probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrnet.calibrate import accuracy, log_loss, mean_probabilities

BINS = 15
"""Bins of equal width for the calibration error, as in Guo et al., On Calibration of Modern Neural Networks."""


@dataclass(frozen=True)
class Score:
    """accuracy and calibration_error: 0 … 1; log_loss: nats a row."""

    accuracy: float
    log_loss: float
    calibration_error: float


def score(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Score:
    """The figures of probabilities [n, classes] for labels [n]."""
    return Score(
        accuracy(probabilities, labels),
        log_loss(probabilities, labels),
        calibration_bins(probabilities, labels).error,
    )


@dataclass(frozen=True)
class Bins:
    """Rows by their confidence, bin i being (i / BINS, (i + 1) / BINS]. Each array has BINS entries.

    count, right: int64, the rows in a bin and those among them that are right; confidence: float64, their sum.
    """

    count: NDArray[np.int64]
    right: NDArray[np.int64]
    confidence: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: Σ over bins, (rows in it / n) · |accuracy - mean confidence|."""
        return float(np.abs(self.right - self.confidence).sum() / self.count.sum())


def calibration_bins(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Bins:
    """The bins of probabilities [n, classes] for labels [n]."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)
    return Bins(
        count=np.bincount(bins, minlength=BINS),
        right=np.bincount(bins[right], minlength=BINS),
        confidence=np.bincount(bins, weights=confidence, minlength=BINS),
    )


def score_members(
    logits: NDArray[np.float32], temperatures: Sequence[float], labels: NDArray[np.int64]
) -> list[Score]:
    """Entry k - 1: the first k members' mean probabilities, of logits [members, n, classes]."""
    return [
        score(mean_probabilities(logits[:k], temperatures[k - 1]), labels) for k in range(1, len(logits) + 1)
    ]


def confusion(answers: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """How many rows of each label, one a row of the matrix, got each answer: int64 [classes, classes]."""
    return np.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes)


def binomial_error(share: float, n: int) -> float:
    """The standard error of a share, 0 … 1, of n rows."""
    return math.sqrt(share * (1 - share) / n)
