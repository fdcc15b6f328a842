"""The tensors of a model file: every member's weights as packed planes, its thresholds and its heads.

A tensor has one entry a member, or a single one where all members agree. See `lrnet.format` for the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lrnet.discrete import AveragePool, Node, Operation, Parameters, Sign
from lrnet.graph import Shape, taps

Tensors = Mapping[str, NDArray[np.generic]]

MAX_THRESHOLD = 2**30
SMALLEST_FLOAT, LARGEST_FLOAT = 2.0**-64, 2.0**64


def parts(node: Node) -> tuple[str, ...]:
    """The tensors that a node has, without its name: `sign`, `mask`, …"""
    if isinstance(node, AveragePool):
        return ()
    if isinstance(node, Sign):
        return ("threshold",)
    planes = ("sign", "mask") if node.weights == "ternary" else ("sign",)
    return planes + (("threshold",) if node.output == "bits" else ("scale", "bias"))


def to_tensors(
    graph: Sequence[Node],
    members: Sequence[Mapping[str, Parameters]],
    shapes: Mapping[str, Shape],
) -> dict[str, NDArray[np.generic]]:
    """All nodes' tensors, `{node}.{part}`, each shared where every member has the same.

    Raises ValueError, naming the tensor, for a value that the format does not allow.
    """
    tensors: dict[str, NDArray[np.generic]] = {}
    for node in graph:
        own = [_pack_member(node, member[node.name], shapes[node.input]) for member in members]
        for part in parts(node):
            stacked = np.stack([tensors_of_member[part] for tensors_of_member in own])
            # Bytes, since 0 and -0 are equal and yet not the same.
            shared = len({entry.tobytes() for entry in stacked}) == 1
            tensors[f"{node.name}.{part}"] = stacked[:1] if shared else stacked
    return tensors


def from_tensors(
    graph: Sequence[Node], members: int, shapes: Mapping[str, Shape], tensors: Tensors
) -> tuple[Mapping[str, Parameters], ...]:
    """Every member's parameters: the inverse of `to_tensors`.

    Raises ValueError, naming the tensor, for a wrong type, shape or value.
    """
    own: list[dict[str, Parameters]] = [{} for _ in range(members)]
    for node in graph:
        source = shapes[node.input]
        present = {part: _checked(node, part, source, members, tensors) for part in parts(node)}
        if isinstance(node, Operation):
            _check_planes(node, taps(node, source), present)
        for index, member in enumerate(own):
            entry = {part: tensor[index if len(tensor) > 1 else 0] for part, tensor in present.items()}
            if isinstance(node, Operation):
                entry["weights"] = _unpack(entry.pop("sign"), entry.pop("mask", None), taps(node, source))
            member[node.name] = Parameters(**entry)
    return tuple(own)


def expected(node: Node, part: str, source: Shape) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    """Type and shape of one member's entry of a tensor, of a node that reads a value of the shape `source`."""
    if isinstance(node, Sign):
        return np.dtype(np.float32), source[2:]
    assert isinstance(node, Operation)
    if part in ("sign", "mask"):
        return np.dtype(np.uint8), (1, node.out, -(-taps(node, source) // 8))
    return np.dtype(np.int32 if part == "threshold" else np.float32), (node.out,)


def _pack_member(node: Node, parameters: Parameters, source: Shape) -> dict[str, NDArray[np.generic]]:
    packed: dict[str, NDArray[np.generic]] = {}
    if isinstance(node, Operation):
        packed = _pack_weights(node, parameters.weights, taps(node, source))
    for part in parts(node):
        if part in packed:
            continue
        values: NDArray[np.generic] | None = getattr(parameters, part)
        dtype, shape = expected(node, part, source)
        if values is None or values.dtype != dtype or values.shape != shape:
            raise ValueError(f"{node.name}.{part}: it is {dtype} {list(shape)}")
        _check_values(f"{node.name}.{part}", part, values)
        packed[part] = values
    return packed


def _pack_weights(
    operation: Operation, weights: NDArray[np.int8] | None, count: int
) -> dict[str, NDArray[np.generic]]:
    allowed = (-1, 1) if operation.weights == "binary" else (-1, 0, 1)
    if weights is None or weights.shape != (operation.out, count) or not np.isin(weights, allowed).all():
        raise ValueError(f"{operation.name}: weights are [{operation.out}, {count}], each one of {allowed}")
    return {
        "sign": np.packbits(weights > 0, axis=-1, bitorder="little")[None],
        "mask": np.packbits(weights != 0, axis=-1, bitorder="little")[None],
    }


def _checked(node: Node, part: str, source: Shape, members: int, tensors: Tensors) -> NDArray[np.generic]:
    path = f"{node.name}.{part}"
    if path not in tensors:
        raise ValueError(f"{path}: it is missing")
    tensor = tensors[path]
    dtype, shape = expected(node, part, source)
    if tensor.dtype != dtype or tensor.shape not in ((1, *shape), (members, *shape)):
        raise ValueError(
            f"{path}: it is {dtype} [1 or {members}, …{list(shape)}], not {tensor.dtype} {list(tensor.shape)}"
        )
    _check_values(path, part, tensor)
    return tensor


def _check_values(path: str, part: str, values: NDArray[np.generic]) -> None:
    if values.dtype == np.int32 and (np.abs(values.astype(np.int64)) > MAX_THRESHOLD).any():
        raise ValueError(f"{path}: a threshold lies within ±2^30")
    if part == "threshold" and not np.isfinite(values).all():
        raise ValueError(f"{path}: a threshold is finite")
    if part in ("scale", "bias"):
        magnitudes = np.abs(values.astype(np.float64))
        # Written so that a NaN, for which every comparison is false, is refused too.
        in_range = (magnitudes >= SMALLEST_FLOAT) & (magnitudes <= LARGEST_FLOAT)
        if not (in_range | (magnitudes == 0)).all():
            raise ValueError(f"{path}: a value is 0, or its magnitude is 2^-64 to 2^64")


def _check_planes(operation: Operation, count: int, tensors: Mapping[str, NDArray[np.generic]]) -> None:
    """Bits beyond the last tap are 0, and so are the signs of masked weights."""
    for part, tensor in _planes(tensors):
        if count % 8 and (tensor[..., -1] >> (count % 8)).any():
            raise ValueError(f"{operation.name}.{part}: a bit beyond the last weight is set")
    if "mask" in tensors:
        sign, mask = (tensor for _, tensor in _planes(tensors))
        if (sign & ~mask).any():
            raise ValueError(f"{operation.name}.sign: the sign of a masked weight is set")


def _planes(
    tensors: Mapping[str, NDArray[np.generic]],
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for part in ("sign", "mask"):
        if part in tensors:
            yield part, tensors[part].astype(np.uint8, copy=False)


def _unpack(sign: NDArray[np.generic], mask: NDArray[np.generic] | None, count: int) -> NDArray[np.int8]:
    def bits(plane: NDArray[np.generic]) -> NDArray[np.int8]:
        unpacked = np.unpackbits(
            plane[0].astype(np.uint8, copy=False), axis=-1, count=count, bitorder="little"
        )
        return unpacked.view(np.int8)

    signs = 2 * bits(sign) - 1
    return signs if mask is None else signs * bits(mask)
