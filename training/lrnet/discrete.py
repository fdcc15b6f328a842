"""A discrete network as plain NumPy arrays.

This is what training hands to the integer reference and to the export, and all that they know of training:
no PyTorch, no distributions. Names follow the model format, xnord/1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
    """One fused step of the graph; `kernel`, `stride`, `padding` and `pool` hold for `conv2d` only."""

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


@dataclass(frozen=True)
class Parameters:
    """One operation's values in one member.

    weights: int8 [out, taps], each in {-1, 0, +1}; taps in the order (ky, kx, c), or (y, x, c) for `linear`.
    threshold: int32 [out], bit = 1 iff sum >= threshold; for `output = "bits"`, else None.
    scale, bias: float32 [out]; for `output = "floats"`, else None.
    """

    weights: NDArray[np.int8]
    threshold: NDArray[np.int32] | None = None
    scale: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class DiscreteNetwork:
    """One graph and K >= 1 members, member 0 the best single one; the last operation is called `logits`."""

    input: Input
    labels: tuple[str, ...]
    graph: tuple[Operation, ...]
    members: tuple[Mapping[str, Parameters], ...]
