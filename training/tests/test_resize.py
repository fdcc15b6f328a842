from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrnet.discrete import Input
from lrnet.resize import resize

Rule = Literal["stretch", "contain", "cover"]


def resized(rows: list[list[int]], width: int, height: int, rule: Rule = "stretch") -> list[list[int]]:
    source = np.array(rows, np.uint8)[..., None]
    return resize(source, Input(height, width, 1, rule))[..., 0].tolist()


@pytest.mark.parametrize(
    ("rows", "width", "height", "rule", "expected"),
    [
        # as in test/images/resize.test.ts
        ([[1, 2, 3], [4, 5, 6]], 3, 2, "stretch", [[1, 2, 3], [4, 5, 6]]),
        ([[0, 1, 10, 20], [1, 0, 30, 40]], 2, 1, "stretch", [[1, 25]]),
        ([[0, 0], [0, 1]], 1, 1, "stretch", [[0]]),
        ([[0, 90, 255]], 2, 1, "stretch", [[30, 200]]),
        ([[0, 90]], 3, 1, "stretch", [[0, 45, 90]]),
        ([[9] * 4] * 2, 4, 5, "contain", [[0] * 4, [9] * 4, [9] * 4, [0] * 4, [0] * 4]),
        ([[8], [8]], 4, 2, "contain", [[0, 8, 0, 0], [0, 8, 0, 0]]),
        ([[6] * 4], 2, 2, "contain", [[6, 6], [0, 0]]),
        ([[6] * 9], 2, 2, "contain", [[6, 6], [0, 0]]),
        ([[1, 2, 3, 4]], 1, 1, "cover", [[2]]),
        ([[1, 2, 3]], 1, 1, "cover", [[2]]),
        ([[1], [2], [3], [4], [5]], 1, 1, "cover", [[3]]),
        ([[3, 4]], 1, 9, "cover", [[3]] * 9),
    ],
)
def test_the_servers_own_examples(
    rows: list[list[int]], width: int, height: int, rule: Rule, expected: list[list[int]]
) -> None:
    assert resized(rows, width, height, rule) == expected


def mean_over(values: list[int], start: Fraction, end: Fraction) -> Fraction:
    overlaps = (
        (min(end, Fraction(pixel + 1)) - max(start, Fraction(pixel))) * values[pixel]
        for pixel in range(floor(start), ceil(end))
    )
    return sum(overlaps, Fraction(0)) / (end - start)


@given(
    size=st.tuples(*[st.integers(1, 12)] * 4),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_every_value_is_the_exact_mean_rounded_half_up(
    size: tuple[int, int, int, int], channels: Literal[1, 3], seed: int
) -> None:
    height, width, out_height, out_width = size
    source = np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)
    result = resize(source, Input(out_height, out_width, channels))
    for y in range(out_height):
        for x in range(out_width):
            for channel in range(channels):
                columns = [
                    mean_over(
                        source[:, column, channel].tolist(),
                        Fraction(y * height, out_height),
                        Fraction((y + 1) * height, out_height),
                    )
                    for column in range(width)
                ]
                scaled = [int(value * out_height * height) for value in columns]
                mean = mean_over(scaled, Fraction(x * width, out_width), Fraction((x + 1) * width, out_width))
                exact = mean / (out_height * height)
                assert result[y, x, channel] == floor(exact + Fraction(1, 2))


def test_a_large_image_of_one_value_keeps_it() -> None:
    source = np.full((1023, 4097, 1), 255, np.uint8)
    assert (resize(source, Input(31, 37, 1)) == 255).all()
