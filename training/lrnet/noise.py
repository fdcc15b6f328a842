"""Standard normal noise that depends on a seed, a step and an image's place in the batch, and on nothing else.

A batch has `PARTS` equal parts, each with a generator of its own, so that as many processes can share a batch without
drawing what is not theirs, and draw what one process would.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lrnet.seeds import seed_of

PARTS = 8
"""The most processes that can share a batch; also the number that a batch's size has to be a multiple of."""

Generators = Sequence[torch.Generator]


class Noise:
    """The generators of the parts of a batch that this process computes, seeded anew for every step."""

    def __init__(self, device: torch.device, rank: int = 0, world: int = 1) -> None:
        """Raises ValueError where so many processes cannot share a batch evenly."""
        if PARTS % world:
            raise ValueError(f"{world} processes cannot share a batch of {PARTS} parts: use 1, 2, 4 or 8")
        self.parts = range(rank * PARTS // world, (rank + 1) * PARTS // world)
        self._generators = [torch.Generator(device) for _ in self.parts]

    def at(self, seed: int, step: int) -> Generators:
        """The generators of one step."""
        for part, generator in zip(self.parts, self._generators, strict=True):
            generator.manual_seed(seed_of(seed, step, part))
        return self._generators


def normal_like(values: Tensor, generators: Generators | None = None) -> Tensor:
    """Standard normal noise of the shape and memory layout of values [n, …], which are dense.

    Each generator draws an equal share of n, or nearly so where it is no multiple of their number. Without generators
    it is PyTorch's own that draws.
    """
    # In one run of memory: PyTorch draws eight times as slowly into a tensor with strides (CPU, 2.15).
    flat = torch.empty(values.numel(), dtype=values.dtype, device=values.device)
    if generators is None:
        flat.normal_()
    else:
        for part, generator in zip(flat.tensor_split(len(generators)), generators, strict=True):
            part.normal_(generator=generator)
    return flat.as_strided(values.shape, values.stride())
