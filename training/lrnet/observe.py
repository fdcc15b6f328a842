"""A stochastic layer, seen from within while it works."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lrnet.layers import Gaussian, StochasticLayer


@dataclass(frozen=True)
class Observation:
    """One layer in one pass: its pre-activations before and after batch norm, and what it gave, [n, out, H, W].

    What it gave are drawn bits ±1, pooled where the operation says so, or drawn floats with what it adds. The noise
    of a draw is added to the normalized mean, so a gradient by that mean is the gradient by the drawn pre-activation.
    """

    sums: Gaussian
    normalized: Gaussian
    drawn: Tensor


def observe(layer: StochasticLayer, values: Tensor, addend: Tensor | None = None) -> Observation:
    """Lets a layer work on its input [n, in, H, W], and on what it adds."""
    seen: list[tuple[Gaussian, Gaussian]] = []

    def note(_: nn.Module, arguments: tuple[Gaussian], normalized: Gaussian) -> None:
        seen.append((arguments[0], normalized))

    handle = layer.norm.register_forward_hook(note)
    try:
        drawn = layer(values, None, addend)
    finally:
        handle.remove()
    ((sums, normalized),) = seen
    return Observation(sums, normalized, drawn)
