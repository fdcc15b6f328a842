"""What is measured of a distribution, and the command that prints, writes and draws it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lrnet import diagnosis_figure
from lrnet.checkpoint import load_tensors
from lrnet.cli import main
from lrnet.criticality import ScalePoint, Signal
from lrnet.diagnose import to_json, to_text
from lrnet.diagnosis import (
    Activity,
    Diagnosis,
    Gradients,
    Layer,
    Weights,
    activity,
    describe,
    gradients,
    measure,
    remarks,
)
from lrnet.discrete import Input, Operation
from lrnet.distributions import WeightDistribution
from lrnet.job import Settings, open_job
from lrnet.networks import StochasticNetwork
from lrnet.normality import Unit
from lrnet.run import read_run

LAYERS = ["conv1", "conv2", "linear1", "logits"]


@pytest.fixture(scope="module")
def diagnosed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diagnosed") / "first"
    assert main(["diagnose", str(trained), "--draws", "500", "--out", str(folder)]) == 0
    return folder


def read(folder: Path) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"JSON has no {name}")

    return json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_every_layer_is_in_the_table_and_in_the_file(
    diagnosed: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", str(trained), "--draws", "100", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "digits, seed 1, epoch 2 of the distribution stage; 200 held-out images"
    for name in LAYERS:
        # Its weights, its sums and its signals.
        assert sum(line.startswith(f"{name} ") for line in lines) == 3
    content = read(diagnosed)
    assert [layer["name"] for layer in content["layers"]] == LAYERS
    assert (content["images"], content["batch"], content["draws"]) == (200, 100, 500)


def test_figures_lie_where_they_can(diagnosed: Path) -> None:
    for layer in read(diagnosed)["layers"]:
        weights = layer["weights"]
        assert sum(weights["most_probable"].values()) == pytest.approx(1)
        assert set(weights["most_probable"]) == {"-1", "0", "1"}
        assert 0 <= weights["undecided"] <= 1
        assert 0 < weights["entropy"] < np.log(3)
        assert 0 <= layer["signal"]["theory"] <= layer["signal"]["share"] <= 1
        assert 0 < layer["signal"]["correlation"] <= 1
        assert layer["gradients"]["preactivation"] > 0
        assert layer["gradients"]["logits"] > 0
        assert len(layer["units"]) == layer["normality"]["units"] == 16
        assert layer["normality"]["kolmogorov_smirnov_worst"] == max(
            unit["kolmogorov_smirnov"] for unit in layer["units"]
        )
        assert (layer["activity"] is None) == (layer["name"] == "logits")


def test_the_figure_is_text_that_names_every_layer(diagnosed: Path) -> None:
    root = ElementTree.fromstring((diagnosed / "diagnosis.svg").read_text(encoding="utf-8"))
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    for name in LAYERS:
        assert name in texts
        assert f"{name}: sums of drawn weights" in texts


def test_a_diagnosis_again_gives_the_same_bytes_and_leaves_the_checkpoint_as_it_was(
    diagnosed: Path, trained: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    torch.rand(3)
    assert main(["diagnose", str(trained), "--draws", "500", "--out", str(tmp_path)]) == 0
    for name in ("diagnosis.json", "diagnosis.svg"):
        assert (tmp_path / name).read_bytes() == (diagnosed / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["diagnosis.json", "diagnosis.svg"]
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


def test_the_checkpoint_itself_is_where_a_diagnosis_goes(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "copy")
    assert main(["diagnose", str(tmp_path / "copy"), "--draws", "100"]) == 0
    assert (tmp_path / "copy" / "diagnosis.json").exists()
    assert (tmp_path / "copy" / "diagnosis.svg").exists()


def test_no_test_image_is_read(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("the test images were read")

    monkeypatch.setattr("lrnet.data.read_test", fails)
    assert main(["diagnose", str(trained), "--draws", "100", "--out", str(tmp_path)]) == 0


def change(**entries: Any) -> Callable[[Path], None]:  # noqa: ANN401
    def spoil(folder: Path) -> None:
        torch.save({**load_tensors(folder / "state.pt"), **entries}, folder / "state.pt")

    return spoil


def diverge(folder: Path) -> None:
    state = load_tensors(folder / "state.pt")
    state["network"]["layers.1.norm.beta"][3] = float("nan")
    torch.save(state, folder / "state.pt")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change(stage=1, epoch=1), "state.pt: it is of the stage signs, and no distribution is there"),
        (change(stage=7), "state.pt: its stage and epoch are 7 and 2"),
        (change(epoch=torch.zeros(2)), "state.pt: epoch: it is int, not Tensor"),
        (change(network={}), "state.pt: it does not hold the network of this run"),
        (change(network=[1]), "state.pt: network: it is dict, not list"),
        (change(data_digest="ab" * 32), "these are not the data that it was trained on"),
        (diverge, "state.pt: its network is not finite"),
        (lambda folder: (folder / "state.pt").unlink(), "state.pt: "),
        (lambda folder: (folder / "state.pt").write_bytes(b""), "state.pt: "),
        (lambda folder: (folder / "run.json").unlink(), "run.json: "),
    ],
)
def test_a_checkpoint_without_a_distribution_is_one_line_that_names_the_file(
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    message: str,
) -> None:
    shutil.copytree(trained, tmp_path / "checkpoint")
    spoil(tmp_path / "checkpoint")
    assert main(["diagnose", str(tmp_path / "checkpoint"), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("lrnet: ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out").exists()


def test_a_single_held_out_image_is_too_few(tmp_path: Path) -> None:
    run, _ = read_run(Path(__file__).parent.parent / "runs" / "digits.toml", ["held_out=1"])
    job = open_job(run, tmp_path, tmp_path / "log.jsonl", None, Settings(torch.device("cpu"), quiet=True))
    network = StochasticNetwork(run.input, run.graph, job.pixel_mean)
    with pytest.raises(ValueError, match="at least 2 images a batch"):
        measure(job, network, epoch=1, draws=100)


def test_a_file_in_the_place_of_the_folder_is_named_before_anything_is_measured(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    assert main(["diagnose", str(trained), "--out", str(tmp_path / "taken")]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert str(tmp_path / "taken") in output.err


@pytest.mark.parametrize("draws", ["0", "99", "-1", "1e4", "1000001"])
def test_draws_that_cannot_be_are_wrong_usage(draws: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["diagnose", "somewhere", "--draws", draws])
    assert exit_.value.code == 2
    assert "it is 100 to 1000000" in capsys.readouterr().err


def test_units_have_the_entropy_of_their_firing_rates() -> None:
    # One bit, none, none, and -1/4 log2 1/4 - 3/4 log2 3/4 = 0.811278.
    found = activity(np.array([0.5, 0.0, 1.0, 0.25, 0.0]))
    assert found.entropy == pytest.approx((1 + 0.811278) / 5, abs=1e-6)
    assert (found.never, found.always) == (0.4, 0.2)


def test_weights_are_described_by_their_probabilities() -> None:
    distribution = WeightDistribution("ternary", (1, 4, 1, 1))
    probabilities = [[0.95, 0.03, 0.02], [0.01, 0.89, 0.1], [0.04, 0.05, 0.91], [0.3, 0.2, 0.5]]
    with torch.no_grad():
        distribution.logits.copy_(torch.tensor(probabilities).log().T.view(3, 1, 4, 1, 1) / 2)
        distribution.inverse_temperature.fill_(2.0)
    found = describe(distribution)
    assert (found.count, found.kind, found.inverse_temperature) == (4, "ternary", 2.0)
    # 0.89 and 0.5 are under 0.9.
    assert found.undecided == 0.5
    assert found.most_probable == {-1: 0.25, 0: 0.25, 1: 0.5}
    assert found.entropy == pytest.approx((0.232158 + 0.380028 + 0.364367 + 1.029653) / 4, abs=1e-5)


def small_network() -> StochasticNetwork:
    graph = (
        Operation("conv1", "conv2d", "image", out=4, weights="ternary", kernel=3, pool=2),
        Operation("logits", "linear", "conv1", out=3, weights="binary", output="floats"),
    )
    torch.manual_seed(0)
    network = StochasticNetwork(Input(6, 6, 1, "stretch"), graph, 128.0)
    with torch.no_grad():
        for layer in network.layers:
            layer.weights.logits.normal_()
    return network


def test_gradients_are_those_of_the_batchs_mean_loss() -> None:
    network = small_network()
    images, labels = torch.randn(20, 1, 6, 6) * 50, torch.randint(0, 3, (20,))
    torch.manual_seed(1)
    found = gradients(network, images, labels)
    assert all(layer.weights.logits.grad is None for layer in network.layers)
    torch.manual_seed(1)
    logits = network(images)
    F.cross_entropy(logits, labels).backward()
    # A cross-entropy's derivative by a logit is (p - 1[label]) / n.
    by_logits = (logits.detach().softmax(dim=1) - F.one_hot(labels, 3)) / 20
    assert found[1].preactivation == pytest.approx(float(by_logits.square().mean().sqrt()), rel=1e-5)
    for layer, each in zip(network.layers, found, strict=True):
        gradient = layer.weights.logits.grad
        assert each.logits == pytest.approx(float(gradient.square().mean().sqrt()), rel=1e-5)


def layer_like(name: str, **changes: Any) -> Layer:  # noqa: ANN401
    """A layer that gives no cause for a remark, but for the changes."""
    weights = Weights(100, "ternary", 1.0, 0.3, 0.4, {-1: 0.3, 0: 0.4, 1: 0.3})
    sums = np.sort(np.random.default_rng(0).integers(-9, 9, 500)).astype(np.float64)
    unit = Unit(0, 0, 0, 0, 0.0, 5.0, 0.02, 0.03, (0.5, 0.51), sums)
    healthy = Layer(
        name, weights, (unit,), Activity(0.8, 0.0, 0.0), Gradients(1e-3, 1e-4), Signal(0.8, 0.9), 0.7
    )
    return replace(healthy, **changes)


def diagnosis_of(*layers: Layer) -> Diagnosis:
    return Diagnosis(
        "some", 1, 2, 300, 100, 500, layers, (ScalePoint(0.5, 0.3, 0.2), ScalePoint(1.0, 0.4, 0.1))
    )


def test_a_healthy_network_gives_no_cause_for_a_remark() -> None:
    diagnosis = diagnosis_of(layer_like("one"), layer_like("head", activity=None))
    assert remarks(diagnosis) == []
    assert list(to_text(diagnosis))[-1] == "nothing stands out"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activity": Activity(0.1, 0.4, 0.2)}, "one: 60% of its units never or always fire"),
        (
            {"weights": replace(layer_like("one").weights, entropy=1e-4)},
            "one: its weights are decided and hardly learn any more",
        ),
        ({"gradients": Gradients(0.0, 0.0)}, "one: no gradient reaches its logits"),
        (
            {"units": (replace(layer_like("one").units[0], firing=(0.5, 0.6)),)},
            "one: training's P(+1) is off by 0.100 in the mean",
        ),
    ],
)
def test_what_is_not_as_it_should_be_is_said_of_the_layer(changes: dict[str, Any], message: str) -> None:
    diagnosis = diagnosis_of(layer_like("one", **changes), layer_like("head", activity=None))
    assert remarks(diagnosis) == [message]
    assert list(to_text(diagnosis))[-1] == message


def test_a_signal_that_dies_is_said_of_the_network() -> None:
    diagnosis = diagnosis_of(layer_like("one"), layer_like("head", signal=Signal(0.1, 0.5), activity=None))
    # 2 / ln 10 = 0.87.
    assert remarks(diagnosis) == [
        "two draws' logits have a correlation of 0.100, under exp(-1): a signal dies within 0.9 of 2 layers"
    ]


def test_a_network_without_noise_has_no_finite_depth_scale_and_no_sums_to_draw(tmp_path: Path) -> None:
    decided = {"units": (), "signal": Signal(1.0, 1.0)}
    diagnosis = diagnosis_of(layer_like("one", **decided), layer_like("head", activity=None, **decided))
    content = to_json(diagnosis)
    assert content["depth_scale"] is None
    assert [layer["normality"] for layer in content["layers"]] == [None, None]
    assert any(line.split() == ["one", "0", *"------"] for line in to_text(diagnosis))
    diagnosis_figure.save(diagnosis, tmp_path / "diagnosis.svg")
    assert (tmp_path / "diagnosis.svg").read_text(encoding="utf-8").count("no sum varies") == 4
