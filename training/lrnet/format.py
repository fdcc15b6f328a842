"""The model file, format xnord/1: safetensors whose `__metadata__` describes the network.

`write` makes the bytes of a model and `read` gives the model back, checked; what one accepts the other does.
The digest is the SHA-256 of the whole file in which its own 64 characters are zeros. It catches every flipped
bit and names the model.

A server takes what `read` takes, and weights of `shift`, which nothing here makes. One limit is its own: the memory of
a loaded model, which depends on how many threads it serves with.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from lrnet import strict_json
from lrnet.container import METADATA, read_container
from lrnet.discrete import AveragePool, DiscreteNetwork, Input, Node, Operation, Sign
from lrnet.graph import Shape, require_check_work, value_shapes
from lrnet.magnitude import require_moderate_floats
from lrnet.tensors import from_tensors, parts, to_tensors

FORMAT = "xnord/1"
MAX_HEADER, MAX_FILE = 2**20, 2**30
MAX_MEMBERS, MAX_LABEL_BYTES = 64, 256
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

_DIGEST = re.compile(rb'"digest":"([0-9a-f]{64})"')
_NO_DIGEST = "0" * 64
# What Python raises where JSON holds another type, key or value than the one used.
_WRONG_SHAPE = (ValueError, KeyError, TypeError, AttributeError, OverflowError)
_KEYS = (
    "format",
    "name",
    "input",
    "labels",
    "members",
    "defaultMembers",
    "graph",
    "calibration",
    "baseline",
    "provenance",
)


class FormatError(ValueError):
    """The bytes are no xnord/1 model; the message names the first thing wrong."""


@dataclass(frozen=True)
class Calibration:
    """temperature: entry k - 1 divides the logits when k members answer; fitted on `n` images of `split`."""

    temperature: tuple[float, ...]
    split: str
    n: int


@dataclass(frozen=True)
class Check:
    """What every backend must reproduce before it serves.

    image: uint8 [n, H, W, C], n = 8..64. digest: uint8 [K, operations, 32]. logits: float32 [K, n, classes].
    """

    image: NDArray[np.uint8]
    digest: NDArray[np.uint8]
    logits: NDArray[np.float32]


@dataclass(frozen=True)
class Model:
    """All that a model file holds. `baseline` is the SHA-256 of baseline.onnx, or None."""

    name: str
    network: DiscreteNetwork
    default_members: int
    calibration: Calibration
    baseline: str | None
    provenance: Mapping[str, Any]
    check: Check


def write(model: Model) -> bytes:
    """The bytes of a model file; equal models give equal bytes. Raises ValueError for what the format forbids."""
    network = model.network
    shapes = value_shapes(network.input, network.graph)
    tensors: dict[str, NDArray[np.generic]] = {
        **to_tensors(network.graph, network.members, shapes),
        "check.image": model.check.image,
        "check.digest": model.check.digest,
        "check.logits": model.check.logits,
    }
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    description = json.dumps(_describe(model), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    metadata = {"digest": _NO_DIGEST, "xnord": description}
    # The library puts tensors of 4 bytes an element first, and so they are aligned.
    blank = _with_ordered_metadata(safetensors.numpy.save(tensors, metadata))
    span = _digest_span(blank)
    data = blank[: span.start] + hashlib.sha256(blank).hexdigest().encode() + blank[span.stop :]
    read(data)
    return data


def read(data: bytes) -> Model:
    """The model in a file's bytes. Raises FormatError, naming the first thing wrong."""
    try:
        digest(data)
        metadata, tensors = read_container(data)
        _same_names(METADATA, metadata, ("xnord", "digest"))
        return _model(strict_json.parse(metadata["xnord"], "xnord"), tensors)
    except FormatError:
        raise
    except _WRONG_SHAPE as error:
        raise FormatError(f"{type(error).__name__}: {error}") from error


def digest(data: bytes) -> str:
    """The digest that a file names, 64 hexadecimal digits. Raises FormatError where the bytes do not have it."""
    span = _digest_span(data)
    named = data[span.start : span.stop].decode()
    content = hashlib.sha256(data[: span.start])
    content.update(_NO_DIGEST.encode())
    content.update(memoryview(data)[span.stop :])
    if content.hexdigest() != named:
        raise FormatError("digest: the file's bytes are not those that it names")
    return named


def _digest_span(data: bytes) -> slice:
    """Where the 64 digits stand. The description is a string in the header, its quotes escaped, and cannot match."""
    length = int.from_bytes(data[:8], "little")
    if not 8 <= len(data) <= MAX_FILE or length > min(MAX_HEADER, len(data) - 8):
        raise FormatError("header: its length is not that of a model file")
    matches = list(_DIGEST.finditer(data, 8, 8 + length))
    if len(matches) != 1:
        raise FormatError("digest: the header names exactly one")
    return slice(*matches[0].span(1))


def _with_ordered_metadata(data: bytes) -> bytes:
    """The same file with the keys of its metadata in order; the library's order changes from run to run."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


def _describe(model: Model) -> dict[str, Any]:
    image = model.network.input
    return {
        "format": FORMAT,
        "name": model.name,
        "input": {
            "height": image.height,
            "width": image.width,
            "channels": image.channels,
            "resize": image.resize,
        },
        "labels": list(model.network.labels),
        "members": len(model.network.members),
        "defaultMembers": model.default_members,
        "graph": [_describe_node(node) for node in model.network.graph],
        "calibration": {
            "temperature": list(model.calibration.temperature),
            "split": model.calibration.split,
            "n": model.calibration.n,
        },
        "baseline": None if model.baseline is None else {"sha256": model.baseline},
        "provenance": dict(model.provenance),
    }


def _describe_node(node: Node) -> dict[str, Any]:
    """An attribute that has its default is left out."""
    described: dict[str, Any] = {"name": node.name, "op": node.op, "input": node.input}
    if isinstance(node, Sign):
        return described
    if isinstance(node, AveragePool):
        return {**described, "size": node.size}
    described |= {"out": node.out, "weights": node.weights}
    if node.op == "conv2d":
        described["kernel"] = node.kernel
        for key, default in (("stride", 1), ("padding", 0), ("pool", 1)):
            if getattr(node, key) != default:
                described[key] = getattr(node, key)
    if node.output != "bits":
        described["output"] = node.output
    if node.add is not None:
        described["add"] = node.add
    return described


def _model(described: Mapping[str, Any], tensors: dict[str, NDArray[np.generic]]) -> Model:
    _same_names("xnord", described, _KEYS)
    _require(described["format"] == FORMAT, f"format: it is {FORMAT}")
    name = described["name"]
    named = isinstance(name, str) and NAME.fullmatch(name) is not None
    _require(named, "name: it matches [a-z0-9][a-z0-9._-]{0,63}")
    _require(isinstance(described["provenance"], dict), "provenance: it is an object")
    _same_names("input", described["input"], ("height", "width", "channels", "resize"))
    image = Input(**described["input"])
    _require(isinstance(described["graph"], list), "graph: it is a list")
    graph = tuple(_node(entry) for entry in described["graph"])
    for integer in (image.height, image.width, image.channels):
        _integer("input", integer, 1, 1024)
    shapes = value_shapes(image, graph)
    labels = _labels(described["labels"], shapes["logits"][2])
    members = _integer("members", described["members"], 1, MAX_MEMBERS)
    check = Check(*(tensors.get(f"check.{part}") for part in ("image", "digest", "logits")))
    _check_check(check, shapes["image"], len(graph), members, len(labels))
    require_check_work(graph, shapes, len(check.image), members)
    _same_names(
        "tensors",
        tensors,
        [f"{node.name}.{part}" for node in graph for part in parts(node)]
        + ["check.image", "check.digest", "check.logits"],
    )
    parameters = from_tensors(graph, members, shapes, tensors)
    require_moderate_floats(graph, shapes, parameters)
    return Model(
        name=name,
        network=DiscreteNetwork(image, labels, graph, parameters),
        default_members=_integer("defaultMembers", described["defaultMembers"], 1, members),
        calibration=_calibration(described["calibration"], members),
        baseline=_baseline(described["baseline"]),
        provenance=dict(described["provenance"]),
        check=check,
    )


_NODES: Mapping[str, tuple[type[Node], tuple[str, ...], tuple[str, ...]]] = {
    "conv2d": (Operation, ("out", "weights", "kernel"), ("stride", "padding", "pool", "output", "add")),
    "linear": (Operation, ("out", "weights"), ("output", "add")),
    "sign": (Sign, (), ()),
    "average_pool": (AveragePool, ("size",), ()),
}
"""For each op the class, and the keys that it has and may have beside name, op and input."""


def _node(entry: Mapping[str, Any]) -> Node:
    for key in ("name", "op", "input"):
        _require(isinstance(entry[key], str), f"graph: {key} is a string")
    name, op = entry["name"], entry["op"]
    _require(op in _NODES, f"graph: {name}: op {op!r} is unknown")
    kind, own, optional = _NODES[op]
    required = {"name", "op", "input", *own}
    if not required <= set(entry) <= required | set(optional):
        raise FormatError(f"graph: {name!r} has keys {sorted(entry)}")
    for key in ("weights", "output", "add"):
        _require(isinstance(entry.get(key, ""), str), f"graph: {name}.{key} is a string")
    for key in ("out", "kernel", "stride", "padding", "pool", "size"):
        if key in entry:
            _integer(f"graph: {name}.{key}", entry[key], 0, 4096)
    if kind is Operation:
        return Operation(**entry)
    return kind(**{key: value for key, value in entry.items() if key != "op"})


def _labels(labels: list[str], classes: int) -> tuple[str, ...]:
    _require(isinstance(labels, list), "labels: they are a list")
    _require(len(labels) == classes == len(set(labels)), "labels: one a class, all different")
    _require(all(isinstance(label, str) for label in labels), "labels: each is a string")
    short = all(len(label.encode()) <= MAX_LABEL_BYTES for label in labels)
    _require(short, f"labels: each has at most {MAX_LABEL_BYTES} bytes")
    return tuple(labels)


def _calibration(described: Mapping[str, Any], members: int) -> Calibration:
    _same_names("calibration", described, ("temperature", "split", "n"))
    temperature = described["temperature"]
    _require(
        isinstance(temperature, list)
        and len(temperature) == members
        and all(type(value) in (int, float) and 0 < value < np.inf for value in temperature),
        "calibration.temperature: a list of one positive number for each count of members",
    )
    _require(isinstance(described["split"], str), "calibration.split: it is a string")
    n = _integer("calibration.n", described["n"], 0, 2**53 - 1)
    return Calibration(tuple(map(float, temperature)), described["split"], n)


def _baseline(described: Mapping[str, Any] | None) -> str | None:
    if described is None:
        return None
    _same_names("baseline", described, ("sha256",))
    sha256 = described["sha256"]
    _require(re.fullmatch("[0-9a-f]{64}", sha256) is not None, "baseline.sha256: 64 digits")
    return str(sha256)


def _check_check(check: Check, image: Shape, operations: int, members: int, classes: int) -> None:
    n = len(check.image) if check.image is not None else 0
    _require(8 <= n <= 64, "check.image: there are 8 to 64")
    for part, tensor, dtype, shape in (
        ("image", check.image, np.uint8, (n, *image)),
        ("digest", check.digest, np.uint8, (members, operations, 32)),
        ("logits", check.logits, np.float32, (members, n, classes)),
    ):
        _require(
            tensor is not None and tensor.dtype == dtype and tensor.shape == shape,
            f"check.{part}: it is {np.dtype(dtype)} {list(shape)}",
        )


def _same_names(path: str, found: Mapping[str, object], wanted: Iterable[str]) -> None:
    unknown, missing = set(found) - set(wanted), set(wanted) - set(found)
    _require(not unknown, f"{path}: {sorted(unknown)} is unknown")
    _require(not missing, f"{path}: {sorted(missing)} is missing")


def _integer(path: str, value: object, smallest: int, largest: int) -> int:
    if type(value) is not int or not smallest <= value <= largest:
        raise FormatError(f"{path}: it is an integer, {smallest} to {largest}")
    return value


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise FormatError(message)
