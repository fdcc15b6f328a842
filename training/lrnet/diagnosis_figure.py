"""A diagnosis as one figure: signals, gradients and weights by depth, then each layer's sums."""

from __future__ import annotations

import io
import math
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from lrnet.checkpoint import save_text
from lrnet.criticality import TARGET
from lrnet.diagnosis import Diagnosis, Layer
from lrnet.normality import Unit

# Okabe and Ito's colours, which colour-blind readers tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"

COLUMNS = 4
BINS = 40
QUANTILES = 60

STYLE = {
    # Text stays text, and names of parts depend on nothing but the figure.
    "svg.fonttype": "none",
    "svg.hashsalt": "lrnet",
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 7,
}


def save(diagnosis: Diagnosis, path: Path) -> None:
    """Writes an SVG that is whole or not there; the same diagnosis gives the same bytes, with the same Matplotlib."""
    content = io.StringIO()
    with matplotlib.rc_context(STYLE):
        _figure(diagnosis).savefig(content, format="svg", metadata={"Date": None})
    save_text(path, content.getvalue())


def _figure(diagnosis: Diagnosis) -> Figure:
    rows = 1 + math.ceil(2 * len(diagnosis.layers) / COLUMNS)
    figure = Figure(figsize=(13, 2.9 * rows), layout="constrained")
    figure.suptitle(
        f"{diagnosis.run}, seed {diagnosis.seed}, epoch {diagnosis.epoch} of the distribution stage:"
        f" {diagnosis.images:,} held-out images, {diagnosis.draws:,} draws of the weights of each sum",
        fontsize=10,
    )
    axes = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for draw, each in zip((_signals, _curve, _gradients, _weights), axes[:COLUMNS], strict=True):
        draw(each, diagnosis)
    for index, layer in enumerate(diagnosis.layers):
        histogram, quantiles = axes[COLUMNS + 2 * index : COLUMNS + 2 * index + 2]
        _sums(histogram, quantiles, layer)
    for unused in axes[COLUMNS + 2 * len(diagnosis.layers) :]:
        unused.set_axis_off()
    return figure


def _depth(axes: Axes, diagnosis: Diagnosis) -> NDArray[np.int64]:
    places = np.arange(len(diagnosis.layers))
    axes.set_xticks(places, [layer.name for layer in diagnosis.layers], rotation=30, ha="right")
    return places


def _signals(axes: Axes, diagnosis: Diagnosis) -> None:
    places = _depth(axes, diagnosis)
    axes.set_title("Correlation of two draws")
    axes.plot(
        places, [layer.signal.correlation for layer in diagnosis.layers], "o-", color=BLUE, label="measured"
    )
    axes.plot(places, [layer.theory for layer in diagnosis.layers], "s--", color=ORANGE, label="arcsine law")
    axes.axhline(TARGET, color=GREY, linestyle=":", label="exp(-1)")
    axes.set_ylim(0, 1.05)
    axes.legend(loc="lower left")


def _curve(axes: Axes, diagnosis: Diagnosis) -> None:
    scales = [point.scale for point in diagnosis.curve]
    axes.set_title("At other scales of the logits")
    axes.plot(
        scales, [point.correlation for point in diagnosis.curve], ".-", color=BLUE, label="last correlation"
    )
    axes.plot(
        scales,
        [point.slope for point in diagnosis.curve],
        ".-",
        color=GREEN,
        label="slope of the softmax, Σ p (1 - p)",
    )
    axes.axhline(TARGET, color=GREY, linestyle=":")
    axes.axvline(1.0, color=GREY, linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("scale of the logits; 1 is now")
    axes.set_ylim(0, 1.05)
    axes.legend(loc="center right", frameon=True, edgecolor="none", framealpha=1.0)


def _gradients(axes: Axes, diagnosis: Diagnosis) -> None:
    places = _depth(axes, diagnosis)
    axes.set_title("Root mean square of gradients")
    found = [layer.gradients for layer in diagnosis.layers]
    axes.plot(places, [each.preactivation for each in found], "o-", color=BLUE, label="pre-activations")
    axes.plot(places, [each.logits for each in found], "s-", color=GREEN, label="logits")
    axes.set_yscale("log")
    axes.legend()


def _weights(axes: Axes, diagnosis: Diagnosis) -> None:
    places = _depth(axes, diagnosis)
    axes.set_title("Weights and activations")
    series = (
        ("undecided weights, share", GREEN, [layer.weights.undecided for layer in diagnosis.layers]),
        ("entropy of weights, nats", BLUE, [layer.weights.entropy for layer in diagnosis.layers]),
        (
            "entropy of activations, bits",
            ORANGE,
            [layer.activity.entropy if layer.activity else 0.0 for layer in diagnosis.layers],
        ),
    )
    for offset, (label, color, heights) in zip((-0.27, 0.0, 0.27), series, strict=True):
        axes.bar(places + offset, heights, 0.25, color=color, label=label)
    axes.set_ylim(0, 1.5)
    axes.legend(loc="upper left")


def _sums(histogram: Axes, quantiles: Axes, layer: Layer) -> None:
    """The unit of median distance as a histogram; it and the worst as quantiles."""
    histogram.set_title(f"{layer.name}: sums of drawn weights")
    quantiles.set_title(f"{layer.name}: quantiles, in σ")
    if not layer.units:
        for axes in (histogram, quantiles):
            axes.text(0.5, 0.5, "no sum varies", ha="center", transform=axes.transAxes)
        return
    ordered = sorted(layer.units, key=lambda unit: unit.kolmogorov_smirnov)
    median, worst = ordered[len(ordered) // 2], ordered[-1]
    edges = _edges(median.sums, 2 if layer.weights.kind == "binary" else 1)
    histogram.hist(median.sums, edges, density=True, color=BLUE, alpha=0.45, label="drawn")
    places = np.linspace(median.mean - 4 * median.deviation, median.mean + 4 * median.deviation, 200)
    histogram.plot(
        places, stats.norm.pdf(places, median.mean, median.deviation), color=ORANGE, label="Gaussian"
    )
    histogram.set_xlabel(
        f"channel {median.channel}, row {median.row}, column {median.column}; σ = {median.deviation:.3g}"
    )
    histogram.set_yticks([])
    histogram.legend(loc="upper right")
    for unit, color, marker, label in ((worst, ORANGE, "x", "worst"), (median, BLUE, ".", "median")):
        expected, found = _quantiles(unit)
        text = f"{label}: KS {unit.kolmogorov_smirnov:.3f}, W1 {unit.wasserstein:.3f}"
        quantiles.plot(expected, found, marker, color=color, markersize=4, label=text)
    quantiles.axline((0, 0), slope=1, color=GREY, linewidth=0.8)
    quantiles.set_xlabel("Gaussian")
    quantiles.set_ylabel("drawn")
    quantiles.legend(loc="upper left")


def _edges(sums: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """About BINS bins; each holds equally many of the whole numbers that sums in such steps can be."""
    first, last = sums[0], sums[-1]
    if not np.array_equal(sums, np.round(sums)):
        return np.linspace(first, last, BINS + 1)
    width = step * math.ceil((last - first + step) / step / BINS)
    return np.arange(first - step / 2, last + width, width)


def _quantiles(unit: Unit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A Gaussian's quantiles, as far out as so many draws reach, and the drawn sums' own, in σ."""
    most = stats.norm.ppf(1 - 0.5 / len(unit.sums))
    expected = np.linspace(-most, most, QUANTILES)
    drawn = np.quantile(unit.sums, stats.norm.cdf(expected), method="inverted_cdf")
    return expected, (drawn - unit.mean) / unit.deviation
