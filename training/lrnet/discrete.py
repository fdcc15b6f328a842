"""A discrete network as plain NumPy arrays.

This is what training hands to the integer reference and to the export, and all that they know of training:
no PyTorch, no distributions. Names follow the model format, xnord/1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Input:
    """The shape of the value called `image`, and how other sizes are brought to it."""

    height: int
    width: int
    channels: Literal[1, 3]
    resize: Literal["stretch", "contain", "cover"] = "stretch"


@dataclass(frozen=True)
class Operation:
    """A fused step with weights; `kernel`, `stride`, `padding` and `pool` hold for `conv2d` only.

    `add` names an earlier value of floats, of the output's shape, that is added; with `output = "floats"` only.
    The format's weights of the kind `shift` are not among these: nothing here makes them, and no file with them is read.
    """

    name: str
    op: Literal["conv2d", "linear"]
    input: str
    out: int
    weights: Literal["binary", "ternary"]
    output: Literal["bits", "floats"] = "bits"
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    pool: Literal[1, 2] = 1
    add: str | None = None


@dataclass(frozen=True)
class Sign:
    """Floats to bits: 1 where a float is at least its channel's threshold."""

    op: ClassVar[Literal["sign"]] = "sign"
    output: ClassVar[Literal["bits"]] = "bits"
    name: str
    input: str


@dataclass(frozen=True)
class AveragePool:
    """The mean of every square of `size` x `size` floats of a channel; `size` divides height and width."""

    op: ClassVar[Literal["average_pool"]] = "average_pool"
    output: ClassVar[Literal["floats"]] = "floats"
    name: str
    input: str
    size: int


Node = Operation | Sign | AveragePool
"""One fused step of the graph, each an operation in the format's words."""


@dataclass(frozen=True)
class Parameters:
    """One node's values in one member; what a node has not is None.

    weights: int8 [out, taps], each in {-1, 0, +1}; taps in the order (ky, kx, c), or (y, x, c) for `linear`.
    threshold: int32 [out], bit = 1 iff sum >= threshold; for `output = "bits"`. For `sign` float32 [channels].
    scale, bias: float32 [out]; for weights with `output = "floats"`.
    """

    weights: NDArray[np.int8] | None = None
    threshold: NDArray[np.int32] | NDArray[np.float32] | None = None
    scale: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class DiscreteNetwork:
    """One graph and K >= 1 members, member 0 the best single one; the last node is called `logits`.

    A member has an entry for every node, an empty one for `average_pool`.
    """

    input: Input
    labels: tuple[str, ...]
    graph: tuple[Node, ...]
    members: tuple[Mapping[str, Parameters], ...]
