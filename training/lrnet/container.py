"""The container of a model file: safetensors, restricted to what xnord/1 uses.

u64 header length N | N bytes of JSON, padded with spaces | tensors, end to end, those of four bytes first
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrnet import strict_json

LENGTH_BYTES = 8
METADATA = "__metadata__"

_DTYPES: Mapping[str, np.dtype[Any]] = {
    "U8": np.dtype("u1"),
    "I32": np.dtype("<i4"),
    "F32": np.dtype("<f4"),
}


def read_container(data: bytes) -> tuple[Mapping[str, Any], dict[str, NDArray[np.generic]]]:
    """The metadata and the tensors, which are views of `data`, whose header must be known to lie within it.

    Raises ValueError, naming the tensor.
    """
    begin = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")
    text = data[LENGTH_BYTES:begin].decode("utf-8")
    if not text.startswith("{"):
        raise ValueError("header: it does not begin with {")
    header = strict_json.parse(text, "header")
    metadata = header.pop(METADATA, None)
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{METADATA}: it is an object of strings")
    entries = [(name, *_entry(name, entry)) for name, entry in header.items()]
    tensors: dict[str, NDArray[np.generic]] = {}
    reached, width = 0, 4
    for name, dtype, shape, first, end in sorted(entries, key=lambda entry: entry[3:]):
        if first != reached:
            raise ValueError(f"{name}: it does not begin where the tensor before it ends")
        if dtype.itemsize > width:
            raise ValueError(f"{name}: it comes after a tensor of bytes")
        if begin + end > len(data):
            raise ValueError(f"{name}: the file ends within it")
        reached, width = end, dtype.itemsize
        values = np.frombuffer(data, dtype, count=math.prod(shape), offset=begin + first)
        tensors[name] = values.reshape(shape)
    if begin + reached != len(data):
        raise ValueError(f"header: the tensors end {len(data) - begin - reached} bytes before the file")
    return metadata, tensors


def _entry(name: str, entry: object) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name}: it has dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"{name}: its dtype is not U8, I32 or F32")
    if not (_lengths(shape) and _lengths(offsets) and len(offsets) == 2):
        raise ValueError(f"{name}: its shape or its data_offsets are not lengths")
    first, end = offsets
    if end - first != math.prod(shape) * _DTYPES[dtype].itemsize:
        raise ValueError(f"{name}: its shape needs other data_offsets")
    return _DTYPES[dtype], tuple(shape), first, end


def _lengths(value: object) -> bool:
    return isinstance(value, list) and all(type(length) is int and 0 <= length <= 2**30 for length in value)
