"""Writes test/fixtures/tiny.safetensors: a random network that takes every path of the engine.

    python training/tests/make_fixture.py test/fixtures/tiny.safetensors

The same bytes every time. The network has learned nothing: it is there to be computed, not to be right.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from networks import random_parameters
from numpy.typing import NDArray

from lrnet import reference
from lrnet.discrete import DiscreteNetwork, Input, Operation, Parameters
from lrnet.format import Calibration, Check, Model, write
from lrnet.graph import value_shapes

SEED = 2307_01683
MEMBERS = 3
IMAGE = Input(height=13, width=11, channels=3, resize="contain")
GRAPH = (
    Operation("conv1", "conv2d", "image", 70, "binary", kernel=3, padding=1, pool=2),
    Operation("conv2", "conv2d", "conv1", 33, "ternary", kernel=3, stride=2, padding=1),
    Operation("conv3", "conv2d", "conv2", 130, "binary", kernel=2),
    Operation("conv4", "conv2d", "conv3", 24, "ternary", kernel=1, pool=2),
    Operation("dense", "linear", "conv4", 65, "ternary"),
    Operation("logits", "linear", "dense", 5, "binary", output="floats"),
)


def tiny() -> Model:
    """The model of the fixture."""
    generator = np.random.default_rng(SEED)
    shapes = value_shapes(IMAGE, GRAPH)
    members = [
        {
            operation.name: random_parameters(generator, operation, shapes[operation.input])
            for operation in GRAPH
        }
        for _ in range(MEMBERS)
    ]
    for member in members:
        # Shared: the first layer's weights by all members, the last layer whole.
        member["conv1"] = Parameters(members[0]["conv1"].weights, member["conv1"].threshold)
        member["logits"] = members[0]["logits"]
    network = DiscreteNetwork(IMAGE, ("zero", "one", "two", "café", "four"), GRAPH, tuple(members))
    images = _images(generator)
    return Model(
        name="tiny",
        network=network,
        default_members=2,
        calibration=Calibration((1.0, 0.75, 0.5), "not calibrated: a random network", 0),
        baseline=None,
        provenance={"command": "python training/tests/make_fixture.py", "seed": SEED},
        check=Check(images, *reference.check_vectors(network, images)),
    )


def _images(generator: np.random.Generator) -> NDArray[np.uint8]:
    shape = (IMAGE.height, IMAGE.width, IMAGE.channels)
    ramp = np.arange(np.prod(shape)).reshape(shape) % 256
    fixed = [np.zeros(shape), np.full(shape, 255), ramp, 255 - ramp, np.full(shape, 128)]
    noise = generator.integers(0, 256, size=(6, *shape))
    return np.concatenate([np.stack(fixed), noise]).astype(np.uint8)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(write(tiny()))
