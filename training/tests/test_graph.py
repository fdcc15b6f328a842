"""The shapes of a graph and its rules, on the residual network that the format was made for."""

from __future__ import annotations

import dataclasses

import pytest
from networks import residual_graph

from lrnet.discrete import AveragePool, Input, Node, Operation, Sign
from lrnet.graph import require_check_work, taps, value_shapes, value_types
from lrnet.networks import trained_shapes

CIFAR = Input(32, 32, 3)
RESNET18 = residual_graph((64, 128, 256, 512), 4, 10)

SMALL = Input(6, 6, 3)
GRAPH: tuple[Node, ...] = (
    Operation("stem", "conv2d", "image", 9, "ternary", "floats", kernel=3, padding=1),
    Sign("s", "stem"),
    Operation("x", "conv2d", "s", 9, "binary", "floats", kernel=3, padding=1, add="stem"),
    AveragePool("d", "x", 3),
    Operation("logits", "linear", "d", 4, "binary", "floats"),
)


def test_a_residual_network_of_18_layers_has_the_shapes_of_its_stages() -> None:
    shapes = value_shapes(CIFAR, RESNET18)
    assert len(RESNET18) == 44
    assert shapes["x0.3"] == shapes["s1.0"] == (32, 32, 64)
    assert (shapes["d1.0"], shapes["e1.0"], shapes["r1.0"]) == ((16, 16, 64), (16, 16, 64), (16, 16, 128))
    assert (shapes["x1.0"], shapes["x2.3"], shapes["x3.3"]) == ((16, 16, 128), (8, 8, 256), (4, 4, 512))
    assert (shapes["means"], shapes["logits"]) == ((1, 1, 512), (1, 1, 10))
    types = value_types(RESNET18)
    assert [types[name] for name in ("image", "stem", "s0.0", "d1.0", "means")] == [
        "pixels",
        "floats",
        "bits",
        "floats",
        "floats",
    ]
    weighted = [node for node in RESNET18 if isinstance(node, Operation)]
    # 27 * 64; 9 * (4 * 64² + 64 * 128 + 3 * 128² + …), 64 * 128 + 128 * 256 + 256 * 512 of shortcuts, 512 * 10.
    assert sum(node.out * taps(node, shapes[node.input]) for node in weighted) == 11_164_352


def changed(place: str, **attributes: object) -> tuple[Node, ...]:
    """The graph with other attributes of one node."""
    return tuple(
        dataclasses.replace(node, **attributes) if node.name == place else node  # type: ignore[arg-type]
        for node in GRAPH
    )


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (changed("s", input="image"), "s: its input is pixels, not floats"),
        (changed("d", input="s"), "d: its input is bits, not floats"),
        (changed("x", input="stem"), "x: its input is floats, not pixels or bits"),
        (changed("x", add="s"), "x: 's', which it adds, is not floats of its output's shape"),
        (changed("x", add="image"), "x: 'image', which it adds, is not floats"),
        (changed("x", add="x"), "x: no earlier value is called 'x'"),
        (changed("x", add="d"), "x: no earlier value is called 'd'"),
        (changed("x", add=["stem"]), r"x: no earlier value is called \['stem'\]"),
        (changed("x", stride=2), "x: 'stem', which it adds, is not floats of its output's shape"),
        (changed("x", out=8), "x: 'stem', which it adds, is not floats of its output's shape"),
        (changed("x", output="bits"), "x: add goes with floats only"),
        (changed("x", pool=2), "x: pool is 1, or 2 with bits"),
        (changed("d", size=4), "d: a size of 4 does not divide 6 x 6"),
        (changed("d", size=0), r"d: size is 1\.\.1024"),
        (changed("d", size=1025), r"d: size is 1\.\.1024"),
        (changed("logits", output="bits"), "logits: sums of floats give floats, which sign makes bits"),
        (changed("logits", input="nothing"), "logits: no earlier value is called 'nothing'"),
        (changed("s", name="stem"), "the name 'stem' is empty or used before"),
        (changed("x", weights="shift"), "x: weights are binary or ternary"),
        ((*GRAPH[:3], Sign("logits", "x")), "the last operation is called logits and gives floats"),
        ((*GRAPH[:3], AveragePool("logits", "x", 3)), "logits are one value a class"),
    ],
)
def test_a_graph_that_breaks_a_rule_is_refused_by_the_name_of_the_node(
    graph: tuple[Node, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        value_shapes(SMALL, graph)


def test_means_of_all_positions_may_be_the_logits() -> None:
    assert value_shapes(SMALL, (*GRAPH[:3], AveragePool("logits", "x", 6)))["logits"] == (1, 1, 9)


def test_floats_are_added_to_a_linear_operation_too() -> None:
    dense = Operation("dense", "linear", "s", 4, "binary", "floats")
    head = Operation("logits", "linear", "d", 4, "binary", "floats", add="dense")
    assert value_shapes(SMALL, (*GRAPH[:4], dense, head))["logits"] == (1, 1, 4)


def test_integers_that_float32_may_not_hold_do_not_become_floats() -> None:
    graph = (Operation("logits", "linear", "image", 1, "binary", "floats"),)
    # 2^17 pixels of 128 each are 2^24.
    value_shapes(Input(256, 512, 1), graph)
    with pytest.raises(ValueError, match=r"logits: its sums may leave ±2\^24"):
        value_shapes(Input(257, 512, 1), graph)


def test_sums_of_floats_may_have_any_number_of_taps() -> None:
    stem = Operation("stem", "conv2d", "image", 16, "binary", "floats")
    head = Operation("logits", "linear", "stem", 1, "binary", "floats")
    assert value_shapes(Input(1024, 1024, 1), (stem, head))["logits"] == (1, 1, 1)


def test_a_row_costs_the_words_of_weights_of_its_sums() -> None:
    stem = Operation("stem", "conv2d", "image", 1, "binary", "floats")
    heads = tuple(
        Operation(f"head{index}", "linear", "signs", 4096, "binary", "floats") for index in range(63)
    )

    def graph(classes: int) -> tuple[Node, ...]:
        return (
            stem,
            Sign("signs", "stem"),
            *heads,
            Operation("logits", "linear", "signs", classes, "binary", "floats"),
        )

    # A sum of 2^20 bits takes 2^14 words. The stem's 2^20 sums take 8 each, as many as 512 of those.
    value_shapes(Input(1024, 1024, 1), graph(4096 - 512))
    with pytest.raises(ValueError, match=r"over 2\^32 word operations"):
        value_shapes(Input(1024, 1024, 1), graph(4096 - 511))


def test_check_vectors_of_floats_cost_what_the_format_says() -> None:
    graph = (
        Operation("stem", "conv2d", "image", 20, "ternary", "floats", kernel=3, padding=1),
        Sign("signs", "stem"),
        Operation("x", "conv2d", "signs", 20, "binary", "floats", kernel=3, padding=1, add="stem"),
        AveragePool("means", "x", 2),
        Operation("logits", "linear", "means", 5, "binary", "floats"),
    )
    shapes = value_shapes(Input(4, 4, 1), graph)
    # stem: 16 * 32 sums of 3 groups, 16 * 80 bytes: 768 + 10,240. signs: 16 * 32 / 2, 16 * 8 bytes: 256 + 1,024.
    # x: 16 * 32 sums of 3 * 2 words, 16 * 80 bytes: 3,072 + 10,240. means: 4 * 32 sums of 4 floats, 4 * 80 bytes:
    # 256 + 2,560. logits: 16 sums of 4 pixels of 2 * 16 floats, 20 bytes: 1,024 + 160. 2^37 over all that:
    require_check_work(graph, shapes, 4_643_207, 1)
    with pytest.raises(ValueError, match="check: its vectors take"):
        require_check_work(graph, shapes, 4_643_208, 1)


def test_sums_that_float32_may_not_hold_are_not_trained() -> None:
    graph = (
        Operation("sums", "linear", "image", 4, "binary"),
        Operation("logits", "linear", "sums", 2, "binary", "floats"),
    )
    trained_shapes(Input(256, 512, 1), graph)
    value_shapes(Input(257, 512, 1), graph)
    with pytest.raises(ValueError, match=r"sums: its sums may leave ±2\^24"):
        trained_shapes(Input(257, 512, 1), graph)


def test_sums_of_floats_are_trained_whatever_their_number() -> None:
    stem = Operation("stem", "conv2d", "image", 16, "binary", "floats")
    trained_shapes(Input(1024, 1024, 1), (stem, Operation("logits", "linear", "stem", 1, "binary", "floats")))
