"""The last stage: members are drawn and chosen, temperatures fitted, and the test images read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from lrnet import checkpoint, log
from lrnet.calibrate import accuracy, fit_temperatures, mean_probabilities
from lrnet.data import Split, read_test
from lrnet.job import Job, hardware, versions
from lrnet.members import Chosen, Member, choose, draw, logits_of
from lrnet.networks import StochasticNetwork
from lrnet.stages import float_logits


def finish(job: Job, network: StochasticNetwork, command: str, began: float) -> None:
    """Writes members.pt and record.json, and logs what was chosen and what the test images gave."""
    run = job.run
    chosen = choose(_candidates(job, network), run.members.count, job.held_out)
    checkpoint.save_members(job.folder, chosen.members)
    temperatures = fit_temperatures(chosen.logits, job.held_out.labels)
    twin = checkpoint.load_float(job.folder).to(job.device)
    held_out = _figures(
        chosen.logits,
        temperatures,
        float_logits(twin, job.held_out_images).cpu().numpy(),
        job.held_out,
    )
    log.append(job.log, {"event": "members", **_choice(chosen), "held_out": held_out})
    test = read_test(run.data, job.data)
    test_images = torch.tensor(test.images, device=job.device)
    test_logits = np.stack([_logits(job, member, test_images) for member in chosen.members])
    figures = _figures(test_logits, temperatures, float_logits(twin, test_images).cpu().numpy(), test)
    log.append(job.log, {"event": "test", "run": run.name, "seed": run.seed, **figures})
    checkpoint.save_json(
        job.folder / "record.json",
        {
            "name": run.name,
            "data": run.data,
            "seed": run.seed,
            "command": command,
            **checkpoint.log_entry(job.folder, job.log),
            "hardware": hardware(job.device),
            "versions": dict(versions()),
            "threads": torch.get_num_threads(),
            "seconds": round(time.monotonic() - began, 1),
            "training_n": len(job.training),
            "held_out_n": len(job.held_out),
            "data_digest": job.training.digest(),
            **_choice(chosen),
            "temperatures": temperatures,
            "held_out": held_out,
            "test": figures,
        },
    )


def _candidates(job: Job, network: StochasticNetwork) -> Iterator[tuple[Member, NDArray[np.float32]]]:
    members = job.run.members
    images = job.images[torch.randperm(len(job.images), device=job.device)[: members.images]]
    candidates = draw(network, members.candidates, images)
    for member in tqdm(candidates, "members", members.candidates + 1, unit="draw", disable=job.quiet):
        yield member, _logits(job, member, job.held_out_images)


def _logits(job: Job, member: Member, images: torch.Tensor) -> NDArray[np.float32]:
    return logits_of(member, job.run.input, job.run.labels, job.run.graph, images)


def _choice(chosen: Chosen) -> dict[str, Any]:
    """Which candidates became members, and how good the candidates were."""
    return {
        "chosen": list(chosen.candidates),
        "most_probable_accuracy": chosen.scores[0],
        "draws": len(chosen.scores) - 1,
        "draw_accuracy_mean": float(np.mean(chosen.scores[1:])),
        "draw_accuracy_deviation": float(np.std(chosen.scores[1:])),
    }


def _figures(
    logits: NDArray[np.float32],
    temperatures: list[float],
    twin: NDArray[np.float32],
    split: Split,
) -> dict[str, Any]:
    """n, the accuracy of the first 1 … K members, of each member alone, and of the float twin."""
    return {
        "n": len(split),
        "accuracy": [
            accuracy(mean_probabilities(logits[:k], temperature), split.labels)
            for k, temperature in enumerate(temperatures, start=1)
        ],
        "alone": [accuracy(mean_probabilities(each[None]), split.labels) for each in logits],
        "baseline": accuracy(mean_probabilities(twin[None]), split.labels),
    }
