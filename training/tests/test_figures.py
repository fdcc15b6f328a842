"""The plots, read back from their SVG: what is drawn where, and what it says."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings, strategies

from lrnet import figures
from lrnet.history import Epoch
from lrnet.scores import Bins, binomial_error
from lrnet.svg import ON_BLACK

NAMESPACE = "{http://www.w3.org/2000/svg}"


def group(svg: str, gid: str) -> Element:
    (found,) = (each for each in ElementTree.fromstring(svg).iter() if each.get("id") == gid)
    return found


def points(svg: str, gid: str) -> list[tuple[float, float]]:
    """The places of a group's marks, y from the top."""
    return [
        (float(use.get("x", "")), float(use.get("y", ""))) for use in group(svg, gid).iter(f"{NAMESPACE}use")
    ]


def paths(svg: str, gid: str) -> list[list[tuple[str, float, float]]]:
    """A group's lines as (M or L, x, y)."""
    return [
        [
            (letter, float(x), float(y))
            for letter, x, y in re.findall(r"([ML]) (\S+) (\S+)", each.get("d", ""))
        ]
        for each in group(svg, gid).iter(f"{NAMESPACE}path")
        if "L" in each.get("d", "") and "C" not in each.get("d", "")
    ]


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{NAMESPACE}text")]


def height(svg: str, label: str) -> float:
    """The middle of a tick's label on a vertical axis; the first one of this text."""
    found = next(each for each in ElementTree.fromstring(svg).iter(f"{NAMESPACE}text") if each.text == label)
    # The baseline of 12 pixels of text lies 4.56 pixels below its middle.
    return float(found.get("y", "")) - 4.56


def stage(name: str, *accuracies: float) -> list[Epoch]:
    return [Epoch(name, number, value, value) for number, value in enumerate(accuracies, start=1)]


def bins(**rows: tuple[int, int, float]) -> Bins:
    """Bins by their number, as in b14=(rows, right ones, mean confidence); the rest are empty."""
    count, right = np.zeros(15, dtype=np.int64), np.zeros(15, dtype=np.int64)
    confidence = np.zeros(15)
    for name, (n, correct, mean) in rows.items():
        place = int(name[1:])
        count[place], right[place], confidence[place] = n, correct, n * mean
    return Bins(count, right, confidence)


EPOCHS = [*stage("twin", 0.5, 0.8, 0.9), *stage("signs", 0.8, 0.9), *stage("distribution", 0.95, 0.99)]
BINS = bins(b14=(90, 88, 0.99), b7=(10, 4, 0.51))
MATRIX = np.array([[50, 3, 0], [1, 40, 0], [6, 0, 0]])

PLOTS = {
    "training": lambda: figures.training(EPOCHS),
    "members": lambda: figures.members([0.9, 0.92], [0.3, 0.25], (0.93, 0.2), 1000),
    "calibration": lambda: figures.calibration(BINS, BINS, 0.875, 2),
    "confusion": lambda: figures.confusion(MATRIX, ["a", "b", "c"]),
}


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_figures_give_the_same_bytes_whatever_the_users_settings_are(name: str) -> None:
    plain = PLOTS[name]()
    with matplotlib.rc_context(
        {"lines.linewidth": 7, "font.size": 20, "axes.grid": True, "svg.fonttype": "path"}
    ):
        assert PLOTS[name]() == plain
        assert matplotlib.rcParams["font.size"] == 20
    assert PLOTS[name]() == plain


@pytest.mark.parametrize("name", PLOTS)
def test_every_colour_has_one_for_black(name: str) -> None:
    body = PLOTS[name]().partition("</style>")[2]
    assert set(re.findall('#[0-9a-f]{6}(?=[;"])', body)) <= set(ON_BLACK)
    assert "#333333" in body or "#2f6fb3" in body


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_has_a_title_to_be_read_aloud_and_says_nothing_of_when_or_where_it_was_made(name: str) -> None:
    svg = PLOTS[name]()
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == group(svg, "caption").get("id")
    assert (group(svg, "caption").text or "") in texts(svg)
    assert not re.search("date|matplotlib v|/home|/tmp|20[0-9]{2}-", svg)


def test_each_stage_has_a_panel_with_a_point_for_each_epoch() -> None:
    svg = figures.training(EPOCHS)
    assert [text for text in texts(svg) if text in ("twin", "signs", "distribution")] == [
        "twin",
        "signs",
        "distribution",
    ]
    drawn = [points(svg, f"{name}-held-out") for name in ("twin", "signs", "distribution")]
    assert [len(each) for each in drawn] == [3, 2, 2]
    across = [x for each in drawn for x, _ in each]
    assert across == sorted(across)
    # More accurate is higher, and the same accuracy is at the same height in every panel.
    heights = [[y for _, y in each] for each in drawn]
    assert all(each == sorted(each, reverse=True) for each in heights)
    assert heights[0][1:] == heights[1]


def test_training_and_held_out_accuracies_are_told_apart() -> None:
    svg = figures.training([Epoch("twin", 1, training=0.9, held_out=0.8)])
    assert points(svg, "twin-training")[0][1] == pytest.approx(height(svg, "90 %"), abs=0.5)
    assert points(svg, "twin-held-out")[0][1] == pytest.approx(height(svg, "80 %"), abs=0.5)
    assert {"training images", "held-out images"} <= set(texts(svg))


def test_an_epoch_that_the_log_lacks_is_a_gap() -> None:
    epochs = [epoch for epoch in stage("twin", 0.5, 0.6, 0.7, 0.8, 0.9) if epoch.epoch != 3]
    svg = figures.training(epochs)
    (line,) = paths(svg, "twin-held-out")
    assert [letter for letter, _, _ in line] == ["M", "L", "M", "L"]
    first, second, fourth, fifth = (x for x, _ in points(svg, "twin-held-out"))
    assert fourth - second == pytest.approx(2 * (second - first), rel=1e-4)
    assert fifth - fourth == pytest.approx(second - first, rel=1e-4)


def test_the_errors_logarithm_spaces_the_axis() -> None:
    heights = [y for _, y in points(figures.training(stage("twin", 0.0, 0.9, 0.99, 0.999)), "twin-training")]
    steps = np.diff(heights)
    assert steps == pytest.approx(steps[0], rel=1e-4)


def test_an_accuracy_of_100_is_at_the_top_which_says_so() -> None:
    svg = figures.training(stage("twin", 0.9, 0.98, 1.0))
    assert points(svg, "twin-training")[-1][1] == pytest.approx(height(svg, "100 %"), abs=0.5)
    assert "100 %" not in texts(figures.training(stage("twin", 0.9, 0.98)))
    assert points(figures.training(stage("twin", 1.0)), "twin-training")


@pytest.mark.parametrize("accuracies", [(0.0,), (0.0, 1.0), (0.0, 0.99999), (0.12, 0.12)])
def test_the_ends_of_the_scale_can_be_drawn(accuracies: Sequence[float]) -> None:
    svg = figures.training(stage("twin", *accuracies))
    assert len(points(svg, "twin-held-out")) == len(accuracies)
    assert 2 <= sum(text.endswith("%") for text in texts(svg)) <= 10


def test_each_number_of_members_has_a_point_with_its_standard_error() -> None:
    accuracies, baseline, n = [0.9, 0.92, 0.94], 0.93, 1000
    svg = figures.members(accuracies, [0.3, 0.2, 0.1], (baseline, 0.2), n)
    heights = [y for _, y in points(svg, "accuracy")]
    (line,) = paths(svg, "accuracy-baseline")
    scale = (heights[0] - heights[2]) / 0.04
    assert heights[0] - heights[1] == pytest.approx(0.02 * scale, rel=1e-3)
    assert heights[1] - line[0][2] == pytest.approx(0.01 * scale, rel=1e-3)
    for value, y, ((_, _, low), (_, _, high)) in zip(
        accuracies, heights, paths(svg, "accuracy-error"), strict=True
    ):
        assert (low + high) / 2 == pytest.approx(y, abs=1e-3)
        assert low - high == pytest.approx(2 * binomial_error(value, n) * scale, rel=1e-3)


def test_log_loss_stands_beside_with_the_baseline_as_a_line() -> None:
    svg = figures.members([0.9, 0.92, 0.94], [0.3, 0.2, 0.1], (0.93, 0.2), 1000)
    heights = [y for _, y in points(svg, "log-loss")]
    assert heights == sorted(heights)
    (line,) = paths(svg, "log-loss-baseline")
    assert line[0][2] == line[1][2] == pytest.approx(heights[1])
    assert texts(svg).count("baseline") == 2


@pytest.mark.parametrize("count", [1, 2, 64])
def test_any_number_of_members_can_be_drawn_from_left_to_right(count: int) -> None:
    accuracies = [0.9 + 0.001 * k for k in range(count)]
    svg = figures.members(accuracies, accuracies, (0.9, 0.3), 1000)
    across = [x for x, _ in points(svg, "accuracy")]
    assert len(across) == count
    assert across == sorted(set(across))
    assert str(count) in texts(svg)


def test_an_accuracy_of_100_leaves_no_room_above_it() -> None:
    svg = figures.members([1.0], [0.0], (1.0, 0.0), 10)
    labels = [float(text.removesuffix(" %")) for text in texts(svg) if text.endswith(" %")]
    assert max(labels) == 100
    assert len(points(svg, "accuracy")) == 1


def test_a_bin_is_a_point_at_its_confidence_and_accuracy() -> None:
    svg = figures.calibration(bins(b14=(90, 45, 1.0), b0=(10, 0, 0.0)), BINS, 0.875, 2)
    (left, bottom), (right, middle) = points(svg, "before")
    ((_, x0, y0), (_, x1, y1)) = paths(svg, "diagonal")[0]
    assert (left, bottom) == pytest.approx((x0, y0))
    assert (right, middle) == pytest.approx((x1, (y0 + y1) / 2))


def test_an_empty_bin_is_a_zero_among_the_counts_and_no_point() -> None:
    svg = figures.calibration(bins(b14=(1234, 1200, 0.98), b7=(10, 4, 0.51)), bins(b9=(3, 3, 0.65)), 0.5, 2)
    assert len(points(svg, "before")) == len(paths(svg, "before-error")) == 2
    assert len(points(svg, "after")) == 1
    counts = ["".join(group(svg, f"before-{place}").itertext()).strip() for place in range(15)]
    assert counts == ["0"] * 7 + ["10"] + ["0"] * 6 + ["1,234"]
    across = [float(group(svg, f"after-{place}")[0].get("x", "")) for place in range(15)]
    assert across == sorted(across)


def test_a_bin_of_one_row_is_uncertain_though_that_row_is_right() -> None:
    svg = figures.calibration(bins(b14=(1, 1, 0.95)), bins(b14=(10_000, 10_000, 0.95)), 0.5, 1)
    ((_, _, low), (_, _, high)) = paths(svg, "before-error")[0]
    ((_, _, bottom), (_, _, top)) = paths(svg, "diagonal")[0]
    # Wilson: from 1/2 to 1 for one right row of one, at one standard error.
    assert low == pytest.approx((bottom + top) / 2, abs=0.01)
    assert high == pytest.approx(top, abs=0.01)
    ((_, _, low), (_, _, high)) = paths(svg, "after-error")[0]
    assert low - high < (bottom - top) / 1000


def test_both_errors_and_the_temperature_stand_in_the_legend() -> None:
    # |45 - 90| / 100 + |4 - 5.1| / 100
    svg = figures.calibration(bins(b14=(90, 45, 1.0), b7=(10, 4, 0.51)), bins(b14=(5, 5, 1.0)), 0.875, 2)
    assert "before: temperature 1, error 0.4610" in texts(svg)
    assert "after: temperature 0.875, error 0.0000" in texts(svg)


def test_a_cell_holds_the_rows_of_its_label_that_got_its_answer() -> None:
    svg = figures.confusion(MATRIX, ["a", "b", "c"])
    cells = {
        each.get("id"): "".join(each.itertext()).strip()
        for each in ElementTree.fromstring(svg).iter()
        if (each.get("id") or "").startswith("rows-")
    }
    # A diagonal cell is there even where it is empty; others only where they are not.
    assert cells == {
        "rows-0-0": "50",
        "rows-0-1": "3",
        "rows-1-0": "1",
        "rows-1-1": "40",
        "rows-2-0": "6",
        "rows-2-2": "0",
    }
    places = {gid: group(svg, str(gid))[0] for gid in cells}
    assert float(places["rows-0-1"].get("x", "")) > float(places["rows-0-0"].get("x", ""))
    assert float(places["rows-1-0"].get("y", "")) > float(places["rows-0-0"].get("y", ""))
    assert texts(svg).count("0.0 %") == 1
    assert "97.6 %" in texts(svg)


def test_a_larger_share_of_a_labels_rows_is_darker() -> None:
    svg = figures.confusion(np.array([[97, 3, 0], [30, 970, 0], [0, 5, 5]]), ["a", "b", "c"])
    opacities = [float(each) for each in re.findall("fill: #2f6fb3; opacity: ([0-9.]+)", svg)]
    # 3 of 100 and 30 of 1,000 alike, 5 of 10 the most.
    assert len(opacities) == 3
    assert opacities[0] == pytest.approx(opacities[1])
    assert opacities[2] > opacities[0]


def test_a_label_without_rows_has_no_share() -> None:
    assert "none" in texts(figures.confusion(np.array([[5, 0], [0, 0]]), ["a", "b"]))


@settings(max_examples=15, deadline=None)
@given(strategies.lists(strategies.text(max_size=40), min_size=2, max_size=2))
def test_a_label_is_text_whatever_it_holds(labels: list[str]) -> None:
    svg = figures.confusion(np.array([[5, 1], [0, 4]]), labels)
    shown = texts(svg)
    for label in labels:
        if label.isprintable() and label.strip() == label and 0 < len(label) <= 16:
            assert shown.count(label) >= 2


def test_a_long_label_is_cut_and_markup_and_formulas_stay_as_they_are() -> None:
    svg = figures.confusion(np.array([[5, 1], [0, 4]]), ["$x_1$ <&>\n", "a" * 200])
    assert "$x_1$ <&>\N{REPLACEMENT CHARACTER}" in texts(svg)
    assert "a" * 15 + "…" in texts(svg)


def test_the_largest_plots_are_small_files() -> None:
    generator = np.random.default_rng(1)
    epochs = [
        Epoch(name, number, *generator.uniform(0.1, 0.99, 2).round(5))
        for name in ("twin", "signs", "distribution")
        for number in range(1, 101)
    ]
    full = bins(**{f"b{place}": (9999, 9000, (place + 0.5) / 15) for place in range(15)})
    sizes = {
        "training": len(figures.training(epochs)),
        "members": len(figures.members([0.9] * 64, [0.3] * 64, (0.9, 0.3), 1000)),
        "calibration": len(figures.calibration(full, full, 0.9, 64)),
        "confusion": len(
            figures.confusion(
                generator.integers(1000, 9999, (16, 16)), [f"class number {k}" for k in range(16)]
            )
        ),
    }
    assert max(sizes.values()) < 100_000, sizes
