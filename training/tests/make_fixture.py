"""Writes the models of test/fixtures, random networks that take every path of the engine, and a packed data set.

    python training/tests/make_fixture.py test/fixtures

The same bytes every time. The networks have learned nothing: they are there to be computed, not to be right.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
from networks import random_network, random_parameters, residual_graph
from numpy.typing import NDArray

from lrnet import reference
from lrnet.discrete import DiscreteNetwork, Input, Operation, Parameters
from lrnet.format import Calibration, Check, Model, write
from lrnet.graph import value_shapes
from lrnet.packed import PackedImage, write_packed

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


RESIDUAL_IMAGE = Input(height=8, width=8, channels=3)
RESIDUAL_GRAPH = tuple(
    dataclasses.replace(node, weights="binary") if node.name in ("x0.1", "r1.0", "logits") else node
    for node in residual_graph(widths=(9, 18), convolutions=2, classes=4, means=2)
)


def tiny() -> Model:
    """A chain: bits all the way to the logits."""
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
    images = _images(generator, IMAGE, noise=6)
    return Model(
        name="tiny",
        network=network,
        default_members=2,
        calibration=Calibration((1.0, 0.75, 0.5), "not calibrated: a random network", 0),
        baseline=None,
        provenance={"command": "python training/tests/make_fixture.py", "seed": SEED},
        check=Check(images, *reference.check_vectors(network, images)),
    )


def residual() -> Model:
    """Floats, their signs, means and sums, and additions to them; some constants are 0 or -0."""
    generator = np.random.default_rng(SEED)
    network = random_network(generator, RESIDUAL_IMAGE, RESIDUAL_GRAPH, members=2)
    first, second = network.members
    # One channel of the stem is 0 or -0, and both reach the threshold of its sign.
    for values, zero in ((first["stem"].scale, 0), (first["stem"].bias, -0.0), (first["s0.0"].threshold, 0)):
        assert values is not None
        values[0] = zero
    # Shared: the stem whole, a sign's thresholds.
    shared = {name: first[name] for name in ("stem", "s0.1")}
    network = dataclasses.replace(network, members=(first, {**second, **shared}))
    images = _images(generator, RESIDUAL_IMAGE, noise=3)
    return Model(
        name="residual",
        network=network,
        default_members=1,
        calibration=Calibration((1.0, 0.5), "not calibrated: a random network", 0),
        baseline=None,
        provenance={"command": "python training/tests/make_fixture.py", "seed": SEED},
        check=Check(images, *reference.check_vectors(network, images)),
    )


def _images(generator: np.random.Generator, image: Input, noise: int) -> NDArray[np.uint8]:
    """Black, white, a ramp up and down, grey, and so many rows of noise."""
    shape = (image.height, image.width, image.channels)
    ramp = np.arange(np.prod(shape)).reshape(shape) % 256
    fixed = [np.zeros(shape), np.full(shape, 255), ramp, 255 - ramp, np.full(shape, 128)]
    random = generator.integers(0, 256, size=(noise, *shape))
    return np.concatenate([np.stack(fixed), random]).astype(np.uint8)


def write_tiny_packed(path: Path) -> None:
    """The check images of `tiny` as test images, each of the class that its first member says."""
    model = tiny()
    labels = model.check.logits[0].argmax(axis=1)
    images = [
        PackedImage(bytes(32), int(label), pixels.tobytes())
        for pixels, label in zip(model.check.image, labels, strict=True)
    ]
    write_packed(
        path, model.network.labels, model.check.image.shape[1:], {"train": images[:1], "test": images}
    )


FIXTURES = {"tiny": tiny, "residual": residual}

if __name__ == "__main__":
    for name, make in FIXTURES.items():
        (Path(sys.argv[1]) / f"{name}.safetensors").write_bytes(write(make()))
    write_tiny_packed(Path(sys.argv[1]) / "tiny.npz")
