from __future__ import annotations

import itertools

import torch

from lrnet.noise import Noise, normal_like
from lrnet.run import MAX_SEED
from lrnet.seeds import seed_of


def noise(seed: int, stage: int, epoch: int, step: int) -> torch.Tensor:
    """What a step of a training draws for one layer of eight images."""
    generators = Noise(torch.device("cpu")).at(seed_of(seed, stage, epoch), step)
    return normal_like(torch.zeros(8, 20), generators)


def test_noise_is_another_one_for_every_seed_stage_epoch_and_step() -> None:
    # By the lower 32 bits alone, of numbers put together by multiplying, many of these were equal.
    places = itertools.product((1, 2, 3, 1 + 2**26), (2, 3, 5), (1, 17, 33), (1, 2))
    drawn = [tuple(noise(*place).flatten().tolist()) for place in places]
    assert len(set(drawn)) == len(drawn)


def test_every_part_of_a_batch_has_noise_of_its_own() -> None:
    rows = noise(1, 2, 3, 4)
    assert len({tuple(row.tolist()) for row in rows}) == 8


def test_the_same_place_has_the_same_noise() -> None:
    assert torch.equal(noise(1, 2, 3, 4), noise(1, 2, 3, 4))


def test_the_largest_seed_of_a_run_is_one_that_generators_take() -> None:
    torch.Generator().manual_seed(seed_of(MAX_SEED, 50, 10**6))
    noise(MAX_SEED, 50, 10**6, 10**9)


def test_the_order_of_the_parts_matters() -> None:
    assert len({seed_of(1, 2), seed_of(2, 1), seed_of(12), seed_of(1, 2, 0)}) == 4
