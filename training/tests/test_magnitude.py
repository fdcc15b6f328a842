"""The bounds of floats, worked out by hand; the server's tests of the same hold the same figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from make_fixture import residual

from lrnet.discrete import AveragePool, Input, Node, Operation, Parameters
from lrnet.format import FormatError, write
from lrnet.graph import taps, value_shapes
from lrnet.magnitude import require_moderate_floats

STEM = Operation("stem", "conv2d", "image", 1, "binary", "floats")
HEAD = Operation("logits", "linear", "stem", 1, "binary", "floats")


def check(graph: Sequence[Node], *members: dict[str, float]) -> None:
    """Members on images of 4 x 4 pixels whose scales and biases are as told, `{node}.{part}`, else 1 and 0."""
    shapes = value_shapes(Input(4, 4, 1), graph)

    def parameters(node: Node, constants: dict[str, float]) -> Parameters:
        if not isinstance(node, Operation):
            return Parameters()
        weights = np.ones((node.out, taps(node, shapes[node.input])), dtype=np.int8)
        scale, bias = (
            np.full(node.out, constants.get(f"{node.name}.{part}", default), dtype=np.float32)
            for part, default in (("scale", 1), ("bias", 0))
        )
        return Parameters(weights, None, scale, bias)

    require_moderate_floats(
        graph,
        shapes,
        [{node.name: parameters(node, member) for node in graph} for member in members or ({},)],
    )


def refused(name: str, graph: Sequence[Node], *members: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"^{name}: its floats may leave the range of float32"):
        check(graph, *members)


def test_floats_that_stay_moderate_are_taken() -> None:
    check((STEM, HEAD))
    # 2^7 * 2^64 of a pixel, 2^4 of them, and 2^51: 2^126.
    check((STEM, HEAD), {"stem.scale": 2.0**64, "logits.scale": 2.0**51})


def test_a_node_whose_scale_may_lead_beyond_float32_is_refused_by_name() -> None:
    refused("logits", (STEM, HEAD), {"stem.scale": 2.0**64, "logits.scale": -(2.0**52)})


def test_every_member_counts() -> None:
    moderate = {"stem.scale": 2.0**64, "logits.scale": 2.0**51}
    check((STEM, HEAD), moderate, moderate)
    refused("logits", (STEM, HEAD), moderate, moderate | {"logits.scale": 2.0**52})


def test_a_sum_that_may_overflow_is_refused_however_small_the_scale_that_follows() -> None:
    def chain(length: int) -> tuple[Node, ...]:
        sums = [
            Operation(f"sum{i}", "linear", "stem" if i == 0 else f"sum{i - 1}", 16, "binary", "floats")
            for i in range(length)
        ]
        return (STEM, *sums, Operation("logits", "linear", f"sum{length - 1}", 1, "binary", "floats"))

    constants = {"stem.scale": 2.0**64, "logits.scale": 2.0**-64}
    # 2^71, and 2^4 times that in each of the thirteen sums: 2^123, and 2^127 in the last.
    refused("logits", chain(13), constants)
    check(chain(12), constants)


def test_a_bias_counts_though_the_sums_before_it_are_0() -> None:
    constants = {"stem.scale": 0, "stem.bias": -(2.0**64)}
    # 2^64, 2^4 of them, and 2^58 or 2^59 that.
    check((STEM, HEAD), constants | {"logits.scale": 2.0**58})
    refused("logits", (STEM, HEAD), constants | {"logits.scale": 2.0**59})


def test_additions_count() -> None:
    first = Operation("sum", "linear", "stem", 1, "binary", "floats")
    added = Operation("logits", "linear", "stem", 1, "binary", "floats", add="sum")
    constants = {"stem.scale": 2.0**64, "logits.scale": 2.0**51}
    # 2^126 of the logits themselves, and 2^125 or 2^126 that are added.
    check((STEM, first, added), constants | {"sum.scale": 2.0**50})
    refused("logits", (STEM, first, added), constants | {"sum.scale": 2.0**51})


def test_a_mean_is_no_larger_than_its_values_for_all_that_it_sums() -> None:
    graph = (
        STEM,
        AveragePool("mean", "stem", 4),
        Operation("logits", "linear", "mean", 1, "binary", "floats"),
    )
    # 2^71 of a value or a mean, and 2^55 or 2^56 that.
    check(graph, {"stem.scale": 2.0**64, "logits.scale": 2.0**55})
    refused("logits", graph, {"stem.scale": 2.0**64, "logits.scale": 2.0**56})


def test_a_model_whose_floats_may_overflow_is_not_written() -> None:
    model = residual()
    for name in ("x1.0", "logits"):
        scale = model.network.members[1][name].scale
        assert scale is not None
        scale[1] = 2.0**64
    with pytest.raises(FormatError, match="logits: its floats may leave"):
        write(model)
