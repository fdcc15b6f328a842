"""The run that `lrnet pack` writes for new images: a small network to start from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lrnet.checkpoint import save_text
from lrnet.discrete import Input

_POOLED_PIXELS = 64
"""Convolutions with pools follow each other until no more pixels are left."""


def write_starter(path: Path, name: str, labels: Sequence[str], image: Input, training: int) -> None:
    """Writes the run of a data set with `training` images; the file is whole or not there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_text(path, starter(name, labels, image, training))


def starter(name: str, labels: Sequence[str], image: Input, training: int) -> str:
    """A run's TOML."""
    held_out = min(max(1, training // 10), 5000)
    head = [
        f"# A small network to start from, for the images of {name}.npz.",
        f"name = {_string(name)}",
        f"data = {_string(name)}",
        "seed = 1",
        f"held_out = {held_out}",
        f"batch = {max(2, min(100, training - held_out))}",
        f"labels = [{', '.join(map(_string, labels))}]",
        "",
        "[input]",
        f"height = {image.height}",
        f"width = {image.width}",
        f"channels = {image.channels}",
        f"resize = {_string(image.resize)}",
    ]
    rest = f"""
[augmentation]
shift = {max(image.height, image.width) / 20:.1f}
rotation = 8.0
scale = 0.08

[twin]
epochs = 10
learning_rate = 0.003
weight_decay = 0.01

[signs]
epochs = 10
learning_rate = 0.003

[distribution]
epochs = 25
learning_rate = 0.15
norm_learning_rate = 0.01
final_entropy = 0.05

[members]
count = 8
candidates = 32
images = {min(10_000, training - held_out)}
"""
    return "\n".join(head) + "\n" + "".join(_layers(image, len(labels))) + rest


def _layers(image: Input, classes: int) -> list[str]:
    pools = 0
    while (image.height >> pools) * (image.width >> pools) > _POOLED_PIXELS and (
        min(image.height, image.width) >> pools >= 2
    ):
        pools += 1
    layers = [
        _layer(
            f"conv{index + 1}",
            "conv2d",
            min(32 << index, 128),
            f"kernel = 3\npadding = 1\npool = {2 if index < pools else 1}\n",
        )
        for index in range(max(1, pools))
    ]
    return [
        *layers,
        _layer("linear1", "linear", 256),
        _layer("logits", "linear", classes, 'output = "floats"\n'),
    ]


def _layer(name: str, op: str, out: int, more: str = "") -> str:
    return f'\n[[graph]]\nname = "{name}"\nop = "{op}"\nout = {out}\n{more}weights = "ternary"\n'


def _string(text: str) -> str:
    """A basic string of TOML: JSON's, but for one character that must be escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
