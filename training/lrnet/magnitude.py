"""How large floats can grow, whatever the image: decided from the real scales and biases, as a server does.

Sums that are compared with thresholds need no such proof: without `shift` weights the limits on shapes keep them
within ±2^30.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lrnet.discrete import AveragePool, Node, Parameters
from lrnet.graph import Shape, taps, value_types

LARGEST_FLOAT = 2.0**127
"""Below the largest float32, so that nothing is ever infinite or, by a difference of infinities, not a number."""

_LARGEST_INPUT = {"pixels": 128.0, "bits": 1.0}


def require_moderate_floats(
    graph: Sequence[Node], shapes: Mapping[str, Shape], members: Sequence[Mapping[str, Parameters]]
) -> None:
    """Raises ValueError, naming the node, where some image may take a float out of float32's range.

    Scales and biases are finite.
    """
    types = value_types(graph)
    bounds: dict[str, float] = {}
    for node in graph:
        if node.output == "bits":
            continue
        if isinstance(node, AveragePool):
            additions = node.size**2
            total = _rounded(additions * bounds[node.input], additions)
            magnitudes = (total, _rounded(total / additions, 1))
        else:
            count = taps(node, shapes[node.input])
            if types[node.input] == "floats":
                total = _rounded(count * bounds[node.input], count)
            else:
                total = count * _LARGEST_INPUT[types[node.input]]
            scaled = _rounded(total * _largest(node, "scale", members), 1)
            biased = _rounded(scaled + _largest(node, "bias", members), 1)
            added = _rounded(biased + (0.0 if node.add is None else bounds[node.add]), 1)
            magnitudes = (total, scaled, biased, added)
        if max(magnitudes) >= LARGEST_FLOAT:
            raise ValueError(f"{node.name}: its floats may leave the range of float32")
        bounds[node.name] = magnitudes[-1]


def _rounded(magnitude: float, roundings: int) -> float:
    """What so many roundings can make of a magnitude: each adds 2^-24 of it at most."""
    return magnitude * math.exp(roundings * 2.0**-24)


def _largest(node: Node, part: str, members: Sequence[Mapping[str, Parameters]]) -> float:
    return max(float(abs(getattr(member[node.name], part)).max()) for member in members)
