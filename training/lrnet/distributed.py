"""Several processes that train one network, as `torchrun` starts them; alone, all of this does nothing.

Every process holds the whole network and all images, and computes its share of each batch. Sums over the batch,
those of batch norm among them, are taken over all processes, so that their number changes no result but for rounding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed
import torch.distributed.nn.functional
from torch import Tensor, nn

T = TypeVar("T")

LONGEST_WAIT = timedelta(hours=6)
"""For a process that has gone ahead: the first one alone draws the members and reads the test images."""


@contextmanager
def processes(device: torch.device) -> Iterator[None]:
    """Within it, the processes that `torchrun` started, if it did, have met: by NCCL between GPUs, else by gloo."""
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    torch.distributed.init_process_group(backend, timeout=LONGEST_WAIT)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def local_rank() -> int:
    """This process's place on its machine: the GPU that it takes."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def world() -> int:
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of the processes' values, through which gradients flow."""
    if world() == 1:
        return values
    return torch.distributed.nn.functional.all_reduce(values) / world()


@torch.no_grad()
def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Adds up the processes' gradients, in one message."""
    if world() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    for gradient, total in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
        gradient.copy_(total.view_as(gradient))


@torch.no_grad()
def total(values: Tensor) -> Tensor:
    """The sum of the processes' values; no gradient flows."""
    if world() > 1:
        torch.distributed.all_reduce(values)
    return values


@torch.no_grad()
def share(network: nn.Module) -> None:
    """Gives every process the first one's parameters and buffers."""
    if world() > 1:
        for tensor in network.state_dict().values():
            torch.distributed.broadcast(tensor, src=0)


def wait() -> None:
    """Until every process has come here."""
    if world() > 1:
        torch.distributed.barrier()


def one_by_one(action: Callable[[], T]) -> T:
    """Does what only one process may do at a time, the first one first."""
    for turn in range(world()):
        if turn == rank():
            result = action()
        wait()
    return result
