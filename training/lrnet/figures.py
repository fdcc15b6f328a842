"""A report's plots: training, members, calibration and confusions, each as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from lrnet import svg
from lrnet.history import Epoch
from lrnet.markdown import count, printable
from lrnet.scores import BINS, Bins, binomial_error
from lrnet.svg import BLUE, GREY, ORANGE

LONGEST_NAME = 16
"""Characters of a class's name beside the matrix."""

MOST_MARKED = 100
"""Epochs of a stage whose points are marked; more would run into each other."""

NARROWEST_PANEL, PANEL_GAP = 0.16, 20
"""A stage of few epochs gets so much of all panels' width that its name has room; the gap is in pixels."""

MOST_TICKS = 10

_CURVES: Sequence[tuple[str, str, Callable[[Epoch], float], str, str]] = (
    ("training", "training images", lambda epoch: epoch.training, ORANGE, "--"),
    ("held-out", "held-out images", lambda epoch: epoch.held_out, BLUE, "-"),
)


def training(epochs: Sequence[Epoch]) -> str:
    """Accuracy after each epoch, a panel a stage; the axis is logarithmic in the error. An absent epoch is a gap."""
    caption = "Accuracy after each epoch of each stage"
    stages = [(name, list(group)) for name, group in groupby(epochs, key=lambda epoch: epoch.stage)]
    errors = [_error(value) for epoch in epochs for value in (epoch.training, epoch.held_out)]
    ticks = _error_ticks(errors)
    labels = [f"{100 * (1 - tick):.7g} %" for tick in ticks]
    if 0 in errors:
        labels[0] = "100 %"
    widths = _widths([group[-1].epoch for _, group in stages], 668, PANEL_GAP)
    with svg.style():
        figure = svg.page(caption, 300)
        left = 76.0
        for index, ((name, group), width) in enumerate(zip(stages, widths, strict=True)):
            axes = svg.panel(figure, left, 64, width, 190)
            left += width + PANEL_GAP
            axes.set_title(name, loc="left")
            axes.set_yscale("log")
            axes.set_ylim(ticks[-1], ticks[0])
            axes.minorticks_off()
            axes.set_yticks(ticks, labels if index == 0 else [""] * len(ticks))
            axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=1)
            axes.set_xlim(0.5, group[-1].epoch + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(max(2, int(width // 50)), integer=True, min_n_ticks=1))
            axes.set_xlabel("epoch")
            for key, text, accuracy, colour, dash in _CURVES:
                axes.plot(
                    *_line(group, accuracy, ticks[0]),
                    dash,
                    color=colour,
                    marker="o" if len(group) <= MOST_MARKED else "",
                    markersize=4,
                    clip_on=False,
                    label=text,
                    gid=f"{name}-{key}",
                )
        figure.legend(*axes.get_legend_handles_labels(), loc="upper right", ncols=2, borderaxespad=0)
        return svg.render(figure, caption)


def members(
    accuracies: Sequence[float], losses: Sequence[float], baseline: tuple[float, float], n: int
) -> str:
    """Accuracy, 0 … 1, and log-loss, nats, of the first 1 … K members on n rows, and of the baseline (as a pair)."""
    caption = f"Test images, n = {n:,}, by the number of members that answer"
    numbers = np.arange(1, len(accuracies) + 1)
    with svg.style():
        figure = svg.page(caption, 270)
        accuracy = svg.panel(figure, 64, 56, 250, 170)
        accuracy.set_title("accuracy ± standard error", loc="left")
        lower, upper = (baseline[0] + sign * binomial_error(baseline[0], n) for sign in (-1, 1))
        accuracy.axhspan(lower, upper, color=GREY, alpha=0.2, linewidth=0)
        points, _, bars = accuracy.errorbar(
            numbers,
            accuracies,
            [binomial_error(value, n) for value in accuracies],
            fmt="o",
            color=BLUE,
            elinewidth=1,
            clip_on=False,
        )
        points.set_gid("accuracy")
        bars[0].set_gid("accuracy-error")
        accuracy.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.7g} %"))
        loss = svg.panel(figure, 444, 56, 250, 170)
        loss.set_title("log-loss, nats", loc="left")
        loss.plot(numbers, losses, "o", color=BLUE, clip_on=False, gid="log-loss")
        for axes, value, gid in ((accuracy, baseline[0], "accuracy"), (loss, baseline[1], "log-loss")):
            axes.axhline(value, color=GREY, linestyle="--", linewidth=1, clip_on=False, gid=f"{gid}-baseline")
            axes.text(1.02, value, "baseline", transform=axes.get_yaxis_transform(), va="center")
            axes.margins(y=0.12)
            axes.set_xlim(0.5, len(numbers) + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            axes.set_xlabel("members")
        accuracy.set_ylim(top=min(accuracy.get_ylim()[1], 1.0))
        loss.set_ylim(bottom=max(loss.get_ylim()[0], 0.0))
        return svg.render(figure, caption)


def calibration(before: Bins, after: Bins, temperature: float, answering: int) -> str:
    """Reliability: each bin's accuracy against its mean confidence, without and with temperature, and its rows.

    Bars are Wilson's intervals for one standard error, which, unlike the binomial error, are no points where all
    rows of a bin are right.
    """
    caption = (
        f"Reliability of {count(answering, 'member')}, {before.count.sum():,} test images in {BINS} bins"
    )
    with svg.style():
        figure = svg.page(caption, 400)
        axes = svg.panel(figure, 84, 64, 648, 230)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("confidence, and the rows in each bin")
        axes.set_ylabel("accuracy")
        percent = FuncFormatter(lambda value, _: f"{100 * value:.0f} %")
        axes.xaxis.set_major_formatter(percent)
        axes.yaxis.set_major_formatter(percent)
        axes.vlines(np.arange(1, BINS) / BINS, 0, 1, color=GREY, alpha=0.25, linewidth=1)
        axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, gid="diagonal")
        for row, (name, bins, divisor, colour, marker) in enumerate(
            (("before", before, "1", ORANGE, "D"), ("after", after, f"{temperature:.3f}", BLUE, "o"))
        ):
            label = f"{name}: temperature {divisor}, error {bins.error:.4f}"
            _reliability(axes, name, bins, label, colour, marker)
            y = -0.27 - 0.08 * row
            axes.text(-0.02, y, name, color=colour, ha="right", va="center")
            for place, number in enumerate(bins.count):
                x = (place + 0.5) / BINS
                axes.text(x, y, f"{number:,}", ha="center", va="center", size=10, gid=f"{name}-{place}")
        figure.legend(loc="upper left", bbox_to_anchor=(0, 1 - 24 / 400), ncols=2, borderaxespad=0)
        return svg.render(figure, caption)


def confusion(matrix: NDArray[np.int64], labels: Sequence[str]) -> str:
    """How many rows of each label (down) got each answer (across); shades are shares of the label's rows."""
    caption = f"Answers to {matrix.sum():,} test images"
    names = [_short(label) for label in labels]
    longest = 7.5 * max(map(len, names))
    totals = matrix.sum(axis=1)
    wrong = np.where(np.eye(len(names), dtype=bool), 0, matrix / np.maximum(totals, 1)[:, None])
    left, right, cell_height = longest + 36, 64, 26
    width, height = svg.WIDTH - left - right, cell_height * len(names)
    cell_width = width / len(names)
    upright = longest > cell_width
    top = 72 + (longest if upright else 12)
    # A digit is 0.64 of its size wide, and the comma less.
    size = min(11, cell_width / (0.64 * len(f"{matrix.max():,}")))
    with svg.style():
        figure = svg.page(caption, top + height + 8)
        axes = svg.panel(figure, left, top, width, height)
        axes.set_xlim(0, len(names))
        axes.set_ylim(len(names), 0)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        centres = np.arange(len(names)) + 0.5
        axes.set_xticks(centres, names, rotation=90 if upright else 0)
        axes.set_yticks(centres, names)
        axes.set_xlabel("answer", loc="left")
        axes.xaxis.set_label_position("top")
        axes.set_ylabel("label", loc="top")
        for row, column in np.ndindex(*matrix.shape):
            number = matrix[row, column]
            if row != column and not number:
                continue
            # Seen through, so that the number on it is legible on white and on black.
            colour, alpha = (
                (GREY, 0.25) if row == column else (BLUE, 0.12 + 0.43 * wrong[row, column] / wrong.max())
            )
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, alpha=alpha, linewidth=0))
            middle = (column + 0.5, row + 0.5)
            gid = f"rows-{row}-{column}"
            axes.text(*middle, f"{number:,}", ha="center", va="center_baseline", size=size, gid=gid)
        beside = {"transform": axes.get_yaxis_transform(), "x": 1 + 8 / width}
        for row, total in enumerate(totals):
            share = f"{100 * matrix[row, row] / total:.1f} %" if total else "none"
            axes.text(**beside, y=row + 0.5, s=share, va="center_baseline", size=11)
        axes.text(**beside, y=-0.2, s="right", va="bottom")
        return svg.render(figure, caption)


def _error(accuracy: float) -> float:
    """1 - accuracy, to the five digits that a log has."""
    return round(1 - accuracy, 5)


def _error_ticks(errors: Sequence[float]) -> list[float]:
    """Ticks from below the least error over 0 to the largest one; an error of 0 is drawn at the first of them."""
    least = min((error for error in errors if error > 0), default=0.01)
    ticks: list[float] = []
    for series in ((1, 2, 5), (1,)):
        steps = [*(round(step * 10.0**-power, power) for power in range(6, 0, -1) for step in series), 1.0]
        first = sum(step < least for step in steps) - 1
        last = max(first + 1, sum(step < max(errors) for step in steps))
        ticks = steps[first : last + 1]
        if len(ticks) <= MOST_TICKS:
            break
    return ticks


def _widths(epochs: Sequence[int], whole: float, gap: float) -> list[float]:
    """The panels' widths in pixels: as the stages' numbers of epochs, but not too narrow for a name."""
    shares = [max(number / sum(epochs), NARROWEST_PANEL) for number in epochs]
    return [(whole - gap * (len(epochs) - 1)) * share / sum(shares) for share in shares]


def _line(
    group: Sequence[Epoch], accuracy: Callable[[Epoch], float], best: float
) -> tuple[list[float], list[float]]:
    """A stage's epochs and errors, with nothing between two epochs that do not follow each other."""
    x: list[float] = []
    y: list[float] = []
    for epoch in group:
        if x and epoch.epoch != x[-1] + 1:
            x.append(math.nan)
            y.append(math.nan)
        x.append(epoch.epoch)
        y.append(max(_error(accuracy(epoch)), best))
    return x, y


def _reliability(axes: Axes, name: str, bins: Bins, label: str, colour: str, marker: str) -> None:
    filled = bins.count > 0
    n, right = bins.count[filled], bins.right[filled]
    lower, upper = _wilson(right / n, n)
    points, _, bars = axes.errorbar(
        bins.confidence[filled] / n,
        right / n,
        (np.maximum(right / n - lower, 0), np.maximum(upper - right / n, 0)),
        fmt=marker,
        color=colour,
        elinewidth=1,
        label=label,
        clip_on=False,
    )
    points.set_gid(name)
    bars[0].set_gid(f"{name}-error")


def _wilson(
    share: NDArray[np.float64], n: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of Wilson's score interval for one standard error (Journal of the American Statistical Association
    22, 1927), of shares of n rows."""
    centre = (share + 1 / (2 * n)) / (1 + 1 / n)
    half = np.sqrt(share * (1 - share) / n + 1 / (4 * n**2)) / (1 + 1 / n)
    return centre - half, centre + half


def _short(label: str) -> str:
    shown = printable(label)
    return shown if len(shown) <= LONGEST_NAME else shown[: LONGEST_NAME - 1] + "…"
