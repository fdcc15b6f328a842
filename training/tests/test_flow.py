"""The order of a graph's values, and how long each is kept."""

from __future__ import annotations

import weakref

import pytest
from networks import residual_graph

from lrnet.discrete import Operation
from lrnet.flow import last_readers, outputs, read_behind, require_chain, weighted

GRAPH = residual_graph(widths=(8, 8), convolutions=1, classes=3)
NAMES = ["stem", "s0.0", "x0.0", "d1.0", "e1.0", "r1.0", "s1.0", "x1.0", "means", "logits"]


class Value:
    def __init__(self, text: str) -> None:
        self.text = text


def named(index: int, value: Value, addend: Value | None) -> Value:
    return Value(f"{GRAPH[index].name}({value.text}{'' if addend is None else ' + ' + addend.text})")


def test_every_node_gets_what_it_reads_and_what_it_adds() -> None:
    texts = {node.name: value.text for node, value in outputs(GRAPH, Value("image"), named)}
    assert list(texts) == NAMES
    assert texts["x0.0"] == "x0.0(s0.0(stem(image)) + stem(image))"
    x = texts["x0.0"]
    assert texts["logits"] == f"logits(means(x1.0(s1.0({x}) + r1.0(e1.0(d1.0({x}))))))"


def test_a_value_is_let_go_when_its_last_reader_has_had_it() -> None:
    made: dict[str, weakref.ref[Value]] = {}

    def apply(index: int, value: Value, addend: Value | None) -> Value:
        # Those that earlier nodes gave, of which only these are read from here on.
        alive.append({name for name, reference in made.items() if reference() is not None})
        result = Value("")
        made[GRAPH[index].name] = weakref.ref(result)
        return result

    alive: list[set[str]] = []
    for _ in outputs(GRAPH, Value("image"), apply):
        pass
    assert alive == [
        set(),
        {"stem"},
        {"stem", "s0.0"},
        {"x0.0"},
        {"x0.0", "d1.0"},
        {"x0.0", "e1.0"},
        {"x0.0", "r1.0"},
        {"r1.0", "s1.0"},
        {"x1.0"},
        {"means"},
    ]


def test_values_that_no_later_node_reads_are_left_out() -> None:
    readers = last_readers(GRAPH)
    assert readers["stem"] == NAMES.index("x0.0")
    assert "logits" not in readers
    values = {"stem": 1, "s0.0": 2, "x0.0": 3}
    assert read_behind(values, readers, NAMES.index("s0.0")) == values
    assert read_behind(values, readers, NAMES.index("x0.0")) == {"x0.0": 3}


def test_only_operations_have_weights() -> None:
    assert [GRAPH[index].name for index in weighted(GRAPH)] == ["stem", "x0.0", "r1.0", "x1.0", "logits"]
    assert all(isinstance(GRAPH[index], Operation) for index in weighted(GRAPH))


def test_in_a_chain_every_node_reads_the_bits_of_the_one_before_it() -> None:
    first = Operation("first", "linear", "image", 4, "binary")
    second = Operation("second", "linear", "first", 4, "binary")
    require_chain((first, second, Operation("logits", "linear", "second", 2, "binary", "floats")))
    with pytest.raises(ValueError, match="logits: it is no operation on the bits of the one before it"):
        require_chain((first, second, Operation("logits", "linear", "first", 2, "binary", "floats")))
    with pytest.raises(ValueError, match="stem: it gives floats, and it is not the last"):
        require_chain(GRAPH)
