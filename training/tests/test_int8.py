"""The int8 baseline: a file of the float one's interface, computed with integers, and little else than it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import residual_graph
from numpy.typing import NDArray
from onnx import numpy_helper

from lrnet.discrete import Input, Node, Operation
from lrnet.fused import fused
from lrnet.int8 import to_int8
from lrnet.networks import Activation, FloatNetwork
from lrnet.onnx import baseline_logits, to_image, to_onnx

IMAGE = Input(height=10, width=11, channels=3)
BODY = (
    Operation("conv1", "conv2d", "image", 16, "binary", kernel=3, padding=1, pool=2),
    Operation("conv2", "conv2d", "conv1", 24, "ternary", kernel=3, padding=1),
)
LINEAR = (
    *BODY,
    Operation("dense", "linear", "conv2", 20, "ternary"),
    Operation("logits", "linear", "dense", 4, "ternary", output="floats"),
)
WINDOW = (*BODY, Operation("logits", "conv2d", "conv2", 4, "ternary", output="floats", kernel=5))

EVEN = Input(height=8, width=12, channels=3)
RESIDUAL = residual_graph(widths=(16, 24), convolutions=2, classes=4, means=2)

FLOAT_KERNELS = {
    "Conv",
    "FusedConv",
    "Gemm",
    "FusedGemm",
    "MatMul",
    "Clip",
    "Relu",
    "MaxPool",
    "Pad",
    "Add",
    "AveragePool",
}


def float_file(graph: tuple[Node, ...], activation: Activation, image: Input = IMAGE) -> bytes:
    torch.manual_seed(5)
    network = FloatNetwork(image, graph, activation)
    for _ in range(20):
        network(torch.randint(-128, 128, (32, 3, image.height, image.width)).float())
    return to_onnx(fused(network.eval()), image)


def pixels(rows: int, seed: int = 0, image: Input = IMAGE) -> NDArray[np.uint8]:
    shape = (rows, image.height, image.width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def file() -> bytes:
    return float_file(LINEAR, "hardtanh")


@pytest.fixture(scope="module")
def int8(file: bytes) -> bytes:
    return to_int8(file, pixels(100)).file


@pytest.mark.parametrize(
    ("image", "graph"),
    [(IMAGE, LINEAR), (IMAGE, WINDOW), (EVEN, RESIDUAL)],
    ids=["linear head", "convolution as head", "residual"],
)
@pytest.mark.parametrize("activation", ["hardtanh", "relu"])
def test_its_logits_are_nearly_the_float_ones_for_any_number_of_rows(
    image: Input, graph: tuple[Node, ...], activation: Activation
) -> None:
    file = float_file(graph, activation, image)
    int8 = to_int8(file, pixels(100, image=image)).file
    images = pixels(17, seed=1, image=image)
    expected = baseline_logits(file, images)
    for rows in (1, 2, 17):
        actual = baseline_logits(int8, images[:rows])
        assert actual.shape == (rows, 4)
    error = np.sqrt(np.square(actual - expected).mean())
    assert 0 < error < 0.1 * expected.std()


@pytest.mark.parametrize(
    ("image", "graph", "counts"),
    [(IMAGE, LINEAR, (2, 2, 0)), (EVEN, RESIDUAL, (6, 1, 9))],
    ids=["chain", "residual"],
)
@pytest.mark.parametrize("activation", ["hardtanh", "relu"])
def test_every_sum_is_computed_with_integers(
    image: Input,
    graph: tuple[Node, ...],
    counts: tuple[int, int, int],
    activation: Activation,
    tmp_path: Path,
) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = onnxruntime.InferenceSession(
        to_int8(float_file(graph, activation, image), pixels(100, image=image)).file,
        options,
        providers=["CPUExecutionProvider"],
    )
    session.run(["logits"], {"image": to_image(pixels(2, image=image))})
    events = json.loads(Path(session.end_profiling()).read_text())
    kernels = [event["args"]["op_name"] for event in events if event["name"].endswith("_kernel_time")]
    assert tuple(map(kernels.count, ("QLinearConv", "QGemm", "QLinearAdd"))) == counts
    assert FLOAT_KERNELS.isdisjoint(kernels)


def test_input_and_output_are_those_of_the_float_file(file: bytes, int8: bytes) -> None:
    before, after = (onnx.load_from_string(each).graph for each in (file, int8))
    for (left,), (right,) in ((before.input, after.input), (before.output, after.output)):
        assert left.name == right.name
        assert left.type.tensor_type == right.type.tensor_type


def test_weights_have_a_scale_a_channel_activations_one_and_the_image_loses_nothing(int8: bytes) -> None:
    graph = onnx.load_from_string(int8).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scales = {name: arrays[name] for node in graph.node for name in node.input[1:2] if name in arrays}
    kinds: dict[str, set[tuple[int, ...]]] = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            value, scale, zero = node.input
            kind = str(arrays[zero].dtype)
            kinds.setdefault(kind, set()).add(scales[scale].shape)
            if value in arrays and kind == "int8":
                assert np.abs(arrays[value]).max(axis=tuple(range(1, arrays[value].ndim))).tolist() == [
                    127
                ] * len(arrays[value])
    assert kinds == {"int8": {(16,), (24,), (20,), (4,)}, "int32": {(16,), (24,), (20,), (4,)}, "uint8": {()}}
    assert (arrays["image_scale"], arrays["image_zero_point"]) == (1, 128)


def test_the_image_loses_nothing_where_calibration_saw_few_values(file: bytes) -> None:
    graph = onnx.load_from_string(to_int8(file, np.full((1, 10, 11, 3), 128, np.uint8)).file).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert (arrays["image_scale"], arrays["image_zero_point"]) == (1, 128)


def test_ranges_are_taken_from_all_over_the_images_and_from_500_at_most() -> None:
    file = float_file(LINEAR, "relu")
    dark, bright = np.zeros((999, 10, 11, 3), np.uint8), pixels(1)
    many = to_int8(file, np.concatenate([dark, bright]))
    two = to_int8(file, np.concatenate([dark[:1], bright]))
    assert (many.calibration_images, two.calibration_images) == (500, 2)
    assert many.file == two.file != to_int8(file, dark[:1]).file


def test_another_process_makes_the_same_bytes(file: bytes, int8: bytes, tmp_path: Path) -> None:
    (tmp_path / "float.onnx").write_bytes(file)
    np.save(tmp_path / "pixels.npy", pixels(100))
    program = (
        "import numpy, pathlib, sys; from lrnet.int8 import to_int8; folder = pathlib.Path(sys.argv[1]);"
        "file, images = (folder / 'float.onnx').read_bytes(), numpy.load(folder / 'pixels.npy');"
        "(folder / 'int8.onnx').write_bytes(to_int8(file, images).file)"
    )
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "2" else "2"
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (tmp_path / "int8.onnx").read_bytes() == int8


def test_the_file_holds_all_weights_and_no_note(int8: bytes) -> None:
    model = onnx.load_from_string(int8)
    assert all(not tensor.external_data for tensor in model.graph.initializer)
    assert not model.metadata_props
    assert not model.doc_string
    assert tempfile.gettempdir().encode() not in int8


@pytest.mark.parametrize("fails", [False, True])
def test_no_temporary_file_is_left(
    file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if fails:
        with pytest.raises(ValueError, match="No data is collected"):
            to_int8(file, pixels(0))
    else:
        to_int8(file, pixels(1))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_printed(
    file: bytes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    to_int8(file, pixels(3))
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
