"""What a report finds beside the model's file, and how the card tells it: the plots, and what they say in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrnet.history import Epoch
from lrnet.markdown import count, escaped, table
from lrnet.scores import BINS, Bins

MOST_CLASSES_IN_MATRIX = 16
"""A matrix of more is not legible: then a table has the most frequent confusions."""

MOST_CONFUSIONS = 20
"""Rows of that table."""


@dataclass(frozen=True)
class Findings:
    """Of the test images, with as many members as answer by default; and of the training.

    confusion: int64 [classes, classes], the rows of each label (down) by their answers (across). before, after: their
    confidence without and with the temperature. epochs: none where no log tells of them. ablation: a Markdown table
    of what each part of the recipe gives, on another network or less data; None where no logs of it were named.
    """

    confusion: NDArray[np.int64]
    before: Bins
    after: Bins
    epochs: tuple[Epoch, ...]
    ablation: str | None = None

    @property
    def has_matrix(self) -> bool:
        """Whether a plot shows the confusions."""
        return len(self.confusion) <= MOST_CLASSES_IN_MATRIX


def tell_members(test: Mapping[str, Any]) -> Iterable[str]:
    """The lines on accuracy by the number of members; `test` is the part of a model's figures."""
    entries = {
        "1 member": test["members"][0],
        count(len(test["members"]), "member"): test["members"][-1],
        "the baseline": test["baseline"],
    }
    says = ", ".join(
        f"{name} {entry['accuracy']:.2%} and {entry['logLoss']:.4f}" for name, entry in entries.items()
    )
    yield _plot("members", f"Test accuracy and log-loss by the number of members: {says}.")
    yield ""
    yield (
        "Bars, and the band of the baseline, are one binomial standard error to each side. All answer the same images,"
        " so that a difference between two is surer than the bars make it look."
    )
    yield ""


def tell_calibration(findings: Findings, answering: int) -> Iterable[str]:
    """The lines on reliability, of as many members as answer."""
    before, after = findings.before, findings.after
    n = after.count.sum()
    yield ""
    yield _plot(
        "calibration",
        f"Reliability of {count(answering, 'member')} on {n:,} test images in {BINS} bins: the expected calibration"
        f" error is {before.error:.4f} before and {after.error:.4f} after the temperature; the last bin holds"
        f" {before.count[-1] / n:.1%} of the images before and {after.count[-1] / n:.1%} after.",
    )
    yield ""
    yield (
        f"{count(answering, 'member')}: each bin's accuracy at its mean confidence, and below the axis its images. Above"
        " the dashed line, answers are right more often than their confidence says. Bars are Wilson's intervals for one"
        " standard error."
    )


def tell_confusions(findings: Findings, labels: Sequence[str], answering: int) -> str:
    """The section on what is taken for what."""
    matrix = findings.confusion
    n, wrong = int(matrix.sum()), int(matrix.sum() - matrix.trace())
    pairs = _most_confused(matrix)
    text = f"By {count(answering, 'member')}, {wrong:,} of {n:,} test images are answered wrongly."
    if findings.has_matrix:
        most = ", ".join(f"{labels[i]} as {labels[j]} ({matrix[i, j]:,})" for i, j in pairs[:3])
        says = (
            f"Confusion matrix. Most often confused: {most}."
            if most
            else "Confusion matrix: nothing is confused."
        )
        body = [f"{text} Shades are shares of a label's images.", "", _plot("confusion", says)]
    else:
        totals = matrix.sum(axis=1)
        rows = [
            (escaped(labels[i]), escaped(labels[j]), f"{matrix[i, j]:,}", f"{matrix[i, j] / totals[i]:.1%}")
            for i, j in pairs[:MOST_CONFUSIONS]
        ]
        header = ("label", "answer", "images", "share of the label's")
        body = [f"{text} The most frequent confusions:", "", *table(header, rows)] if rows else [text]
    return "\n".join(("## Confusions", "", *body))


def tell_training(findings: Findings) -> Iterable[str]:
    """The lines on the training's epochs."""
    if findings.epochs:
        stages = groupby(findings.epochs, key=lambda epoch: epoch.stage)
        ends = ", ".join(f"{name} {list(group)[-1].held_out:.2%}" for name, group in stages)
        yield _plot("training", f"Accuracy after each epoch. On held-out images the stages end at: {ends}.")
        yield ""
        noisy, most_probable = _tell_stochastic({epoch.stage for epoch in findings.epochs})
        yield (
            f"On training images it is the accuracy of an epoch's batches as they were met, augmented{noisy}; on"
            f" held-out images that of the network at the epoch's end{most_probable}. The axis is logarithmic in the error."
        )
    else:
        yield "No log at hand tells of the training's epochs."
    yield ""


def _tell_stochastic(stages: Set[str]) -> tuple[str, str]:
    """What is special in the stages whose network is a distribution: in training, and on held-out images."""
    if "freezing" in stages:
        return (
            ", and in the stages distribution and freezing with weights and activations that are noisy in all layers"
            " that are not frozen",
            ", in these two stages of the most probable one",
        )
    if "distribution" in stages:
        return (
            ", and in the stage distribution with weights and activations that are noisy",
            ", in that stage of the most probable one",
        )
    return "", ""


def _plot(name: str, says: str) -> str:
    return f"![{escaped(says)}]({name}.svg)"


def _most_confused(matrix: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Label and answer of every wrong answer that was given, the most frequent first."""
    wrong = matrix - np.diag(matrix.diagonal())
    pairs = np.argwhere(wrong)
    order = np.argsort(-wrong[wrong != 0], kind="stable")
    return [(int(label), int(answer)) for label, answer in pairs[order]]
