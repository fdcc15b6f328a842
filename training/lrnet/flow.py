"""How values flow through a graph: which node reads which, and how long each is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from lrnet.discrete import Node, Operation

T = TypeVar("T")


def weighted(graph: Sequence[Node]) -> list[int]:
    """The places of the nodes that have weights."""
    return [index for index, node in enumerate(graph) if isinstance(node, Operation)]


def require_chain(graph: Sequence[Node]) -> None:
    """Raises ValueError where a node reads anything but the bits of the one before it, the first one the image."""
    before = "image"
    for index, node in enumerate(graph):
        if not isinstance(node, Operation) or node.input != before or node.add is not None:
            raise ValueError(f"{node.name}: it is no operation on the bits of the one before it alone")
        if node.output == "floats" and index < len(graph) - 1:
            raise ValueError(f"{node.name}: it gives floats, and it is not the last")
        before = node.name


def added_by(node: Node) -> str | None:
    """The value that a node adds to its own."""
    return node.add if isinstance(node, Operation) else None


def outputs(
    graph: Sequence[Node], image: T, apply: Callable[[int, T, T | None], T]
) -> Iterator[tuple[Node, T]]:
    """Every node with its output, in order: `apply` gets its place, its input, and what it adds, if anything.

    What no later node reads is let go.
    """
    readers = last_readers(graph)
    values = {"image": image}
    for index, node in enumerate(graph):
        add = added_by(node)
        values[node.name] = apply(index, values[node.input], None if add is None else values[add])
        yield node, values[node.name]
        values = read_behind(values, readers, index)


def last_readers(graph: Sequence[Node]) -> dict[str, int]:
    """The place of the last node that reads a value; a value that none reads is not there."""
    return {
        name: index
        for index, node in enumerate(graph)
        for name in (node.input, added_by(node))
        if name is not None
    }


def read_behind(values: Mapping[str, T], readers: Mapping[str, int], index: int) -> dict[str, T]:
    """Those of the values that a node behind the place `index` reads."""
    return {name: value for name, value in values.items() if readers.get(name, -1) > index}
