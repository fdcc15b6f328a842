"""Brings images to a model's shape as the server does, by one integer area filter, up and down alike."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from lrnet.discrete import Input

Rectangle = tuple[int, int, int, int]
"""Top, left, height, width, in pixels."""


def resize(source: NDArray[np.uint8], image: Input) -> NDArray[np.uint8]:
    """An image uint8 [H, W, C] of any size as uint8 [image.height, image.width, C], by `image.resize`.

    Output i of n along an axis covers the interval [i·N/n, (i+1)·N/n) of the N source pixels. In units of 1/n every
    overlap is an integer, so a value is exactly ⌊(2·Σ wy·wx·p + D) ÷ 2D⌋, D = Ny·Nx: the mean, rounded half up.
    docs/format.md states the rule, and src/images/resize.ts is the server's.
    """
    height, width, channels = source.shape
    if (height, width) == (image.height, image.width):
        return source
    whole, frame = (0, 0, height, width), (0, 0, image.height, image.width)
    if image.resize == "cover":
        top, left, height, width = _largest_within(whole, frame)
        return _filter(source[top : top + height, left : left + width], image.height, image.width)
    if image.resize == "contain":
        top, left, height, width = _largest_within(frame, whole)
        out = np.zeros((image.height, image.width, channels), np.uint8)
        out[top : top + height, left : left + width] = _filter(source, height, width)
        return out
    return _filter(source, image.height, image.width)


def _largest_within(outer: Rectangle, shape: Rectangle) -> Rectangle:
    """The largest rectangle of the aspect ratio of `shape` in the middle of `outer`.

    The shorter side is rounded half up and is at least 1; of an odd rest the odd pixel lies right or below.
    """
    _, _, outer_height, outer_width = outer
    _, _, height, width = shape
    if outer_width * height >= outer_height * width:
        inner_height, inner_width = outer_height, _scaled(outer_height, width, height)
    else:
        inner_height, inner_width = _scaled(outer_width, height, width), outer_width
    return (outer_height - inner_height) // 2, (outer_width - inner_width) // 2, inner_height, inner_width


def _scaled(length: int, numerator: int, denominator: int) -> int:
    """length × numerator ÷ denominator, rounded half up, at least 1."""
    return max(1, (2 * length * numerator + denominator) // (2 * denominator))


def _filter(source: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    source_height, source_width, channels = source.shape
    down, across = _overlaps(source_height, height), _overlaps(source_width, width)
    area = source_height * source_width
    out = np.empty((height, width, channels), np.uint8)
    # A row at a time: of a large image no copy in wider integers is made.
    for y in range(height):
        covered = slice(down.indptr[y], down.indptr[y + 1])
        first, weights = down.indices[covered.start], down.data[covered]
        rows = source[first : first + len(weights)].reshape(len(weights), -1)
        row = (weights @ rows).reshape(source_width, channels)
        out[y] = (2 * (across @ row) + area) // (2 * area)
    return out


def _overlaps(size: int, outputs: int) -> scipy.sparse.csr_array:
    """Lengths, int64 [outputs, size], that each output has in common with each source pixel, in units of 1/outputs."""
    y = np.arange(outputs)
    first, last = y * size // outputs, -(-(y + 1) * size // outputs)
    counts = last - first
    starts = np.concatenate([[0], counts.cumsum()])
    output = np.repeat(y, counts)
    pixel = np.arange(starts[-1]) - starts[output] + first[output]
    weights = np.minimum((pixel + 1) * outputs, (output + 1) * size) - np.maximum(
        pixel * outputs, output * size
    )
    return scipy.sparse.csr_array((weights, pixel, starts), shape=(outputs, size))
