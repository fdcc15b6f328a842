"""The float twin's ONNX file: it gives PyTorch's logits, for any number of rows, and says nothing of this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from networks import residual_graph

from lrnet.discrete import Input, Node, Operation
from lrnet.fused import fused
from lrnet.networks import Activation, FloatNetwork
from lrnet.onnx import baseline_logits, to_image, to_onnx

IMAGE = Input(height=8, width=12, channels=3)
GRAPH = (
    Operation("conv1", "conv2d", "image", 6, "binary", kernel=3, stride=2, padding=1),
    Operation("conv2", "conv2d", "conv1", 5, "ternary", kernel=2, padding=1, pool=2),
    Operation("dense", "linear", "conv2", 7, "ternary"),
    Operation("logits", "linear", "dense", 4, "ternary", output="floats"),
)
SQUARE = Input(height=8, width=8, channels=3)
WINDOW = (*GRAPH[:2], Operation("logits", "conv2d", "conv2", 4, "ternary", output="floats", kernel=2))
WINDOW_ON_LINEAR = (
    *GRAPH[:3],
    Operation("logits", "conv2d", "dense", 4, "ternary", output="floats", kernel=1),
)
RESIDUAL = residual_graph(widths=(4, 6), convolutions=2, classes=4, means=2)


def random_twin(graph: tuple[Node, ...], activation: Activation, image: Input = IMAGE) -> FloatNetwork:
    """Random weights, and batch norms and thresholds that have seen images, so that each of their numbers matters."""
    torch.manual_seed(5)
    network = FloatNetwork(image, graph, activation)
    for norm in network.norms:
        torch.nn.init.uniform_(norm.weight, -1.5, 1.5)
        torch.nn.init.uniform_(norm.bias, -1, 1)
    for threshold in network.thresholds:
        torch.nn.init.uniform_(threshold, -1, 1)
    for _ in range(20):
        network(torch.randint(-128, 128, (32, 3, image.height, image.width)).float())
    return network.eval()


@pytest.fixture(scope="module", params=["chain", "residual"])
def twin(request: pytest.FixtureRequest) -> FloatNetwork:
    return random_twin(GRAPH, "hardtanh") if request.param == "chain" else random_twin(RESIDUAL, "relu")


@pytest.fixture(scope="module")
def file(twin: FloatNetwork) -> bytes:
    return to_onnx(fused(twin), IMAGE)


@pytest.mark.parametrize("activation", ["hardtanh", "relu"])
@pytest.mark.parametrize(
    ("image", "graph"),
    [(IMAGE, GRAPH), (SQUARE, WINDOW), (IMAGE, WINDOW_ON_LINEAR), (IMAGE, RESIDUAL)],
    ids=["linear head", "convolution as head", "convolution behind a linear layer", "residual"],
)
def test_fused_layers_give_the_logits_of_the_twin(
    activation: Activation, image: Input, graph: tuple[Node, ...]
) -> None:
    twin = random_twin(graph, activation, image)
    before = {name: value.clone() for name, value in twin.state_dict().items()}
    pixels = torch.randint(-128, 128, (16, 3, image.height, image.width)).float()
    with torch.inference_mode():
        expected = twin(pixels)
        actual = fused(twin)(pixels)
    assert expected.std() > 0.1
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in twin.state_dict().items())


@pytest.mark.parametrize("activation", ["hardtanh", "relu"])
def test_a_file_has_no_batch_norm_no_border_and_no_activation_behind_a_pool(activation: Activation) -> None:
    clip = "Clip" if activation == "hardtanh" else "Relu"
    graph = onnx.load_from_string(to_onnx(fused(random_twin(GRAPH, activation)), IMAGE)).graph
    assert [node.op_type for node in graph.node] == [
        *("Conv", clip),
        *("Conv", clip, "MaxPool"),
        *("Reshape", "Gemm", clip),
        "Gemm",
    ]


@pytest.mark.parametrize("rows", [1, 2, 17])
def test_onnxruntime_gives_pytorchs_logits_for_any_number_of_rows(
    twin: FloatNetwork, file: bytes, rows: int
) -> None:
    pixels = np.random.default_rng(rows).integers(0, 256, (rows, 8, 12, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = twin(torch.from_numpy(to_image(pixels))).numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(baseline_logits(file, pixels), expected, rtol=1e-4, atol=1e-4)


def test_rows_do_not_depend_on_the_chunk_that_they_are_in(file: bytes) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 8, 12, 3), dtype=np.uint8)
    whole = baseline_logits(file, pixels)
    np.testing.assert_allclose(baseline_logits(file, pixels, chunk=2), whole, rtol=1e-5, atol=1e-5)


def test_input_and_output_are_named_and_shaped_as_the_format_says(file: bytes) -> None:
    graph = onnx.load_from_string(file).graph
    ((image,), (logits,)) = graph.input, graph.output
    assert (image.name, logits.name) == ("image", "logits")
    for value, sizes in ((image, [3, 8, 12]), (logits, [4])):
        rows, *rest = value.type.tensor_type.shape.dim
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        assert rows.dim_param != ""
        assert [axis.dim_value for axis in rest] == sizes


def test_the_same_weights_give_the_same_bytes(twin: FloatNetwork, file: bytes) -> None:
    assert to_onnx(fused(twin), IMAGE) == file


def test_the_file_holds_all_weights_and_no_path(file: bytes) -> None:
    model = onnx.load_from_string(file)
    assert all(not tensor.external_data for tensor in model.graph.initializer)
    assert b".py" not in file
    assert str(Path(__file__).parents[2]).encode() not in file


def test_a_pixel_becomes_its_byte_minus_128_and_channels_come_first() -> None:
    pixels = np.array([0, 128, 255, 1, 2, 3], dtype=np.uint8).reshape(1, 1, 2, 3)
    assert to_image(pixels).tolist() == [[[[-128, -127]], [[0, -126]], [[127, -125]]]]
