"""The shapes of a graph's values, and the rules that a graph keeps (format xnord/1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lrnet.discrete import Input, Operation

Shape = tuple[int, int, int]
"""Height, width, channels."""

MAX_OPERATIONS = 256
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


def output_shape(operation: Operation, source: Shape) -> Shape:
    """The shape after convolution, threshold and pool; an odd last row or column is not pooled but dropped.

    Raises ValueError where nothing would be left.
    """
    if operation.op == "linear":
        return (1, 1, operation.out)
    height, width = (
        ((size + 2 * operation.padding - operation.kernel) // operation.stride + 1) // operation.pool
        for size in source[:2]
    )
    if height < 1 or width < 1:
        raise ValueError(f"{operation.name}: nothing is left of an input of {source[0]} x {source[1]}")
    return (height, width, operation.out)


def value_shapes(image: Input, graph: Sequence[Operation]) -> dict[str, Shape]:
    """The shape of `image` and of every operation's output, in order.

    Raises ValueError, naming the operation, at the first rule of the format that the graph breaks.
    """
    _require(1 <= len(graph) <= MAX_OPERATIONS, f"a graph has 1 to {MAX_OPERATIONS} operations")
    _require(
        1 <= image.height <= 1024 and 1 <= image.width <= 1024 and image.channels in (1, 3),
        "an input is 1..1024 x 1..1024 pixels of 1 or 3 channels",
    )
    _require(image.resize in ("stretch", "contain", "cover"), "resize is stretch, contain or cover")
    shapes: dict[str, Shape] = {"image": (image.height, image.width, image.channels)}
    floats: set[str] = set()
    word_operations = 0
    for operation in graph:
        name = operation.name
        _require(name != "" and name not in shapes, f"the name {name!r} is empty or used before")
        _require(operation.input in shapes, f"{name}: no earlier value is called {operation.input!r}")
        _require(operation.input not in floats, f"{name}: its input is floats, not pixels or bits")
        _check_attributes(operation)
        source = shapes[operation.input]
        shapes[name] = output_shape(operation, source)
        if operation.output == "floats":
            floats.add(name)
            largest = 128 if operation.input == "image" else 1
            _require(
                taps(operation, source) * largest <= MAX_FLOAT_SUM,
                f"{name}: its sums may leave ±2^24",
            )
        height, width, channels = shapes[name]
        elements = height * width * channels
        _require(elements <= MAX_VALUE_ELEMENTS, f"{name}: its output has over 2^24 elements")
        word_operations += (
            elements * operation.pool**2 * _words(operation, source, operation.input == "image")
        )
    _require(word_operations <= MAX_WORD_OPERATIONS, "a row costs over 2^32 word operations")
    _require(
        graph[-1].name == "logits" and graph[-1].output == "floats",
        "the last operation is called logits and gives floats",
    )
    _require(shapes["logits"][:2] == (1, 1), "logits are one value a class")
    return shapes


def _words(operation: Operation, source: Shape, pixels: bool) -> int:
    """Words of 64 weights read for one sum; a pixel counts eight bits."""
    planes = (2 if operation.weights == "ternary" else 1) * (8 if pixels else 1)
    return planes * -(-taps(operation, source) // 64)


def require_check_work(
    graph: Sequence[Operation], shapes: Mapping[str, Shape], rows: int, members: int
) -> None:
    """Raises ValueError where check vectors would hold a worker for minutes, before it may serve.

    Word operations count as an engine lays values out: bits of a pixel in 16, 32 or whole words of 64 bits,
    channels out in sixteens; masks come for free. Each byte of an output counts eight, for it is hashed.
    """
    work = sum(
        _laid_out_words(operation, graph, shapes) + 8 * _digested_bytes(operation, shapes)
        for operation in graph
    )
    _require(
        rows * members * work <= MAX_CHECK_WORK, "check: its vectors take more than 2^37 word operations"
    )


def _laid_out_words(operation: Operation, graph: Sequence[Operation], shapes: Mapping[str, Shape]) -> int:
    height, width, channels = shapes[operation.input]
    if operation.op == "conv2d":
        lines, pixels = operation.kernel, operation.kernel
    elif operation.input != "image" and any(
        reader.input == operation.input and reader.padding > 0 for reader in graph
    ):
        # The border that the padding takes lies between the lines.
        lines, pixels = height, width
    else:
        lines, pixels = 1, height * width
    out_height, out_width, out = shapes[operation.name]
    sums = out_height * out_width * operation.pool**2 * 16 * -(-out // 16)
    if operation.input == "image":
        # Groups of four pixels, two of which count as a word.
        return sums * lines * -(-pixels * channels // 4) // 2
    bits = next((bits for bits in (16, 32) if channels <= bits), 64 * -(-channels // 64))
    return sums * lines * -(-pixels * bits // 64)


def _digested_bytes(operation: Operation, shapes: Mapping[str, Shape]) -> int:
    height, width, channels = shapes[operation.name]
    return height * width * (4 * channels if operation.output == "floats" else 8 * -(-channels // 64))


def _check_attributes(operation: Operation) -> None:
    name = operation.name
    _require(operation.op in ("conv2d", "linear"), f"{name}: op {operation.op!r} is unknown")
    _require(1 <= operation.out <= 4096, f"{name}: out is 1..4096")
    _require(operation.weights in ("binary", "ternary"), f"{name}: weights are binary or ternary")
    _require(operation.output in ("bits", "floats"), f"{name}: output is bits or floats")
    if operation.op == "linear":
        _require(
            (operation.kernel, operation.stride, operation.padding, operation.pool) == (1, 1, 0, 1),
            f"{name}: kernel, stride, padding and pool belong to conv2d",
        )
    _require(1 <= operation.kernel <= 7, f"{name}: kernel is 1..7")
    _require(1 <= operation.stride <= 4, f"{name}: stride is 1..4")
    _require(0 <= operation.padding < operation.kernel, f"{name}: padding is 0..kernel - 1")
    _require(
        operation.pool in (1, 2) and (operation.pool == 1 or operation.output == "bits"),
        f"{name}: pool is 1, or 2 with bits",
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
