"""The model file: what is written is read back, and nothing else is."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings, strategies
from make_fixture import FIXTURES, residual, tiny
from networks import networks, random_pixels

from lrnet import graph as lrnet_graph
from lrnet import reference
from lrnet.discrete import DiscreteNetwork, Input, Operation, Parameters
from lrnet.format import Calibration, Check, FormatError, Model, digest, read, write
from lrnet.graph import require_check_work, value_shapes


def model_of(network: DiscreteNetwork) -> Model:
    images = random_pixels(np.random.default_rng(0), network, 8)
    members = len(network.members)
    return Model(
        name="random",
        network=network,
        default_members=members,
        calibration=Calibration((1.0,) * members, "held-out", 8),
        baseline=None,
        provenance={},
        check=Check(images, *reference.check_vectors(network, images)),
    )


def header_of(data: bytes) -> dict[str, Any]:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def rebuilt(
    data: bytes,
    describe: Callable[[dict[str, Any]], None] = lambda described: None,
    change: Callable[[dict[str, Any]], None] = lambda tensors: None,
) -> bytes:
    """The file after a change of its description or tensors, its digest made right again."""
    described = json.loads(header_of(data)["__metadata__"]["xnord"])
    describe(described)
    tensors = {name: tensor.copy() for name, tensor in safetensors.numpy.load(data).items()}
    change(tensors)
    return sealed(safetensors.numpy.save(tensors, {"xnord": dumped(described), "digest": "0" * 64}))


def dumped(described: dict[str, Any]) -> str:
    text = json.dumps(described)
    deep = described.get("provenance")
    if isinstance(deep, dict) and isinstance(deep.get("deep"), Raw):
        text = text.replace(json.dumps(deep["deep"]), deep["deep"])
    return text


def sealed(blank: bytes) -> bytes:
    """A file whose digest is zeros, with the right one."""
    right = hashlib.sha256(blank).hexdigest().encode()
    return blank.replace(b'"digest":"' + b"0" * 64, b'"digest":"' + right, 1)


@pytest.fixture(scope="module")
def tiny_bytes() -> bytes:
    return write(tiny())


@pytest.fixture(scope="module")
def residual_bytes() -> bytes:
    return write(residual())


def same_parameters(left: Parameters, right: Parameters) -> bool:
    for field in dataclasses.fields(Parameters):
        a, b = getattr(left, field.name), getattr(right, field.name)
        if (a is None) != (b is None):
            return False
        if a is not None and (a.dtype != b.dtype or a.tobytes() != b.tobytes()):
            return False
    return True


@settings(max_examples=40, deadline=None)
@given(networks())
def test_a_network_that_is_written_is_read_back_to_the_bit(network: DiscreteNetwork) -> None:
    model = model_of(network)
    found = read(write(model))
    assert found.network.input == network.input
    assert found.network.labels == network.labels
    assert found.network.graph == network.graph
    for member, original in zip(found.network.members, network.members, strict=True):
        assert list(member) == [node.name for node in network.graph]
        for name, parameters in member.items():
            assert same_parameters(parameters, original[name])
    for part in ("image", "digest", "logits"):
        assert (getattr(found.check, part) == getattr(model.check, part)).all()


def test_everything_beside_the_network_is_read_back(tiny_bytes: bytes) -> None:
    found, model = read(tiny_bytes), tiny()
    for field in ("name", "default_members", "calibration", "baseline", "provenance"):
        assert getattr(found, field) == getattr(model, field)


def test_the_same_model_gives_the_same_bytes(tiny_bytes: bytes) -> None:
    assert all(write(tiny()) == tiny_bytes for _ in range(4))


def test_the_digest_is_that_of_the_file_with_zeros_in_its_place(tiny_bytes: bytes) -> None:
    named = header_of(tiny_bytes)["__metadata__"]["digest"]
    assert tiny_bytes.count(named.encode()) == 1
    zeroed = tiny_bytes.replace(named.encode(), b"0" * 64)
    assert hashlib.sha256(zeroed).hexdigest() == named == digest(tiny_bytes)


def test_tensors_of_four_bytes_are_aligned(tiny_bytes: bytes) -> None:
    start = 8 + int.from_bytes(tiny_bytes[:8], "little")
    entries = {name: entry for name, entry in header_of(tiny_bytes).items() if name[0] != "_"}
    wide = [entry for entry in entries.values() if entry["dtype"] != "U8"]
    assert len(wide) == 8
    assert all((start + entry["data_offsets"][0]) % 4 == 0 for entry in wide)


def test_a_tensor_that_all_members_share_is_stored_once(tiny_bytes: bytes) -> None:
    header = header_of(tiny_bytes)
    assert header["conv1.sign"]["shape"] == [1, 1, 70, 4]
    assert header["conv1.threshold"]["shape"] == [3, 70]
    assert header["conv2.sign"]["shape"] == [3, 1, 33, 79]


def test_members_that_differ_in_the_sign_of_a_zero_share_nothing() -> None:
    model = tiny()
    head = model.network.members[1]["logits"]
    scale = head.scale.copy()
    assert scale[0] == 0
    scale[0] = -0.0
    members = list(model.network.members)
    members[1] = dict(members[1]) | {"logits": dataclasses.replace(head, scale=scale)}
    network = dataclasses.replace(model.network, members=tuple(members))
    found = read(write(model_of(network)))
    assert np.signbit(found.network.members[1]["logits"].scale[0])
    assert not np.signbit(found.network.members[0]["logits"].scale[0])


def test_taps_are_packed_from_the_lowest_bit_without_padding(tiny_bytes: bytes) -> None:
    weights = tiny().network.members[1]["conv2"].weights
    tensors = safetensors.numpy.load(tiny_bytes)
    for tap in (0, 7, 8, 77, 629):
        sign, mask = (
            tensors[f"conv2.{part}"][1, 0, :, tap >> 3] >> (tap & 7) & 1 for part in ("sign", "mask")
        )
        assert (sign == (weights[:, tap] == 1)).all()
        assert (mask == (weights[:, tap] != 0)).all()


def test_every_byte_that_is_changed_is_noticed() -> None:
    model = tiny()
    first = dataclasses.replace(model.network, members=model.network.members[:1])
    data = bytearray(write(model_of(first)))
    generator = np.random.default_rng(11)
    for position in range(len(data)):
        original = data[position]
        data[position] ^= int(generator.integers(1, 256))
        with pytest.raises(FormatError):
            digest(bytes(data))
        data[position] = original
    digest(bytes(data))


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 1024, 4096, 30_000])
def test_a_file_cut_short_is_refused(tiny_bytes: bytes, length: int) -> None:
    with pytest.raises(FormatError):
        read(tiny_bytes[:length])


@pytest.mark.parametrize(
    ("length", "message"),
    [(2**63, "header"), (2**20 + 8, "header"), (0, "digest"), (2, "digest")],
)
def test_a_header_of_another_length_is_refused(tiny_bytes: bytes, length: int, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(length.to_bytes(8, "little") + tiny_bytes[8:])


def nested(depth: int) -> Raw:
    """Lists within lists, written out, since `json` itself stops at some depth."""
    return Raw("[" * depth + "]" * depth)


class Raw(str):
    """JSON as it shall stand in the file."""


def put(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Sets an entry, its path written with dots."""

    def change(described: dict[str, Any]) -> None:
        *path, last = (int(step) if step.isdigit() else step for step in key.split("."))
        for step in path:
            described = described[step]
        described[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("format", "xnord/2"), "format"),
        (put("surprise", 1), "surprise"),
        (put("name", "../mnist"), "name"),
        (put("name", 5), "name"),
        (put("labels", ["a"]), "labels"),
        (put("labels", ["a", "a", "b", "c", "d"]), "labels"),
        (put("labels", ["a", "é" * 129, "b", "c", "d"]), "labels"),
        (put("labels", ["a", 1, "b", "c", "d"]), "labels"),
        (put("labels", "abcde"), "labels: they are a list"),
        (put("labels", dict.fromkeys("abcde")), "labels: they are a list"),
        (put("members", 0), "members"),
        (put("members", 65), "members"),
        (put("members", 2), "check.digest"),
        (put("members", True), "members"),
        (put("defaultMembers", 4), "defaultMembers"),
        (put("input.height", 0), "input"),
        (put("input.height", 13.5), "input"),
        (put("input.height", True), "input"),
        (put("input", {"height": 13, "width": 11, "channels": 3}), "input: .*resize.* is missing"),
        (put("input", ["height", "width", "channels", "resize"]), "TypeError"),
        (put("input.resize", "tile"), "resize"),
        (put("input.depth", 1), "depth"),
        (put("graph", []), "graph"),
        (put("graph.0.kernel", 8), "conv1"),
        (put("graph.0.kernel", 2**40), "conv1"),
        (put("graph.0.padding", 3), "conv1"),
        (put("graph.0.input", "conv2"), "conv1"),
        (put("graph.0.speed", 3), "graph"),
        (put("graph.1.name", "conv1"), "conv1"),
        (put("graph.1.weights", "octal"), "conv2"),
        (put("graph.1.out", 34), "conv2.sign"),
        (put("graph.2.op", "sign"), "graph"),
        (put("graph.4.pool", 2), "graph"),
        (put("graph.5.output", "bits"), "logits"),
        (put("graph.5.name", "last"), "logits"),
        (put("calibration.temperature", [1, 1]), "temperature"),
        (put("calibration.temperature", [1, 1, 0]), "temperature"),
        (put("calibration.temperature", ["1", "1", "1"]), "temperature"),
        (put("calibration.temperature", [True, True, True]), "temperature"),
        (put("calibration.temperature", "111"), "temperature"),
        (put("calibration.temperature", {"1": 1, "2": 1, "3": 1}), "temperature"),
        (put("calibration.n", -1), "calibration.n"),
        (put("calibration.n", 2**53), "calibration.n"),
        (put("graph", {}), "graph"),
        (put("provenance.words", "\ud800"), "surrogate"),
        (put("provenance.\udfff", 1), "surrogate"),
        (put("provenance.__proto__", 1), "__proto__"),
        (put("provenance.deep", nested(31)), "deeper than 32"),
        (put("provenance.deep", nested(100_000)), "deeper than 32"),
        (put("baseline", {"sha256": "ab"}), "baseline"),
        (put("provenance", None), "provenance"),
        (put("provenance.seed", float("nan")), "NaN"),
    ],
)
def test_a_description_that_breaks_a_rule_is_refused(
    tiny_bytes: bytes, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        read(rebuilt(tiny_bytes, describe=change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("graph.1.op", "signs"), "s0.0: op 'signs' is unknown"),
        (put("graph.1.op", ["sign"]), "graph: op is a string"),
        (put("graph.1.out", 9), "'s0.0' has keys"),
        (put("graph.1.threshold", 0), "'s0.0' has keys"),
        (put("graph.1.input", "image"), "s0.0: its input is pixels, not floats"),
        (put("graph.2.add", "s0.0"), "x0.0: 's0.0', which it adds, is not floats"),
        (put("graph.2.add", "x0.0"), "x0.0: no earlier value is called 'x0.0'"),
        (put("graph.2.add", None), "x0.0.add is a string"),
        (put("graph.2.add", ["stem"]), "x0.0.add is a string"),
        (put("graph.2.output", None), "x0.0.output is a string"),
        (put("graph.2.output", "bits"), "x0.0: add goes with floats only"),
        (put("graph.2.shifts", [0]), "'x0.0' has keys"),
        (put("graph.2.weights", "shift"), "x0.0: weights are binary or ternary"),
        (put("graph.2.size", 1), "'x0.0' has keys"),
        (put("graph.5.size", 3), "d1.0: a size of 3 does not divide 8 x 8"),
        (put("graph.5.size", 0), r"d1.0: size is 1\.\.1024"),
        (put("graph.5.size", 2.5), "d1.0.size: it is an integer"),
        (put("graph.5.stride", 2), "'d1.0' has keys"),
        (put("graph.13.output", "bits"), "logits: sums of floats give floats"),
        (put("graph.13.kernel", 1), "'logits' has keys"),
    ],
)
def test_a_residual_graph_that_breaks_a_rule_is_refused(
    residual_bytes: bytes, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        read(rebuilt(residual_bytes, describe=change))


def test_attributes_at_their_defaults_are_left_out(residual_bytes: bytes) -> None:
    graph = json.loads(header_of(residual_bytes)["__metadata__"]["xnord"])["graph"]
    assert graph[1] == {"name": "s0.0", "op": "sign", "input": "stem"}
    assert graph[5] == {"name": "d1.0", "op": "average_pool", "input": "x0.1", "size": 2}
    assert graph[2] == {
        "name": "x0.0",
        "op": "conv2d",
        "input": "s0.0",
        "out": 9,
        "weights": "ternary",
        "kernel": 3,
        "padding": 1,
        "output": "floats",
        "add": "stem",
    }


def test_a_sign_has_a_threshold_and_a_mean_has_no_tensor(residual_bytes: bytes) -> None:
    header = header_of(residual_bytes)
    assert {name for name in header if name.startswith(("s1.1.", "means."))} == {"s1.1.threshold"}
    assert (header["s1.1.threshold"]["dtype"], header["s1.1.threshold"]["shape"]) == ("F32", [2, 18])
    assert header["s0.1.threshold"]["shape"] == [1, 9]


def test_check_vectors_cost_what_the_format_says() -> None:
    graph = (
        Operation("conv1", "conv2d", "image", 3, "binary", kernel=3, padding=1),
        Operation("conv2", "conv2d", "conv1", 20, "ternary", kernel=3, padding=1, pool=2),
        Operation("dense", "linear", "conv1", 17, "binary"),
        Operation("logits", "linear", "conv2", 5, "binary", "floats"),
    )
    shapes = value_shapes(Input(5, 5, 1), graph)
    # conv1: 25 * 16 sums of 3 groups, 25 * 8 bytes: 600 + 1,600. conv2: 16 * 32 sums of 3 words, 4 * 8 bytes:
    # 1,536 + 256. dense: 32 sums of 5 * 2 words, 8 bytes: 320 + 64. logits: 16 sums of 2 words, 20 bytes: 32 + 160.
    # 2^37 over all that:
    require_check_work(graph, shapes, 30_087_336, 1)
    with pytest.raises(ValueError, match="check: its vectors take"):
        require_check_work(graph, shapes, 30_087_337, 1)


def test_pixels_are_one_line_to_a_linear_operation_whoever_reads_them_padded() -> None:
    graph = (
        Operation("conv1", "conv2d", "image", 3, "binary", kernel=3, padding=1),
        Operation("logits", "linear", "image", 1, "binary", "floats"),
    )
    shapes = value_shapes(Input(5, 5, 1), graph)
    # 600 + 1,600 as above, and 16 sums of 7 groups, 4 bytes: 56 + 32.
    members = 2**37 // 2288
    require_check_work(graph, shapes, 1, members)
    with pytest.raises(ValueError, match="check: its vectors take"):
        require_check_work(graph, shapes, 1, members + 1)


def test_a_model_whose_check_vectors_take_too_long_is_refused(
    tiny_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lrnet_graph, "MAX_CHECK_WORK", 1000)
    with pytest.raises(FormatError, match="check: its vectors take"):
        read(tiny_bytes)


@pytest.mark.parametrize("text", ["13.0", "1.3e1", "130e-1"])
def test_an_integer_may_be_written_as_any_number_that_is_one(tiny_bytes: bytes, text: str) -> None:
    assert read(described_as(tiny_bytes, '"height": 13,', f'"height": {text},')).network.input.height == 13


def test_a_key_that_is_there_twice_is_refused(tiny_bytes: bytes) -> None:
    with pytest.raises(FormatError, match="twice"):
        read(described_as(tiny_bytes, '"height": 13,', '"height": 13, "height": 13,'))


def test_nesting_of_32_is_read(tiny_bytes: bytes) -> None:
    assert "deep" in read(rebuilt(tiny_bytes, describe=put("provenance.deep", nested(30)))).provenance


def described_as(data: bytes, old: str, new: str) -> bytes:
    """The file with other text in its description."""
    header = header_of(data)["__metadata__"]
    text = json.dumps(json.loads(header["xnord"]))
    assert text.count(old) == 1
    tensors = safetensors.numpy.load(data)
    return sealed(safetensors.numpy.save(tensors, {"xnord": text.replace(old, new), "digest": "0" * 64}))


def with_header(data: bytes, change: Callable[[str], str], body: bytes | None = None) -> bytes:
    """The file with another header, its digest made right again."""
    end = 8 + int.from_bytes(data[:8], "little")
    named = header_of(data)["__metadata__"]["digest"]
    text = change(data[8:end].decode().replace(named, "0" * 64)).encode()
    return sealed(len(text).to_bytes(8, "little") + text + (data[end:] if body is None else body))


def test_a_header_that_is_only_written_otherwise_is_read(tiny_bytes: bytes) -> None:
    assert read(with_header(tiny_bytes, lambda text: text + "  ")).name == "tiny"
    floats = with_header(tiny_bytes, lambda text: text.replace('"shape":[1,1,70,4]', '"shape":[1.0,1,7e1,4]'))
    assert read(floats).name == "tiny"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: " " + text, "begin"),
        (lambda text: text.replace('"dtype":"U8"', '"dtype":"U8","dtype":"U8"', 1), "twice"),
        (lambda text: text.replace('"dtype":"U8"', '"dtype":"I8"', 1), "dtype"),
        (lambda text: text.replace('"dtype":"U8"', '"dtype":"U8","more":1', 1), "dtype, shape"),
        (lambda text: text.replace('"shape":[1,1,70,4]', '"shape":[1,1,70,true]'), "lengths"),
        (lambda text: text.replace('"shape":[1,1,70,4]', '"shape":[1,1,70,5]'), "data_offsets"),
        (lambda text: text.replace("{", '{"__proto__":1,', 1), "__proto__"),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(
    tiny_bytes: bytes, change: Callable[[str], str], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        read(with_header(tiny_bytes, change))


def test_bytes_before_numbers_of_four_bytes_are_refused(tiny_bytes: bytes) -> None:
    header = header_of(tiny_bytes)
    start = 8 + int.from_bytes(tiny_bytes[:8], "little")
    metadata = header.pop("__metadata__")
    swapped, body = {"__metadata__": metadata | {"digest": "0" * 64}}, b""
    for name in sorted(header, key=lambda name: header[name]["dtype"] != "U8"):
        first, end = header[name]["data_offsets"]
        content = tiny_bytes[start + first : start + end]
        swapped[name] = header[name] | {"data_offsets": [len(body), len(body) + len(content)]}
        body += content
    text = json.dumps(swapped, separators=(",", ":"))
    with pytest.raises(FormatError, match="after a tensor of bytes"):
        read(with_header(tiny_bytes, lambda _: text, body))


@pytest.mark.parametrize(
    "provenance",
    [
        {"__proto__": 1},
        {"half": "\ud800"},
        {"deep": json.loads("[" * 31 + "]" * 31)},
        {1: 0, "1": 0},
        {"x": 2e999},
    ],
)
def test_what_the_server_refuses_is_not_written(provenance: dict[Any, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - UTF-8, JSON and the format each say it in words of their own
        write(dataclasses.replace(tiny(), provenance=provenance))


@pytest.mark.parametrize(
    "calibration",
    [Calibration((1.0, 1.0, True), "held-out", 8), Calibration((1.0,) * 3, "held-out", 2**53)],
)
def test_a_calibration_that_the_server_refuses_is_not_written(calibration: Calibration) -> None:
    with pytest.raises(FormatError, match="calibration"):
        write(dataclasses.replace(tiny(), calibration=calibration))


def put_value(name: str, index: tuple[int, ...], value: float) -> Callable[[dict[str, Any]], None]:
    def change(tensors: dict[str, Any]) -> None:
        tensors[name][index] = value

    return change


def remove(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda tensors: tensors.pop(name)


def cast(name: str, dtype: type[np.generic]) -> Callable[[dict[str, Any]], None]:
    return lambda tensors: tensors.update({name: tensors[name].astype(dtype)})


def reshape(name: str, shape: tuple[int, ...]) -> Callable[[dict[str, Any]], None]:
    return lambda tensors: tensors.update({name: tensors[name].reshape(shape)})


def add(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda tensors: tensors.update({name: np.zeros(1, dtype=np.uint8)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put_value("logits.scale", (0, 1), np.nan), "logits.scale"),
        (put_value("logits.bias", (0, 1), np.inf), "logits.bias"),
        (put_value("logits.scale", (0, 1), 2.0**-65), "logits.scale"),
        (put_value("logits.scale", (0, 1), 2.0**65), "logits.scale"),
        (put_value("conv2.threshold", (1, 5), 2**30 + 1), "conv2.threshold"),
        (put_value("conv2.threshold", (1, 5), -(2**31)), "conv2.threshold"),
        (put_value("conv2.sign", (2, 0, 1, 78), 64), "conv2.sign: a bit beyond"),
        (put_value("conv2.mask", (2, 0, 1, 78), 64), "conv2.mask: a bit beyond"),
        (put_value("conv2.sign", (0, 0, 1, 0), 1), "conv2.sign: the sign of a masked"),
        (remove("conv3.sign"), "conv3.sign"),
        (remove("check.image"), "check.image"),
        (add("conv3.mask"), "conv3.mask"),
        (add("surprise"), "surprise"),
    ],
)
def test_tensors_that_break_a_rule_are_refused(
    tiny_bytes: bytes, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        read(rebuilt(tiny_bytes, change=change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put_value("s1.0.threshold", (0, 1), np.nan), "s1.0.threshold: a threshold is finite"),
        (put_value("s1.0.threshold", (1, 8), -np.inf), "s1.0.threshold: a threshold is finite"),
        (put_value("x0.0.scale", (0, 1), 2.0**65), "x0.0.scale"),
        (remove("s1.0.threshold"), "s1.0.threshold"),
        (add("s1.0.sign"), "s1.0.sign"),
        (add("means.scale"), "means.scale"),
        (cast("s1.0.threshold", np.int32), "s1.0.threshold: it is float32"),
        (reshape("s1.0.threshold", (1, 18)), "s1.0.threshold: it is float32"),
    ],
)
def test_tensors_of_floats_that_break_a_rule_are_refused(
    residual_bytes: bytes, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        read(rebuilt(residual_bytes, change=change))


def test_thresholds_of_a_sign_may_be_any_finite_floats(residual_bytes: bytes) -> None:
    smallest, largest = np.float32(2.0**-149), np.finfo(np.float32).max

    def change(tensors: dict[str, Any]) -> None:
        tensors["s1.0.threshold"][0, :2] = smallest, largest

    found = read(rebuilt(residual_bytes, change=change)).network.members[0]["s1.0"].threshold
    assert found is not None
    assert found[:2].tolist() == [smallest, largest]


@pytest.mark.parametrize(
    ("node", "parameters"),
    [
        ("s0.0", Parameters()),
        ("s0.0", Parameters(threshold=np.zeros(8, dtype=np.float32))),
        ("s0.0", Parameters(threshold=np.zeros(9, dtype=np.int32))),
        ("x0.0", Parameters()),
    ],
)
def test_a_member_that_lacks_what_its_graph_needs_is_not_written(node: str, parameters: Parameters) -> None:
    model = residual()
    members = tuple({**member, node: parameters} for member in model.network.members)
    with pytest.raises(ValueError, match=rf"{node}(\.threshold)?: "):
        write(dataclasses.replace(model, network=dataclasses.replace(model.network, members=members)))


def test_a_weight_outside_the_alphabet_is_not_written() -> None:
    model = tiny()
    model.network.members[2]["conv1"].weights[3, 3] = 0
    with pytest.raises(ValueError, match="conv1"):
        write(model)


JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(),
    lambda inner: (
        strategies.lists(inner) | strategies.dictionaries(strategies.sampled_from(("a", "op")), inner)
    ),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(strategies.data())
def test_any_other_value_in_the_description_is_refused_or_read_and_nothing_else(
    tiny_bytes: bytes, residual_bytes: bytes, data: strategies.DataObject
) -> None:
    def replace(described: dict[str, Any]) -> None:
        """Follows keys to a random depth, and puts a random value there."""
        place: Any = described
        while True:
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            key = data.draw(strategies.sampled_from(keys))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or data.draw(strategies.booleans()):
                place[key] = data.draw(JSON)
                return
            place = inner

    file = rebuilt(data.draw(strategies.sampled_from((tiny_bytes, residual_bytes))), describe=replace)
    try:
        model = read(file)
    except FormatError:
        return
    assert read(write(model)).network.graph == model.network.graph


@settings(max_examples=200, deadline=None)
@given(strategies.data())
def test_a_header_with_any_other_bytes_is_refused_or_read_and_nothing_else(
    tiny_bytes: bytes, data: strategies.DataObject
) -> None:
    changed = bytearray(tiny_bytes)
    end = 8 + int.from_bytes(tiny_bytes[:8], "little")
    for _ in range(data.draw(strategies.integers(1, 4))):
        changed[data.draw(strategies.integers(8, end - 1))] = data.draw(
            strategies.sampled_from(b'0123456789{}[]",:Ia\\')
        )
    named = re.search(rb'"digest":"([0-9a-f]{64})"', changed)
    if named is not None:
        changed[slice(*named.span(1))] = b"0" * 64
        changed[slice(*named.span(1))] = hashlib.sha256(changed).hexdigest().encode()
    with contextlib.suppress(FormatError):
        read(bytes(changed))


@pytest.mark.parametrize("name", FIXTURES)
def test_the_committed_fixture_is_what_its_script_writes(name: str) -> None:
    fixture = Path(__file__).parents[2] / "test" / "fixtures" / f"{name}.safetensors"
    assert fixture.read_bytes() == write(FIXTURES[name]())
