"""The integer forward pass in NumPy: the oracle of every backend.

It knows nothing of training and shares no code with it. From pixels on, every number is fixed to the bit:
pixels are x = p - 128 with padding 0, hidden values are bits with padding -1, sums are exact integers, a bit
is 1 iff its sum is at least the channel's threshold, pooling is OR, and a sum becomes a float by one float32
multiplication and one float32 addition, and by a second addition where a value is added. Floats are summed in
float32, one after the other in the order (y, x, channel).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lrnet.discrete import AveragePool, DiscreteNetwork, Node, Operation, Parameters, Sign

Value = NDArray[np.uint8] | NDArray[np.bool_] | NDArray[np.float32]
"""[n, height, width, channels]: pixels, bits or floats."""


def forward(
    graph: Sequence[Node], member: Mapping[str, Parameters], pixels: NDArray[np.uint8]
) -> dict[str, Value]:
    """Every node's output for pixels [n, H, W, C], by name and in order: bits (bool) or floats (float32).

    All values of all rows are held at once; `logits` works in chunks.
    """
    values: dict[str, Value] = {"image": pixels}
    for node in graph:
        values[node.name] = _apply(node, member[node.name], values)
    del values["image"]
    return values


def logits(
    network: DiscreteNetwork,
    pixels: NDArray[np.uint8],
    members: int | None = None,
    chunk: int = 32,
) -> NDArray[np.float32]:
    """Logits [members, n, classes] of the first `members` members (all of them by default)."""
    chosen = network.members[:members]
    result = np.empty((len(chosen), len(pixels), len(network.labels)), dtype=np.float32)
    for index, member in enumerate(chosen):
        for start in range(0, len(pixels), chunk):
            rows = slice(start, start + chunk)
            values = forward(network.graph, member, pixels[rows])
            result[index, rows] = values["logits"].reshape(-1, len(network.labels))
    return result


def pack(bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Bits [..., C] as bytes [..., 8 ceil(C / 64)]: little-endian words of 64 channels, channel 0 in bit 0."""
    channels = bits.shape[-1]
    to_word = [(0, 0)] * (bits.ndim - 1) + [(0, -channels % 64)]
    return np.packbits(np.pad(bits, to_word), axis=-1, bitorder="little")


def digested(value: Value) -> bytes:
    """What a digest of an operation's output is of: packed bits, or floats as little-endian float32, in NHWC order."""
    content = pack(value) if value.dtype == np.bool_ else value.astype("<f4")
    return content.tobytes()


def check_vectors(
    network: DiscreteNetwork, images: NDArray[np.uint8], chunk: int = 16
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """What a backend must give for images [n, H, W, C], of which `chunk` are worked on at once.

    Returns the digests uint8 [members, operations, 32] and the logits float32 [members, n, classes].
    """
    digests = np.empty((len(network.members), len(network.graph), 32), dtype=np.uint8)
    answers = np.empty((len(network.members), len(images), len(network.labels)), dtype=np.float32)
    for index, member in enumerate(network.members):
        # Rows come first, so that a digest of all of them is one of their chunks in order.
        hashes = {node.name: hashlib.sha256() for node in network.graph}
        for start in range(0, len(images), chunk):
            rows = slice(start, start + chunk)
            values = forward(network.graph, member, images[rows])
            for name, value in values.items():
                hashes[name].update(digested(value))
            answers[index, rows] = values["logits"].reshape(-1, len(network.labels))
        digests[index] = [np.frombuffer(each.digest(), np.uint8) for each in hashes.values()]
    return digests, answers


def _apply(node: Node, parameters: Parameters, values: Mapping[str, Value]) -> Value:
    value = values[node.input]
    if isinstance(node, Sign):
        assert parameters.threshold is not None
        return value >= parameters.threshold
    if isinstance(node, AveragePool):
        return _means(value, node.size)
    assert parameters.weights is not None
    sums = _sums(node, parameters.weights, value)
    if node.output == "floats":
        assert parameters.scale is not None
        assert parameters.bias is not None
        floats = sums * parameters.scale + parameters.bias
        return floats if node.add is None else floats + values[node.add]
    assert parameters.threshold is not None
    bits = sums >= parameters.threshold
    return _pooled(bits) if node.pool == 2 else bits


def _sums(
    operation: Operation, weights: NDArray[np.int8], value: Value
) -> NDArray[np.int32] | NDArray[np.float32]:
    """[n, height, width, out]: integers that are compared with thresholds, or float32 that become floats."""
    if value.dtype == np.float32:
        return _sums_of_floats(weights, value)
    sums = _sums_of_integers(operation, weights, value)
    # The format has |sum| <= 2^24 here, so the cast is exact.
    return sums.astype(np.float32) if operation.output == "floats" else sums


def _sums_of_floats(weights: NDArray[np.int8], value: NDArray[np.float32]) -> NDArray[np.float32]:
    """`linear`: tap after tap, from +0, one rounding an addition. A product is exact, being ±x or 0."""
    columns = value.reshape(len(value), 1, 1, -1)
    sums = np.zeros((len(value), 1, 1, len(weights)), dtype=np.float32)
    for tap, column in enumerate(weights.T.astype(np.float32)):
        sums += columns[..., tap : tap + 1] * column
    return sums


def _sums_of_integers(operation: Operation, weights: NDArray[np.int8], value: Value) -> NDArray[np.int32]:
    if value.dtype == np.uint8:
        inputs, fill, largest = (value ^ 0x80).view(np.int8), 0, 128
    else:
        inputs, fill, largest = np.where(value, np.int8(1), np.int8(-1)), -1, 1
    if operation.op == "linear":
        operands = inputs.reshape(len(inputs), 1, 1, -1)
    else:
        operands = _patches(inputs, fill, operation)
    out, taps = weights.shape
    # No sum of products, in whatever order they are added, is over taps * largest: an integer that floats hold.
    exact = np.float32 if taps * largest <= 2**24 else np.float64
    sums = operands.reshape(-1, taps).astype(exact) @ weights.T.astype(exact)
    return sums.astype(np.int32).reshape(*operands.shape[:3], out)


def _patches(inputs: NDArray[np.int8], fill: int, operation: Operation) -> NDArray[np.int8]:
    """The inputs under the kernel at every position: [n, height, width, taps], taps in the order (ky, kx, c)."""
    kernel, stride, padding = operation.kernel, operation.stride, operation.padding
    border = (padding, padding)
    padded = np.pad(inputs, ((0, 0), border, border, (0, 0)), constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(*windows.shape[:3], -1)


def _pooled(bits: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rows, height, width, channels = bits.shape
    even = bits[:, : height // 2 * 2, : width // 2 * 2]
    blocks = even.reshape(rows, height // 2, 2, width // 2, 2, channels)
    return blocks.any(axis=(2, 4))


def _means(value: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Means of squares: summed row after row of a square, from +0, one rounding an addition, and divided once."""
    rows, height, width, channels = value.shape
    sums = np.zeros((rows, height // size, width // size, channels), dtype=np.float32)
    for y in range(size):
        for x in range(size):
            sums += value[:, y::size, x::size]
    return sums / np.float32(size**2)
