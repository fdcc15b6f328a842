"""Training, from float weights to chosen discrete networks, in stages.

    twin          float weights under hardtanh: the baseline, and where the next stage starts
    signs         the same weights under signs, with straight-through gradients
    distribution  a distribution for every weight, by the local reparameterization trick
    freezing …    layer after layer the best of many discrete versions, and the rest trained on
    members       the frozen network and draws of the distribution, chosen on the held-out images

Where the run's method is the straight-through estimator, a stage `ste` comes in the place of the third and fourth.
The held-out images decide; the test images are read once, when all is chosen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from lrnet import checkpoint, distributed
from lrnet.augment import augment
from lrnet.finish import finish
from lrnet.job import Job, Settings, hardware, open_job, versions
from lrnet.networks import FloatNetwork, StochasticNetwork
from lrnet.objective import loss, mix, targets
from lrnet.run import to_run
from lrnet.seeds import seed_of
from lrnet.stages import KEPT, Stage, Step, build, plan

WARM_UP = 0.2
"""The part of a stage in which the learning rate rises."""


MOST_COMPILED = 128
"""Versions of a compiled step, one for each shape of a layer, in training and in evaluation; by PyTorch's own limit, 8,
the later layers of a ResNet-18 would not be compiled."""


def train(
    table: Mapping[str, Any],
    folder: Path,
    *,
    data: Path | None,
    log_path: Path,
    command: str,
    settings: Settings,
) -> None:
    """Trains the run that a table describes into a checkpoint folder.

    An interrupted training of the same run goes on after its last whole epoch, to the same result. `command` is
    noted in the record. Raises RunError, DataError, CheckpointError, ValueError.
    """
    run = to_run(table)
    with distributed.processes(settings.device):
        steps = plan(run)
        epochs = [step.epochs for step in steps]
        state = distributed.one_by_one(lambda: checkpoint.open_folder(folder, table, epochs))
        if (folder / "record.json").exists():
            raise checkpoint.CheckpointError(f"{folder}: this training is finished")
        job = open_job(run, folder, log_path, data, settings)
        if state is not None and state["data_digest"] != job.training.digest():
            raise checkpoint.CheckpointError(f"{folder}: these are not the data that its training began with")
        began = time.monotonic() - (state["seconds"] if state else 0.0)
        job.note({**_beginning(job, command, table), **_since(job, state)})
        network: FloatNetwork | StochasticNetwork | None = None
        for index, step in enumerate(steps):
            if state is not None and index < state["stage"]:
                continue
            # Seeded for each stage, as for each epoch, so that a checkpoint need not hold a generator's state.
            torch.manual_seed(seed_of(run.seed, index, 0))
            stage = build(job, step, network)
            resumed = state if state is not None and index == state["stage"] else None
            _fit(job, index, step, stage, resumed, began)
            network = stage.network
            if step.kind in KEPT:
                job.keep(network, KEPT[step.kind])
        torch.manual_seed(seed_of(run.seed, len(steps), 0))
        if distributed.rank() == 0:
            assert network is not None
            finish(job, network, command, began)
        distributed.wait()


def _beginning(job: Job, command: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """What a log's line says when a training starts: all that its result depends on."""
    return {
        "event": "start",
        "run": job.run.name,
        "seed": job.run.seed,
        "command": command,
        "table": checkpoint.table_digest(table),
        # What trainings share that are averaged over seeds.
        "setting": checkpoint.table_digest({key: value for key, value in table.items() if key != "seed"}),
        "data": job.training.digest(),
        **_circumstances(job),
    }


def _circumstances(job: Job) -> dict[str, Any]:
    """What may change a result's last digits, beside the run and the data."""
    return {
        "hardware": hardware(job.device),
        "threads": torch.get_num_threads(),
        "processes": distributed.world(),
        "compile": job.settings.compile,
        "bfloat16": job.settings.bfloat16,
        "versions": dict(versions()),
    }


def _since(job: Job, state: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the line says besides when a training goes on: the circumstances that are not those of before."""
    if state is None:
        return {}
    now = _circumstances(job)
    return {"event": "resume", "before": {key: state[key] for key in now if state[key] != now[key]}}


def _fit(
    job: Job, index: int, step: Step, stage: Stage, resumed: Mapping[str, Any] | None, began: float
) -> None:
    optimizer = torch.optim.AdamW(stage.groups, lr=0.0, fused=True)
    done = 0
    if resumed is not None:
        try:
            stage.network.load_state_dict(resumed["network"])
            optimizer.load_state_dict(resumed["optimizer"])
        except (RuntimeError, TypeError, AttributeError, LookupError, ValueError) as error:
            raise checkpoint.CheckpointError(
                f"{job.folder / 'state.pt'}: it does not hold the network and optimizer of the stage {step.name}"
            ) from error
        done = resumed["epoch"]
    distributed.share(stage.network)
    if job.settings.compile:
        torch._dynamo.config.recompile_limit = MOST_COMPILED
        stage.network.compile_steps()
    steps = max(1, len(job.images) // job.run.batch)
    total = step.epochs * steps
    data_digest, circumstances = job.training.digest(), _circumstances(job)
    with tqdm(total=total, initial=done * steps, unit="batch", disable=job.quiet) as bar:
        for epoch in range(done, step.epochs):
            bar.set_description(f"{step.name} {epoch + 1}/{step.epochs}")
            seed = seed_of(job.run.seed, index, epoch + 1)
            torch.manual_seed(seed)
            training_accuracy = _epoch(job, step, stage, optimizer, bar, seed, epoch * steps, total)
            if distributed.rank() > 0:
                continue
            held_out_accuracy = stage.held_out_accuracy()
            seconds = time.monotonic() - began
            state = {
                "stage": index,
                "epoch": epoch + 1,
                "network": stage.network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "seconds": seconds,
                "data_digest": data_digest,
                **circumstances,
            }
            checkpoint.save_tensors(job.folder / "state.pt", state)
            job.note(
                {
                    "event": "epoch",
                    "stage": step.kind,
                    "epoch": step.before + epoch + 1,
                    "training_accuracy": round(training_accuracy, 5),
                    "held_out_accuracy": round(held_out_accuracy, 5),
                    "seconds": round(seconds, 1),
                }
            )


def _epoch(
    job: Job,
    step: Step,
    stage: Stage,
    optimizer: torch.optim.Optimizer,
    bar: tqdm,
    seed: int,
    done: int,
    total: int,
) -> float:
    """One pass over the training images, after `done` of `total` steps; gives the accuracy as they were met."""
    stage.network.train()
    right = torch.zeros((), dtype=torch.int64, device=job.device)
    seen = 0
    taught = step.kind != "twin"
    for number, (images, labels) in enumerate(batches(job), start=done + 1):
        progress = number / total
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * one_cycle(progress)
        logits = descend(job, stage, optimizer, images, labels, seed, number - done, taught=taught)
        stage.after_step(number, progress)
        right += (logits.argmax(dim=1) == labels[job.mine(len(labels))]).sum()
        seen += len(labels)
        if number % 20 == 0:
            bar.set_postfix(accuracy=f"{float(right) * distributed.world() / seen:.4f}", refresh=False)
        bar.update()
    return float(distributed.total(right)) / seen


def descend(
    job: Job,
    stage: Stage,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    seed: int,
    number: int,
    *,
    taught: bool,
) -> Tensor:
    """One step down the gradient of a batch of x and labels; gives this process's logits, [its rows, classes]."""
    objective, mine = job.run.objective, job.mine(len(labels))
    target = targets(labels, len(job.run.labels), objective)
    if objective.mixup > 0:
        images, order, share = mix(images, objective.mixup)
        target = torch.lerp(target[order], target, share)
    with torch.autocast(job.device.type, torch.bfloat16, enabled=job.settings.bfloat16):
        logits = stage.network(images[mine], job.noise.at(seed, number))
        teacher = job.teacher(images[mine]) if taught and objective.distillation > 0 else None
    optimizer.zero_grad(set_to_none=True)
    (loss(logits, target[mine].to(logits.dtype), teacher, objective) / len(labels)).backward()
    distributed.sum_gradients(stage.network.parameters())
    optimizer.step()
    return logits.detach()


def batches(job: Job) -> Iterator[tuple[Tensor, Tensor]]:
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
