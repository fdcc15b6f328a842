"""Training, from float weights to chosen discrete networks, in four stages.

    twin          float weights under hardtanh: the baseline, and where the next stage starts
    signs         the same weights under signs, with straight-through gradients
    distribution  a distribution for every weight, by the local reparameterization trick
    members       draws, batch norm measured on each, the best chosen on the held-out images

The held-out images decide; the test images are read once, when all is chosen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from lrnet import checkpoint, log
from lrnet.augment import augment
from lrnet.finish import finish
from lrnet.job import Job, hardware, open_job, versions
from lrnet.networks import StochasticNetwork
from lrnet.run import to_run
from lrnet.stages import STAGES, Stage, build

WARM_UP = 0.2
"""The part of a stage in which the learning rate rises."""


def train(
    table: Mapping[str, Any],
    folder: Path,
    *,
    data: Path | None,
    log_path: Path,
    command: str,
    device: torch.device | None = None,
    quiet: bool = False,
) -> None:
    """Trains the run that a table describes into a checkpoint folder.

    An interrupted training of the same run goes on after its last whole epoch, to the same result. `command` is
    noted in the record. Raises RunError, DataError, CheckpointError.
    """
    run = to_run(table)
    state = checkpoint.open_folder(folder, table)
    if (folder / "record.json").exists():
        raise checkpoint.CheckpointError(f"{folder}: this training is finished")
    job = open_job(run, folder, log_path, data, device, quiet)
    if state is not None and state["data_digest"] != job.training.digest():
        raise checkpoint.CheckpointError(f"{folder}: these are not the data that its training began with")
    began = time.monotonic() - (state["seconds"] if state else 0.0)
    log.append(log_path, {**_beginning(job, command, table), **_since(state)})
    network: nn.Module | None = None
    for index, name in enumerate(STAGES):
        if state is not None and index < state["stage"]:
            continue
        # Seeded for each stage, as for each epoch, so that a checkpoint need not hold a generator's state.
        torch.manual_seed(_seed(run.seed, index, 0))
        stage = build(job, name, network)
        resumed = state if state is not None and index == state["stage"] else None
        _fit(job, index, stage, resumed, began)
        network = stage.network
        if name == "twin":
            checkpoint.save_tensors(folder / "float.pt", network.state_dict())
    assert isinstance(network, StochasticNetwork)
    torch.manual_seed(_seed(run.seed, len(STAGES), 0))
    finish(job, network, command, began)


def _beginning(job: Job, command: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """What a log's line says when a training starts: all that its result depends on."""
    return {
        "event": "start",
        "run": job.run.name,
        "seed": job.run.seed,
        "command": command,
        "table": checkpoint.table_digest(table),
        "data": job.training.digest(),
        "hardware": hardware(job.device),
        "threads": torch.get_num_threads(),
        "versions": dict(versions()),
    }


def _since(state: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the line says besides when a training goes on: threads and versions that are not those of before."""
    if state is None:
        return {}
    now = {"threads": torch.get_num_threads(), "versions": dict(versions())}
    return {"event": "resume", "before": {key: state[key] for key in now if state[key] != now[key]}}


def _fit(job: Job, index: int, stage: Stage, resumed: Mapping[str, Any] | None, began: float) -> None:
    optimizer = torch.optim.AdamW(stage.groups, lr=0.0, fused=True)
    done = 0
    if resumed is not None:
        stage.network.load_state_dict(resumed["network"])
        optimizer.load_state_dict(resumed["optimizer"])
        done = resumed["epoch"]
    steps = max(1, len(job.images) // job.run.batch)
    total = stage.epochs * steps
    data_digest = job.training.digest()
    with tqdm(total=total, initial=done * steps, unit="batch", disable=job.quiet) as bar:
        for epoch in range(done, stage.epochs):
            bar.set_description(f"{STAGES[index]} {epoch + 1}/{stage.epochs}")
            torch.manual_seed(_seed(job.run.seed, index, epoch + 1))
            training_accuracy = _epoch(job, stage, optimizer, bar, epoch * steps, total)
            held_out_accuracy = stage.held_out_accuracy()
            seconds = time.monotonic() - began
            state = {
                "stage": index,
                "epoch": epoch + 1,
                "network": stage.network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "seconds": seconds,
                "data_digest": data_digest,
                "threads": torch.get_num_threads(),
                "versions": dict(versions()),
            }
            checkpoint.save_tensors(job.folder / "state.pt", state)
            record = {
                "event": "epoch",
                "stage": STAGES[index],
                "epoch": epoch + 1,
                "training_accuracy": round(training_accuracy, 5),
                "held_out_accuracy": round(held_out_accuracy, 5),
                "seconds": round(seconds, 1),
            }
            log.append(job.log, record)


def _epoch(
    job: Job, stage: Stage, optimizer: torch.optim.Optimizer, bar: tqdm, done: int, total: int
) -> float:
    """One pass over the training images, after `done` of `total` steps; gives the accuracy as they were met."""
    stage.network.train()
    right = torch.zeros((), dtype=torch.int64, device=job.device)
    seen = 0
    for step, (images, labels) in enumerate(_batches(job), start=done + 1):
        progress = step / total
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * one_cycle(progress)
        logits = stage.network(images)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits, labels).backward()
        optimizer.step()
        stage.after_step(step, progress)
        right += (logits.argmax(dim=1) == labels).sum()
        seen += len(labels)
        if step % 20 == 0:
            bar.set_postfix(accuracy=f"{float(right) / seen:.4f}", refresh=False)
        bar.update()
    return float(right) / seen


def _batches(job: Job) -> Iterator[tuple[Tensor, Tensor]]:
    """The training images once, in random order and augmented, as x and labels.

    A last batch that would be smaller is left out, unless it is the only one.
    """
    order = torch.randperm(len(job.images), device=job.device)
    batch = min(job.run.batch, len(order))
    for rows in order[: len(order) // batch * batch].split(batch):
        pixels = job.images[rows].permute(0, 3, 1, 2).float()
        yield augment(pixels, job.run.augmentation) - 128.0, job.labels[rows]


def one_cycle(progress: float) -> float:
    """The part of the highest learning rate at a point in 0 … 1: up along a line, then down along a cosine to 0."""
    if progress < WARM_UP:
        return 0.04 + 0.96 * progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def _seed(seed: int, stage: int, epoch: int) -> int:
    return (seed * 100 + stage) * 10_000 + epoch
