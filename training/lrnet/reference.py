"""The integer forward pass in NumPy: the oracle of every backend.

It knows nothing of training and shares no code with it. From pixels on, every number is fixed to the bit:
pixels are x = p - 128 with padding 0, hidden values are bits with padding -1, sums are exact integers, a bit
is 1 iff its sum is at least the channel's threshold, pooling is OR, and a sum becomes a float by one float32
multiplication and one float32 addition.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lrnet.discrete import DiscreteNetwork, Operation, Parameters

Value = NDArray[np.uint8] | NDArray[np.bool_] | NDArray[np.float32]
"""[n, height, width, channels]: pixels, bits or floats."""


def forward(
    graph: Sequence[Operation], member: Mapping[str, Parameters], pixels: NDArray[np.uint8]
) -> dict[str, Value]:
    """Every operation's output for pixels [n, H, W, C], by name and in order: bits (bool) or floats (float32).

    All values of all rows are held at once; `logits` works in chunks.
    """
    values: dict[str, Value] = {"image": pixels}
    for operation in graph:
        values[operation.name] = _apply(operation, member[operation.name], values[operation.input])
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
    classes = network.graph[-1].out
    result = np.empty((len(chosen), len(pixels), classes), dtype=np.float32)
    for index, member in enumerate(chosen):
        for start in range(0, len(pixels), chunk):
            rows = slice(start, start + chunk)
            values = forward(network.graph, member, pixels[rows])
            result[index, rows] = values["logits"].reshape(-1, classes)
    return result


def pack(bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Bits [..., C] as bytes [..., 8 ceil(C / 64)]: little-endian words of 64 channels, channel 0 in bit 0."""
    channels = bits.shape[-1]
    to_word = [(0, 0)] * (bits.ndim - 1) + [(0, -channels % 64)]
    return np.packbits(np.pad(bits, to_word), axis=-1, bitorder="little")


def digest(value: Value) -> bytes:
    """SHA-256 of one operation's output: packed bits, or floats as little-endian float32, in NHWC order."""
    content = pack(value) if value.dtype == np.bool_ else value.astype("<f4")
    return hashlib.sha256(content.tobytes()).digest()


def check_vectors(
    network: DiscreteNetwork, images: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """What a backend must give for images [n, H, W, C].

    Returns the digests uint8 [members, operations, 32] and the logits float32 [members, n, classes].
    """
    outputs = [forward(network.graph, member, images) for member in network.members]
    digests = [[digest(value) for value in values.values()] for values in outputs]
    return (
        np.array([[np.frombuffer(entry, np.uint8) for entry in member] for member in digests]),
        np.stack([values["logits"].reshape(len(images), -1) for values in outputs]),
    )


def _apply(operation: Operation, parameters: Parameters, value: Value) -> Value:
    sums = _sums(operation, parameters.weights, value)
    if operation.output == "floats":
        assert parameters.scale is not None
        assert parameters.bias is not None
        # The format has |sum| <= 2^24, so the cast is exact; then one rounding an operation.
        return sums.astype(np.float32) * parameters.scale + parameters.bias
    assert parameters.threshold is not None
    bits = sums >= parameters.threshold
    return _pooled(bits) if operation.pool == 2 else bits


def _sums(
    operation: Operation, weights: NDArray[np.int8], value: Value
) -> NDArray[np.float32] | NDArray[np.float64]:
    """Exact integers [n, height, width, out], held in floats."""
    if value.dtype == np.uint8:
        inputs, fill, largest = (value ^ 0x80).view(np.int8), 0, 128
    elif value.dtype == np.bool_:
        inputs, fill, largest = np.where(value, np.int8(1), np.int8(-1)), -1, 1
    else:
        raise ValueError(f"{operation.name}: its input is floats, not pixels or bits")
    if operation.op == "linear":
        operands = inputs.reshape(len(inputs), 1, 1, -1)
    else:
        operands = _patches(inputs, fill, operation)
    out, taps = weights.shape
    # No sum of products, in whatever order they are added, is over taps * largest: an integer that floats hold.
    exact = np.float32 if taps * largest <= 2**24 else np.float64
    sums = operands.reshape(-1, taps).astype(exact) @ weights.T.astype(exact)
    return sums.reshape(*operands.shape[:3], out)


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
