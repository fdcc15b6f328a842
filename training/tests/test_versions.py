"""Versions of a layer, what freezing keeps, and the straight-through estimator's network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from trainings import assert_same_members, interrupted_after, train_quietly

from lrnet.checkpoint import load_discrete, load_record, load_tensors
from lrnet.data import read_training
from lrnet.diagnose import diagnose
from lrnet.discrete import DiscreteNetwork
from lrnet.forward import discrete_forward, to_input
from lrnet.frozen import FrozenLayer
from lrnet.members import drawn, frozen, most_probable
from lrnet.networks import FloatNetwork, StochasticNetwork, straight_through_weights
from lrnet.run import Run, read_run, to_run
from lrnet.stages import plan
from lrnet.versions import Evidence, best_version, draws, versions

RUN = Path(__file__).parent.parent / "runs" / "digits.toml"

FREEZING = [
    "held_out=600",
    "twin.epochs=3",
    "signs.epochs=2",
    "distribution.epochs=3",
    "distribution.sharpness=0",
    "freezing.candidates=6",
    "freezing.epochs=2",
    "freezing.images=300",
    "members.count=3",
    "members.candidates=4",
    "members.draws=2",
    "members.images=300",
]


def run_training(folder: Path, *overrides: str) -> Path:
    _, table = read_run(RUN, [*FREEZING, *overrides])
    train_quietly(table, folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_training(tmp_path_factory.mktemp("versions") / "frozen")


@pytest.fixture(scope="module")
def straight_through(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_training(tmp_path_factory.mktemp("versions") / "ste", 'method="ste"')


def events(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def run_of(folder: Path) -> Run:
    return to_run(json.loads((folder / "run.json").read_text()))


def network_of(folder: Path) -> StochasticNetwork:
    """The distribution as it was before any layer was frozen."""
    run = run_of(folder)
    training, _ = read_training("digits", None, run.held_out)
    network = StochasticNetwork(run.input, run.graph, float(training.images.mean()))
    network.load_state_dict(load_tensors(folder / "distribution.pt"))
    return network


def evidence_of(folder: Path) -> Evidence:
    training, held_out = read_training("digits", None, run_of(folder).held_out)
    return Evidence.of(torch.tensor(training.images[:300]), torch.tensor(held_out.images), held_out.labels)


def test_the_most_probable_version_is_always_a_candidate(trained: Path) -> None:
    layer = network_of(trained).layers[1]
    first, *others = versions(layer, 3)
    assert torch.equal(first, layer.weights.most_probable())
    assert len(others) == 3
    assert not any(torch.equal(each, first) for each in others)


def test_the_version_with_the_least_loss_on_held_out_images_is_kept(trained: Path) -> None:
    network, evidence = network_of(trained), evidence_of(trained)
    torch.manual_seed(5)
    candidates = list(draws(network.layers[0], 6))
    choice = best_version(network, 0, candidates, evidence)
    assert choice.losses[choice.chosen] == min(choice.losses)
    assert len(set(choice.losses)) > 1
    alone = best_version(network, 0, candidates[choice.chosen : choice.chosen + 1], evidence)
    assert np.array_equal(alone.parameters.weights, choice.parameters.weights)
    assert alone.losses == ()


def test_freezing_everything_at_once_is_no_worse_on_held_out_images_than_the_most_probable_network(
    trained: Path,
) -> None:
    network, evidence = network_of(trained), evidence_of(trained)
    torch.manual_seed(5)

    def loss(logits: np.ndarray) -> float:
        return float(torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(evidence.labels)))

    assert loss(frozen(network, evidence, 8).logits) <= loss(most_probable(network, evidence).logits) + 0.01


def test_draws_differ_from_each_other_and_the_logits_are_those_of_the_member(trained: Path) -> None:
    network, evidence, run = network_of(trained), evidence_of(trained), run_of(trained)
    torch.manual_seed(5)
    one, other = drawn(network, evidence, 1), drawn(network, evidence, 1)
    assert not np.array_equal(one.member["linear1"].weights, other.member["linear1"].weights)
    _, held_out = read_training("digits", None, run.held_out)
    discrete = DiscreteNetwork(run.input, run.labels, run.graph, (one.member,))
    logits = discrete_forward(discrete, 0, torch.tensor(held_out.images))["logits"].flatten(1)
    assert np.array_equal(logits.numpy(), one.logits)


def test_a_distribution_starts_at_the_critical_sharpness_where_none_is_given(trained: Path) -> None:
    (found,) = [event["critical"] for event in events(trained) if event["event"] == "sharpness"]
    assert 0.5 <= found < 64


def test_the_distribution_before_freezing_can_be_diagnosed(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diagnose(trained, data=None, draws=100, out=tmp_path)
    assert "epoch 3 of the distribution stage" in capsys.readouterr().out
    assert [layer["name"] for layer in json.loads((tmp_path / "diagnosis.json").read_text())["layers"]] == [
        *("conv1", "conv2", "linear1", "logits")
    ]


def test_layers_are_frozen_one_after_another_and_the_rest_is_trained_on(trained: Path) -> None:
    noted = [event for event in events(trained) if event["event"] in ("epoch", "frozen")]
    names = [event["layer"] if event["event"] == "frozen" else event["stage"] for event in noted]
    distribution = names.index("distribution")
    assert names[distribution + 3 :] == [
        *("conv1", "freezing", "freezing"),
        *("conv2", "freezing", "freezing"),
        *("linear1", "freezing", "freezing"),
    ]
    assert [event["epoch"] for event in noted if event.get("stage") == "freezing"] == [1, 2, 3, 4, 5, 6]
    assert all(len(event["held_out_log_losses"]) == 7 for event in noted if event["event"] == "frozen")


def test_a_frozen_layer_is_in_the_answering_member_as_it_was_frozen(trained: Path) -> None:
    state = load_tensors(trained / "state.pt")["network"]
    run = run_of(trained)
    network = StochasticNetwork(run.input, run.graph, 128.0, frozen=3)
    network.load_state_dict(state)
    member = load_discrete(trained).members[0]
    for operation, layer in zip(run.graph[:3], network.layers, strict=False):
        assert isinstance(layer, FrozenLayer)
        assert np.array_equal(member[operation.name].weights, layer.discrete().weights)
        assert np.array_equal(member[operation.name].threshold, layer.discrete().threshold)


def test_a_frozen_layer_gives_the_bits_of_the_discrete_network(trained: Path) -> None:
    run = run_of(trained)
    network = StochasticNetwork(run.input, run.graph, 128.0, frozen=3)
    network.load_state_dict(load_tensors(trained / "state.pt")["network"])
    images = torch.tensor(read_training("digits", None, run.held_out)[1].images[:50])
    outputs = discrete_forward(load_discrete(trained), 0, images)
    values = to_input(images)
    for operation, layer in zip(run.graph[:3], network.layers, strict=False):
        values = layer(values)
        assert torch.equal(values.permute(0, 2, 3, 1) > 0, outputs[operation.name])


def test_freezing_keeps_the_accuracy_of_the_distribution(trained: Path) -> None:
    noted = events(trained)
    before = next(
        event["held_out_accuracy"] for event in reversed(noted) if event.get("stage") == "distribution"
    )
    after = next(event for event in noted if event["event"] == "members")["held_out"]["alone"][0]
    # 600 held-out images: a standard error of the difference is about a point.
    assert after > before - 0.02


def test_the_frozen_network_answers_alone_and_the_others_are_draws(trained: Path) -> None:
    record = load_record(trained)
    assert record["chosen"][0] == 0
    assert len(set(record["chosen"])) == 3
    # The first candidate is the frozen network, and no most probable one.
    assert record["first_accuracy"] == record["held_out"]["alone"][0]
    assert "most_probable_accuracy" not in record


@pytest.mark.parametrize("epochs", [9, 11])
def test_an_interrupted_freezing_goes_on_to_the_same_result(
    trained: Path, tmp_path: Path, epochs: int
) -> None:
    with interrupted_after(epochs):
        run_training(tmp_path / "resumed")
    run_training(tmp_path / "resumed")
    assert_same_members(tmp_path / "resumed", trained)


def test_the_straight_through_estimator_trains_as_long_as_distribution_and_freezing(
    trained: Path, straight_through: Path
) -> None:
    def epochs(folder: Path) -> int:
        return sum(step.epochs for step in plan(run_of(folder)))

    assert epochs(straight_through) == epochs(trained)
    assert [step.name for step in plan(run_of(straight_through))] == ["twin", "signs", "ste"]


def test_the_straight_through_network_is_made_discrete_as_it_was_trained(straight_through: Path) -> None:
    run = run_of(straight_through)
    network = FloatNetwork(run.input, run.graph, "sign", discrete=True)
    network.load_state_dict(load_tensors(straight_through / "state.pt")["network"])
    (member,) = load_discrete(straight_through).members
    for operation, weights, norm in zip(run.graph, network.weights, network.norms, strict=True):
        expected = straight_through_weights(weights, operation.weights).detach()
        # A threshold's weights are negated where γ is negative; those of the head never are.
        direction = torch.ones(operation.out) if operation.output == "floats" else norm.weight.sign()
        taps = (expected * direction.view(-1, 1, 1, 1)).permute(0, 2, 3, 1).flatten(1)
        assert np.array_equal(member[operation.name].weights, taps.detach().to(torch.int8).numpy())


def test_the_straight_through_network_learns(straight_through: Path) -> None:
    test = events(straight_through)[-1]
    assert len(test["accuracy"]) == 1
    # Chance is 0.1.
    assert test["accuracy"][0] > 0.7


def test_ternary_straight_through_weights_are_zero_up_to_seven_tenths_of_the_mean_magnitude() -> None:
    weights = torch.tensor([0.1, -0.2, 0.69, -0.71, 3.0, -1.3]).view(1, 1, 2, 3)
    assert weights.abs().mean().item() == pytest.approx(1)
    values = straight_through_weights(weights, "ternary")
    assert values.flatten().tolist() == [0, 0, 0, -1, 1, -1]


def test_binary_straight_through_weights_are_signs_and_pass_their_gradient_on() -> None:
    weights = torch.tensor([0.0, -0.2, 5.0, -0.7]).view(1, 1, 2, 2).requires_grad_()
    values = straight_through_weights(weights, "binary")
    assert values.flatten().tolist() == [1, -1, 1, -1]
    (values * torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 2, 2)).sum().backward()
    assert weights.grad.flatten().tolist() == [1, 2, 3, 4]
