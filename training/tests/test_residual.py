"""A residual network, trained by every stage, frozen, exported; and its draws against networks that are drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import listed, residual_graph
from trainings import assert_same_members, interrupted_after, train_quietly

from lrnet.checkpoint import load_discrete, load_float, load_record, load_tensors
from lrnet.criticality import signals
from lrnet.data import read_training
from lrnet.diagnose import diagnose
from lrnet.discrete import AveragePool, Input, Operation, Sign
from lrnet.discretize import input_chunks, realize_layer, through
from lrnet.evaluate import read_model
from lrnet.export import export
from lrnet.flow import outputs
from lrnet.format import Model
from lrnet.forward import discrete_forward, to_input
from lrnet.frozen import FrozenLayer
from lrnet.layers import Gaussian, preactivation
from lrnet.networks import FloatNetwork, StochasticNetwork, straight_through_weights
from lrnet.run import Run, read_run, to_run
from lrnet.stages import plan

RUN = Path(__file__).parent.parent / "runs" / "digits.toml"

GRAPH = residual_graph(widths=(8, 8), convolutions=1, classes=10)
WEIGHTED = ["stem", "x0.0", "r1.0", "x1.0", "logits"]

SHORT = [
    "held_out=600",
    "batch=40",
    'twin.activation="relu"',
    "twin.epochs=10",
    "twin.learning_rate=0.005",
    "signs.epochs=5",
    "distribution.epochs=4",
    "freezing.candidates=3",
    "freezing.epochs=1",
    "freezing.images=300",
    "members.count=3",
    "members.candidates=3",
    "members.images=300",
]


def run_training(folder: Path, *overrides: str) -> Path:
    _, table = read_run(RUN, [*SHORT, *overrides])
    train_quietly({**table, "graph": listed(GRAPH)}, folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_training(tmp_path_factory.mktemp("residual") / "frozen")


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """What was written; export itself compares PyTorch's values with those of the file, to the bit."""
    version = tmp_path_factory.mktemp("models") / "digits" / "1"
    export(trained, version, data=None)
    return read_model(version)[0]


def events(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def run_of(folder: Path) -> Run:
    return to_run(json.loads((folder / "run.json").read_text()))


def held_out_images(folder: Path) -> torch.Tensor:
    return torch.tensor(read_training("digits", None, run_of(folder).held_out)[1].images)


def test_a_listed_graph_may_have_every_kind_of_node(trained: Path) -> None:
    assert run_of(trained).graph == GRAPH
    assert {type(node) for node in GRAPH} == {Operation, Sign, AveragePool}


def test_layers_with_weights_are_frozen_in_the_order_of_the_graph(trained: Path) -> None:
    frozen = [event["layer"] for event in events(trained) if event["event"] == "frozen"]
    assert frozen == WEIGHTED[:-1]
    steps = [step for step in plan(run_of(trained)) if step.kind == "freezing"]
    # The signs and the mean before a layer are fixed with it.
    assert [step.frozen for step in steps] == [1, 3, 6, 8]
    assert [step.before for step in steps] == [0, 1, 2, 3]


def test_it_learns(trained: Path) -> None:
    test = events(trained)[-1]
    # Chance is 0.1, of 359 images. By three seeds the members were right in 67 to 68 %, the twins in 76 to 83 %.
    assert test["accuracy"][-1] > 0.5
    assert test["baseline"] > 0.6


def test_thresholds_of_signs_are_learned_in_every_stage(trained: Path) -> None:
    twin = load_float(trained)
    distribution = load_tensors(trained / "distribution.pt")
    members = load_discrete(trained).members
    for name, of_twin in zip(("s0.0", "e1.0", "s1.0"), twin.thresholds, strict=True):
        place = next(index for index, node in enumerate(GRAPH) if node.name == name)
        learned = distribution[f"layers.{place}.threshold"]
        assert of_twin.abs().min() > 0
        assert not torch.equal(learned, of_twin)
        # A draw has the thresholds of the distribution, the frozen network may have others.
        assert np.array_equal(members[1][name].threshold, learned.numpy())


@pytest.mark.parametrize(
    ("precision", "bfloat16"), [(torch.float32, False), (torch.float32, True), (torch.float64, False)]
)
def test_frozen_layers_give_the_values_of_the_discrete_network_to_the_bit(
    trained: Path, precision: torch.dtype, bfloat16: bool
) -> None:
    run = run_of(trained)
    network = StochasticNetwork(run.input, run.graph, 128.0, frozen=8)
    network.load_state_dict(load_tensors(trained / "state.pt")["network"])
    network.to(precision)
    images = held_out_images(trained)[:50]
    expected = discrete_forward(load_discrete(trained), 0, images)

    def output(index: int, values: torch.Tensor, addend: torch.Tensor | None) -> torch.Tensor:
        return network.layers[index](values, None, addend)

    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        for node, value in outputs(run.graph[:8], to_input(images).to(precision), output):
            assert value.dtype == precision
            rows = value.permute(0, 2, 3, 1)
            found = rows > 0 if node.output == "bits" else rows.float()
            assert torch.equal(found, expected[node.name]), node.name


def test_frozen_layers_are_in_the_answering_member_as_they_were_frozen(trained: Path) -> None:
    run = run_of(trained)
    network = StochasticNetwork(run.input, run.graph, 128.0, frozen=8)
    network.load_state_dict(load_tensors(trained / "state.pt")["network"])
    member = load_discrete(trained).members[0]
    for node, layer in zip(run.graph[:8], network.layers, strict=False):
        assert isinstance(layer, FrozenLayer)
        for key, value in vars(layer.discrete()).items():
            kept = getattr(member[node.name], key)
            assert (value is None) == (kept is None)
            assert value is None or (value.dtype == kept.dtype and np.array_equal(value, kept))


@pytest.mark.parametrize("epochs", [12, 17, 22])
def test_an_interrupted_training_goes_on_to_the_same_result(
    trained: Path, tmp_path: Path, epochs: int
) -> None:
    with interrupted_after(epochs):
        run_training(tmp_path / "resumed")
    run_training(tmp_path / "resumed")
    assert_same_members(tmp_path / "resumed", trained)


def test_what_is_exported_has_the_accuracy_that_training_measured(trained: Path, exported: Model) -> None:
    assert exported.network.graph == GRAPH
    record, figures = load_record(trained), exported.provenance["figures"]
    for key, split in (("heldOut", "held_out"), ("test", "test")):
        accuracies = [entry["accuracy"] for entry in figures[key]["members"]]
        assert accuracies == record[split]["accuracy"]


def test_the_straight_through_estimator_trains_it_and_its_network_is_made_discrete(tmp_path: Path) -> None:
    folder = run_training(tmp_path / "ste", 'method="ste"', "distribution.epochs=4")
    (member,) = load_discrete(folder).members
    run, state = run_of(folder), load_tensors(folder / "state.pt")["network"]
    network = FloatNetwork(run.input, run.graph, "sign", discrete=True)
    network.load_state_dict(state)
    assert np.array_equal(member["s1.0"].threshold, network.thresholds[2].detach().numpy())
    for name, weights in zip(WEIGHTED, network.weights, strict=True):
        expected = straight_through_weights(weights, "ternary").permute(0, 2, 3, 1).flatten(1)
        assert np.array_equal(member[name].weights, expected.detach().to(torch.int8).numpy())
    assert events(folder)[-1]["accuracy"][0] > 0.5


DRAWS = 1500
ROWS = 60


@pytest.fixture(scope="module")
def at_work() -> tuple[StochasticNetwork, dict[str, torch.Tensor]]:
    """A network, and the values of one discrete network of it."""
    torch.manual_seed(1)
    image = Input(8, 8, 3)
    graph = residual_graph(widths=(8, 16), convolutions=2, classes=5)
    network = StochasticNetwork(image, graph, 128.0)
    with torch.no_grad():
        for layer in network.free:
            layer.weights.logits.normal_()
            layer.norm.gamma.uniform_(0.5, 1.5)
            layer.norm.beta.normal_()
        for layer in network.free_signs:
            layer.threshold.normal_()
    values = {"image": input_chunks(torch.randint(0, 256, (ROWS, 8, 8, 3), dtype=torch.uint8))}
    for index, node in enumerate(graph):
        layer = network.layers[index]
        inputs, addends = values[node.input], values.get(getattr(node, "add", None))
        if isinstance(node, Operation):
            parameters = realize_layer(network, index, layer.weights.most_probable(), inputs)
        else:
            parameters = layer.discrete()
        values[node.name] = through(network, index, parameters, inputs, addends)
    return network, {name: chunks[0].float() for name, chunks in values.items()}


def drawn(network: StochasticNetwork, name: str, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """What a node gives in DRAWS discrete networks that have the same values before it, [DRAWS, n, C, H, W]."""
    index = next(index for index, node in enumerate(network.graph) if node.name == name)
    node = network.graph[index]
    inputs, addends = [values[node.input]], None if node.add is None else [values[node.add]]
    layer = network.layers[index]
    return torch.stack(
        [
            through(
                network, index, realize_layer(network, index, layer.weights.sample(), inputs), inputs, addends
            )[0]
            for _ in range(DRAWS)
        ]
    )


@torch.no_grad()
def learned(network: StochasticNetwork, name: str, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """What a node gives in DRAWS forward passes of training that have the same values before it."""
    index = next(index for index, node in enumerate(network.graph) if node.name == name)
    node = network.graph[index]
    addend = None if node.add is None else values[node.add]
    return torch.stack([network.layers[index](values[node.input], None, addend) for _ in range(DRAWS)])


@pytest.mark.parametrize("name", ["x0.1", "x1.0", "logits"])
def test_drawn_floats_have_the_moments_of_drawn_networks(
    at_work: tuple[StochasticNetwork, dict[str, torch.Tensor]], name: str
) -> None:
    torch.manual_seed(2)
    network, values = at_work
    expected, found = drawn(network, name, values), learned(network, name, values)
    scale = expected.std()
    # 1,500 draws have a standard error of 0.026 deviations, and the difference of two such means one of 0.037.
    assert (found.mean(0) - expected.mean(0)).abs().max() < 0.2 * scale
    # A channel's variance over draws, the mean over images and positions.
    channels = [each.var(0).mean(dim=(0, 2, 3)) for each in (found, expected)]
    torch.testing.assert_close(channels[0], channels[1], rtol=0.1, atol=0)


@torch.no_grad()
def test_without_a_centre_the_heads_variance_would_be_that_of_no_drawn_network(
    at_work: tuple[StochasticNetwork, dict[str, torch.Tensor]],
) -> None:
    network, values = at_work
    layer = network.layers[-1]
    whole: Gaussian = preactivation(layer.operation, layer.weights, values["means"], 0.0, of_floats=True)
    centre = values["means"].mean(dim=0, keepdim=True)
    rest: Gaussian = preactivation(layer.operation, layer.weights, values["means"], centre, of_floats=True)
    assert (whole.variance.mean() / rest.variance.mean()) > 2
    assert torch.equal(whole.mean, rest.mean)


def test_a_signal_is_followed_through_every_layer_with_weights(
    at_work: tuple[StochasticNetwork, dict[str, torch.Tensor]],
) -> None:
    network, _ = at_work
    images = torch.randint(0, 256, (40, 8, 8, 3), dtype=torch.uint8)
    torch.manual_seed(7)
    found = signals(network, images)
    assert len(found) == len(network.free)
    # The stem sees the image itself; behind it each draw has added noise of its own.
    assert found[0].correlation == pytest.approx(found[0].share)
    assert all(0 < each.correlation < each.share for each in found[1:])


def test_it_is_not_diagnosed(trained: Path) -> None:
    with pytest.raises(ValueError, match=r"only chains of bits are diagnosed: stem: it gives floats"):
        diagnose(trained, data=None, draws=10)


def test_a_threshold_that_diverged_is_not_made_discrete() -> None:
    network = StochasticNetwork(Input(8, 8, 1), GRAPH, 128.0)
    with torch.no_grad():
        network.layers[1].threshold[3] = torch.nan
    with pytest.raises(ValueError, match=r"s0\.0: .*diverged"):
        network.layers[1].discrete()
