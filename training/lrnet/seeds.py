"""Seeds of generators, each from all that it depends on."""

from __future__ import annotations

import hashlib


def seed_of(*parts: int) -> int:
    """A seed of 0 … 2⁶³ - 1, another one for other parts or another order of them.

    Hashed, since PyTorch's generator on a CPU takes the lower 32 bits of a seed alone: numbers that are put together
    from a run's seed, a stage and an epoch by multiplying and shifting may differ above those only.
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) >> 1
