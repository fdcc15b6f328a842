"""What changes a training's speed, and its last digits alone: bfloat16 sums and fused steps."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor
from trainings import train_quietly

from lrnet.discrete import Input, Operation
from lrnet.layers import StochasticLayer, preactivation
from lrnet.networks import FloatNetwork, StochasticNetwork
from lrnet.noise import Noise
from lrnet.run import read_run

RUN = Path(__file__).parent.parent / "runs" / "digits.toml"
IMAGE = Input(8, 8, 1)
GRAPH = (
    Operation("conv1", "conv2d", "image", 8, "ternary", kernel=3, padding=1, pool=2),
    Operation("linear1", "linear", "conv1", 16, "binary"),
    Operation("logits", "linear", "linear1", 4, "ternary", output="floats"),
)


def network_and_images() -> tuple[StochasticNetwork, Tensor]:
    torch.manual_seed(0)
    network = StochasticNetwork(IMAGE, GRAPH, 128.0)
    network.start_from(FloatNetwork(IMAGE, GRAPH, "sign"))
    return network, torch.randint(-128, 128, (16, 1, 8, 8)).float()


def test_bfloat16_sums_have_moments_in_float32_near_those_of_float32() -> None:
    torch.manual_seed(0)
    operation = Operation("conv", "conv2d", "bits", 8, "ternary", kernel=3, padding=1)
    layer = StochasticLayer(operation, (6, 6, 64), 0.0)
    with torch.no_grad():
        layer.weights.logits.normal_()
    bits = torch.where(torch.rand(20, 64, 6, 6) < 0.5, 1.0, -1.0)
    exact = preactivation(operation, layer.weights, bits)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = preactivation(operation, layer.weights, bits)
    assert rounded.mean.dtype == rounded.variance.dtype == torch.float32
    assert not torch.equal(rounded.mean, exact.mean)
    # Eight bits of each weight and of each sum are kept; a draw's deviation is √v.
    assert ((rounded.mean - exact.mean).abs() / exact.variance.sqrt()).max() < 0.05
    torch.testing.assert_close(rounded.variance, exact.variance)


def test_a_training_with_bfloat16_sums_learns_and_says_so(tmp_path: Path) -> None:
    overrides = ["twin.epochs=4", "signs.epochs=3", "distribution.epochs=3", "members.count=2"]
    _, table = read_run(RUN, [*overrides, "members.candidates=2", "members.images=200", "batch=20"])
    train_quietly(table, tmp_path, bfloat16=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[0]["bfloat16"] is True
    # In float32 it was 0.97 by one seed, of 359 images.
    assert lines[-1]["accuracy"][-1] > 0.9


@pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler"
)
def test_fused_steps_draw_what_the_others_draw_with_the_same_gradients() -> None:
    network, images = network_and_images()
    noise = Noise(torch.device("cpu"))

    def drawn() -> tuple[Tensor, list[Tensor]]:
        logits = network(images, noise.at(seed=1, step=2))
        weights = torch.linspace(-1, 1, logits.numel()).view_as(logits)
        return logits, list(torch.autograd.grad((logits * weights).sum(), list(network.parameters())))

    logits, gradients = drawn()
    network.compile_steps()
    fused_logits, fused_gradients = drawn()
    torch.testing.assert_close(fused_logits, logits, rtol=1e-4, atol=1e-4)
    for fused, plain in zip(fused_gradients, gradients, strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-3, atol=1e-4)
