"""Named networks against the model format's table."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from lrnet.architectures import Architecture, build
from lrnet.discrete import AveragePool, Input, Operation, Sign
from lrnet.graph import taps, value_shapes
from lrnet.run import RunError, read_run, to_run

RUNS = Path(__file__).parent.parent / "runs"
CIFAR = Input(32, 32, 3)


def outputs(name: str, image: Input, width: float = 1.0) -> list[int]:
    graph = build(Architecture(name, "ternary", width), image, 10)
    return [node.out for node in graph if isinstance(node, Operation)]


def test_lenet_is_the_network_that_mnist_was_trained_with() -> None:
    run, _ = read_run(RUNS / "mnist.toml")
    assert build(Architecture("lenet", "ternary"), run.input, 10) == run.graph


def test_a_perceptron_has_three_hidden_layers_of_1024() -> None:
    graph = build(Architecture("perceptron", "binary"), Input(28, 28, 1), 7)
    assert [node.op for node in graph] == ["linear"] * 4
    assert [node.out for node in graph] == [1024, 1024, 1024, 7]
    value_shapes(Input(28, 28, 1), graph)


def test_vgg_small_halves_the_image_three_times() -> None:
    graph = build(Architecture("vgg-small", "ternary"), CIFAR, 10)
    shapes = value_shapes(CIFAR, graph)
    assert list(shapes.values())[1:] == [
        *((32, 32, 128), (16, 16, 128), (16, 16, 256), (8, 8, 256), (8, 8, 512), (4, 4, 512)),
        (1, 1, 10),
    ]
    assert [node.name for node in graph] == [*(f"conv{index}" for index in range(1, 7)), "logits"]


def test_resnet_18_is_the_one_of_the_format() -> None:
    graph = build(Architecture("resnet-18", "ternary"), CIFAR, 10)
    shapes = value_shapes(CIFAR, graph)
    # A stem, sixteen convolutions with a sign each, three ways down of a mean, a sign and a convolution, the end.
    assert len(graph) == 1 + 2 * 16 + 3 * 3 + 2
    nodes = {node.name: node for node in graph}
    three = {"kernel": 3, "padding": 1}
    for node in (
        Operation("stem", "conv2d", "image", 64, "ternary", "floats", **three),
        Sign("stage1.sign1", "stem"),
        Operation("stage1.conv1", "conv2d", "stage1.sign1", 64, "ternary", "floats", add="stem", **three),
        AveragePool("stage2.mean", "stage1.conv4", 2),
        Sign("stage2.mean_sign", "stage2.mean"),
        Operation("stage2.shortcut", "conv2d", "stage2.mean_sign", 128, "ternary", "floats"),
        Sign("stage2.sign1", "stage1.conv4"),
        Operation(
            *("stage2.conv1", "conv2d", "stage2.sign1", 128, "ternary", "floats"),
            stride=2,
            add="stage2.shortcut",
            **three,
        ),
        AveragePool("mean", "stage4.conv4", 4),
        Operation("logits", "linear", "mean", 10, "ternary", "floats"),
    ):
        assert nodes[node.name] == node
    assert shapes["stage4.conv4"] == (4, 4, 512)
    weights = sum(node.out * taps(node, shapes[node.input]) for node in graph if isinstance(node, Operation))
    assert (
        weights
        == 27 * 64 + 4 * 9 * 64**2 + sum((2 + 9 * 2 + 3 * 9 * 4) * c**2 for c in (64, 128, 256)) + 5120
    )


@pytest.mark.parametrize("name", ["lenet", "perceptron", "vgg-small", "resnet-18"])
@pytest.mark.parametrize("weights", ["binary", "ternary"])
def test_all_layers_have_the_kind_of_weights_that_is_asked_for(name: str, weights: str) -> None:
    graph = build(Architecture(name, weights), CIFAR, 10)
    assert {node.weights for node in graph if isinstance(node, Operation)} == {weights}


def test_a_width_scales_channels_to_multiples_of_8_and_no_less() -> None:
    assert outputs("lenet", CIFAR, 0.5) == [16, 32, 256, 10]
    assert outputs("lenet", CIFAR, 0.4) == [16, 24, 208, 10]
    assert outputs("lenet", CIFAR, 0.01) == [8, 8, 8, 10]
    assert outputs("vgg-small", CIFAR, 2) == [256, 256, 512, 512, 1024, 1024, 10]


@pytest.mark.parametrize("width", [0.0, -1.0, 8.1, math.inf, math.nan])
def test_a_width_that_cannot_be_is_refused(width: float) -> None:
    with pytest.raises(ValueError, match="width is over 0 and at most 8"):
        build(Architecture("lenet", "binary", width), CIFAR, 10)


@pytest.mark.parametrize("name", ["vgg-small", "resnet-18"])
@pytest.mark.parametrize("sides", [(28, 28), (32, 36), (4, 32)])
def test_a_size_that_does_not_halve_three_times_is_refused(name: str, sides: tuple[int, int]) -> None:
    with pytest.raises(
        ValueError, match=f"three times, which needs multiples of 8, not {sides[0]} x {sides[1]}"
    ):
        build(Architecture(name, "binary"), Input(*sides, 1), 10)


def test_lenet_needs_16_pixels() -> None:
    value_shapes(Input(16, 17, 1), build(Architecture("lenet", "binary"), Input(16, 17, 1), 10))
    with pytest.raises(ValueError, match="LeNet needs 16 x 16 pixels at least, not 15 x 40"):
        build(Architecture("lenet", "binary"), Input(15, 40, 1), 10)


@pytest.mark.parametrize(
    ("sides", "size", "left"), [((8, 8), 1, (1, 1)), ((64, 64), 8, (1, 1)), ((32, 48), 2, (2, 3))]
)
def test_resnet_18_ends_with_means_over_the_largest_squares(
    sides: tuple[int, int], size: int, left: tuple[int, int]
) -> None:
    image = Input(*sides, 3)
    graph = build(Architecture("resnet-18", "ternary", 0.125), image, 10)
    assert graph[-2] == AveragePool("mean", "stage4.conv4", size)
    assert value_shapes(image, graph)["mean"][:2] == left


@pytest.mark.parametrize("name", ["cifar10-vgg-small", "cifar10-resnet-18", "mnist-binary"])
def test_a_run_may_name_its_network(name: str) -> None:
    run, table = read_run(RUNS / f"{name}.toml")
    architecture = Architecture(**table["network"])
    assert run.graph == build(architecture, run.input, 10)


def test_a_run_that_names_a_network_may_change_it_from_outside() -> None:
    run, _ = read_run(RUNS / "cifar10-vgg-small.toml", ["network.width=0.25", 'network.weights="binary"'])
    assert run.graph[0] == Operation("conv1", "conv2d", "image", 32, "binary", kernel=3, padding=1)


def test_a_named_network_has_as_many_logits_as_there_are_labels() -> None:
    run, _ = read_run(RUNS / "cifar10-vgg-small.toml", ['labels=["a", "b"]'])
    assert run.graph[-1].out == 2


def test_binary_mnist_differs_from_ternary_mnist_by_its_weights_alone() -> None:
    ternary, binary = (read_run(RUNS / f"{name}.toml")[0] for name in ("mnist-ternary", "mnist-binary"))
    graph = tuple(dataclasses.replace(node, weights="binary") for node in ternary.graph)
    assert binary == dataclasses.replace(ternary, name="mnist-binary", graph=graph)


def test_a_run_has_a_graph_or_a_network_and_not_both() -> None:
    _, table = read_run(RUNS / "mnist.toml")
    network = {"name": "lenet", "weights": "ternary"}
    with pytest.raises(RunError, match="graph, network: "):
        to_run({**table, "network": network})
    del table["graph"]
    with pytest.raises(RunError, match="graph, network: "):
        to_run(table)
    assert to_run({**table, "network": network}) == read_run(RUNS / "mnist.toml")[0]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('network.name="alexnet"', "network.name: it is lenet or perceptron or vgg-small or resnet-18"),
        ("network.name=[1]", "network.name: "),
        ('network.weights="shift"', "network.weights: it is binary or ternary"),
        ("network.width=0", "network: width is over 0"),
        ("network.width=true", "network.width: it is float"),
        ("network.depth=18", "network.depth: there is no such key"),
        ("network=1", "network: it is a table"),
        ("network={}", "network: "),
        ("input.height=30", "network: VGG-Small pools three times, which needs multiples of 8, not 30 x 32"),
        ("input.height=0", "graph: an input is 1"),
        ("labels=[]", "graph: logits: out is 1"),
    ],
)
def test_a_network_that_cannot_be_is_refused_by_its_key(override: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        read_run(RUNS / "cifar10-vgg-small.toml", [override])
