"""The shapes of a graph's values, and the rules that a graph keeps (format xnord/1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from lrnet.discrete import AveragePool, Input, Node, Operation, Sign

Shape = tuple[int, int, int]
"""Height, width, channels."""

ValueType = Literal["pixels", "bits", "floats"]

MAX_OPERATIONS = 256
MAX_IMAGE_SIDE = 1024
MAX_VALUE_ELEMENTS = 2**24
MAX_WORD_OPERATIONS = 2**32
MAX_CHECK_WORK = 2**37
MAX_FLOAT_SUM = 2**24
"""The largest |sum| that becomes a float: up to here float32 holds every integer."""


def taps(operation: Operation, source: Shape) -> int:
    """The number of weights of one output channel."""
    height, width, channels = source
    if operation.op == "linear":
        return height * width * channels
    return operation.kernel**2 * channels


def value_types(graph: Sequence[Node]) -> dict[str, ValueType]:
    """What `image` and every node's output consist of."""
    return {"image": "pixels", **{node.name: node.output for node in graph}}


def output_shape(node: Node, source: Shape) -> Shape:
    """The shape after convolution, threshold and pool; an odd last row or column is not pooled but dropped.

    Raises ValueError where nothing would be left, or an average pool's size does not divide its input.
    """
    height, width, channels = source
    if isinstance(node, Sign):
        return source
    if isinstance(node, AveragePool):
        _require(
            height % node.size == width % node.size == 0,
            f"{node.name}: a size of {node.size} does not divide {height} x {width}",
        )
        return (height // node.size, width // node.size, channels)
    if node.op == "linear":
        return (1, 1, node.out)
    height, width = (
        ((size + 2 * node.padding - node.kernel) // node.stride + 1) // node.pool for size in source[:2]
    )
    _require(
        height >= 1 and width >= 1, f"{node.name}: nothing is left of an input of {source[0]} x {source[1]}"
    )
    return (height, width, node.out)


def value_shapes(image: Input, graph: Sequence[Node]) -> dict[str, Shape]:
    """The shape of `image` and of every node's output, in order.

    Raises ValueError, naming the node, at the first rule of the format that the graph breaks.
    """
    _require(1 <= len(graph) <= MAX_OPERATIONS, f"a graph has 1 to {MAX_OPERATIONS} operations")
    _require(
        1 <= image.height <= MAX_IMAGE_SIDE
        and 1 <= image.width <= MAX_IMAGE_SIDE
        and image.channels in (1, 3),
        "an input is 1..1024 x 1..1024 pixels of 1 or 3 channels",
    )
    _require(image.resize in ("stretch", "contain", "cover"), "resize is stretch, contain or cover")
    shapes: dict[str, Shape] = {"image": (image.height, image.width, image.channels)}
    types: dict[str, ValueType] = {"image": "pixels"}
    word_operations = 0
    for node in graph:
        name = node.name
        _require(name != "" and name not in shapes, f"the name {name!r} is empty or used before")
        _require(node.input in shapes, f"{name}: no earlier value is called {node.input!r}")
        _check_attributes(node)
        source, source_type = shapes[node.input], types[node.input]
        _check_input(node, source_type)
        shape = output_shape(node, source)
        height, width, channels = shape
        elements = height * width * channels
        _require(elements <= MAX_VALUE_ELEMENTS, f"{name}: its output has over 2^24 elements")
        if isinstance(node, Operation):
            _check_sums(node, source, source_type)
            _check_addend(node, shape, shapes, types)
            word_operations += elements * node.pool**2 * _words(node, source, source_type)
        shapes[name], types[name] = shape, node.output
    _require(word_operations <= MAX_WORD_OPERATIONS, "a row costs over 2^32 word operations")
    _require(
        graph[-1].name == "logits" and graph[-1].output == "floats",
        "the last operation is called logits and gives floats",
    )
    _require(shapes["logits"][:2] == (1, 1), "logits are one value a class")
    return shapes


def _check_input(node: Node, source: ValueType) -> None:
    if isinstance(node, Sign | AveragePool):
        _require(source == "floats", f"{node.name}: its input is {source}, not floats")
    elif node.op == "conv2d":
        _require(source != "floats", f"{node.name}: its input is floats, not pixels or bits")


def _check_sums(operation: Operation, source: Shape, source_type: ValueType) -> None:
    """Integers that become floats must be floats already."""
    name = operation.name
    if source_type == "floats":
        _require(operation.output == "floats", f"{name}: sums of floats give floats, which sign makes bits")
    elif operation.output == "floats":
        largest = 128 if source_type == "pixels" else 1
        _require(taps(operation, source) * largest <= MAX_FLOAT_SUM, f"{name}: its sums may leave ±2^24")


def _check_addend(
    operation: Operation, shape: Shape, shapes: Mapping[str, Shape], types: Mapping[str, ValueType]
) -> None:
    name, add = operation.name, operation.add
    if add is None:
        return
    _require(operation.output == "floats", f"{name}: add goes with floats only")
    _require(
        isinstance(add, str) and add in shapes, f"{name}: no earlier value is called {add!r}, to be added"
    )
    _require(
        types[add] == "floats" and shapes[add] == shape,
        f"{name}: {add!r}, which it adds, is not floats of its output's shape",
    )


def _words(operation: Operation, source: Shape, source_type: ValueType) -> int:
    """Words of 64 weights read for one sum; a pixel counts eight bits."""
    planes = (2 if operation.weights == "ternary" else 1) * (8 if source_type == "pixels" else 1)
    return planes * -(-taps(operation, source) // 64)


def require_check_work(graph: Sequence[Node], shapes: Mapping[str, Shape], rows: int, members: int) -> None:
    """Raises ValueError where check vectors would hold a worker for minutes, before it may serve.

    Word operations count as an engine lays values out: bits of a pixel in 16, 32 or whole words of 64 bits,
    channels out, and those of floats, in sixteens; masks come for free. Each byte of an output counts eight, for it
    is hashed.
    """
    work = sum(_laid_out_words(node, graph, shapes) + 8 * _digested_bytes(node, shapes) for node in graph)
    _require(
        rows * members * work <= MAX_CHECK_WORK, "check: its vectors take more than 2^37 word operations"
    )


def _laid_out_words(node: Node, graph: Sequence[Node], shapes: Mapping[str, Shape]) -> int:
    out_height, out_width, out = shapes[node.name]
    outputs = out_height * out_width * _sixteens(out)
    if isinstance(node, Sign):
        return outputs // 2
    if isinstance(node, AveragePool):
        return outputs * node.size**2 // 2
    height, width, channels = shapes[node.input]
    source_type = value_types(graph)[node.input]
    if node.op == "conv2d":
        lines, pixels = node.kernel, node.kernel
    elif source_type == "bits" and _is_padded(node.input, graph):
        # The border that the padding takes lies between the lines.
        lines, pixels = height, width
    else:
        lines, pixels = 1, height * width
    sums = outputs * node.pool**2
    if source_type == "pixels":
        # Groups of four pixels, two of which count as a word.
        return sums * lines * -(-pixels * channels // 4) // 2
    if source_type == "floats":
        # Floats of weights, two of which count as a word.
        return sums * pixels * _sixteens(channels) // 2
    bits = next((bits for bits in (16, 32) if channels <= bits), 64 * -(-channels // 64))
    return sums * lines * -(-pixels * bits // 64)


def _sixteens(channels: int) -> int:
    return 16 * -(-channels // 16)


def _is_padded(name: str, graph: Sequence[Node]) -> bool:
    return any(isinstance(node, Operation) and node.input == name and node.padding > 0 for node in graph)


def _digested_bytes(node: Node, shapes: Mapping[str, Shape]) -> int:
    height, width, channels = shapes[node.name]
    return height * width * (4 * channels if node.output == "floats" else 8 * -(-channels // 64))


def _check_attributes(node: Node) -> None:
    name = node.name
    if isinstance(node, Sign):
        return
    if isinstance(node, AveragePool):
        _require(1 <= node.size <= MAX_IMAGE_SIDE, f"{name}: size is 1..{MAX_IMAGE_SIDE}")
        return
    _require(node.op in ("conv2d", "linear"), f"{name}: op {node.op!r} is unknown")
    _require(1 <= node.out <= 4096, f"{name}: out is 1..4096")
    _require(node.weights in ("binary", "ternary"), f"{name}: weights are binary or ternary")
    _require(node.output in ("bits", "floats"), f"{name}: output is bits or floats")
    if node.op == "linear":
        _require(
            (node.kernel, node.stride, node.padding, node.pool) == (1, 1, 0, 1),
            f"{name}: kernel, stride, padding and pool belong to conv2d",
        )
    _require(1 <= node.kernel <= 7, f"{name}: kernel is 1..7")
    _require(1 <= node.stride <= 4, f"{name}: stride is 1..4")
    _require(0 <= node.padding < node.kernel, f"{name}: padding is 0..kernel - 1")
    _require(
        node.pool in (1, 2) and (node.pool == 1 or node.output == "bits"),
        f"{name}: pool is 1, or 2 with bits",
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
