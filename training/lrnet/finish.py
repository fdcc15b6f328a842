"""The last stage: members are drawn and chosen, temperatures fitted, and the test images read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from lrnet import checkpoint, log
from lrnet.calibrate import accuracy, fit_temperatures, mean_probabilities
from lrnet.data import Split, read_test
from lrnet.discrete import DiscreteNetwork
from lrnet.forward import discrete_logits
from lrnet.job import Job, hardware, versions
from lrnet.members import Candidate, Chosen, choose, drawn, frozen, most_probable
from lrnet.networks import FloatNetwork, StochasticNetwork
from lrnet.scores import score_members
from lrnet.stages import float_logits, settled
from lrnet.versions import Evidence


def finish(job: Job, network: FloatNetwork | StochasticNetwork, command: str, began: float) -> None:
    """Writes members.pt and record.json, and logs what was chosen and what the test images gave."""
    run = job.run
    chosen = _choose(job, network)
    checkpoint.save_members(job.folder, chosen.members)
    temperatures = fit_temperatures(chosen.logits, job.held_out.labels)
    twin = job.twin
    held_out = _figures(
        chosen.logits,
        temperatures,
        float_logits(twin, job.held_out_images).cpu().numpy(),
        job.held_out,
    )
    log.append(job.log, {"event": "members", **_choice(chosen), "held_out": held_out})
    test = _test(job, chosen, temperatures) if job.settings.test else None
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
            "test": test,
        },
    )


def _test(job: Job, chosen: Chosen, temperatures: list[float]) -> dict[str, Any]:
    """The figures on the test images, whose reading is logged."""
    run = job.run
    test = read_test(run.data, job.data)
    images = torch.tensor(test.images, device=job.device)
    network = DiscreteNetwork(run.input, run.labels, run.graph, chosen.members)
    logits = np.stack(
        [discrete_logits(network, member, images).cpu().numpy() for member in range(len(chosen.members))]
    )
    figures = _figures(logits, temperatures, float_logits(job.twin, images).cpu().numpy(), test)
    log.append(job.log, {"event": "test", "run": run.name, "seed": run.seed, **figures})
    return figures


def _choose(job: Job, network: FloatNetwork | StochasticNetwork) -> Chosen:
    """The members: the straight-through network alone, or the frozen one first, or else the best draw first."""
    settings = job.run.members
    evidence = Evidence.of(job.sample(settings.images), job.held_out_images, job.held_out.labels)
    if isinstance(network, FloatNetwork):
        return choose([most_probable(settled(job, network), evidence)], 1, job.held_out)
    first = 0 if job.run.freezing.candidates > 0 else None
    return choose(_candidates(job, network, evidence), settings.count, job.held_out, first=first)


def _candidates(job: Job, network: StochasticNetwork, evidence: Evidence) -> Iterator[Candidate]:
    """The best network of all, by freezing or by probability, then draws of the distribution before any freezing."""
    run = job.run
    drawable = StochasticNetwork(run.input, run.graph, job.pixel_mean).to(job.device)
    drawable.load_state_dict(checkpoint.load_tensors(job.folder / "distribution.pt"))
    candidates = chain(
        [frozen(network, evidence, run.freezing.candidates)],
        (drawn(drawable, evidence, run.members.draws) for _ in range(run.members.candidates)),
    )
    count = run.members.candidates + 1
    yield from tqdm(candidates, "members", count, unit="draw", disable=job.quiet)


def _choice(chosen: Chosen) -> dict[str, Any]:
    """Which candidates became members, and how good the candidates were: the first, and the drawn ones.

    The first is the frozen network or the most probable one; older logs call its accuracy `most_probable_accuracy`.
    """
    choice = {
        "chosen": list(chosen.candidates),
        "first_accuracy": chosen.scores[0],
        "draws": len(chosen.scores) - 1,
    }
    if len(chosen.scores) == 1:
        return choice
    return {
        **choice,
        "draw_accuracy_mean": float(np.mean(chosen.scores[1:])),
        "draw_accuracy_deviation": float(np.std(chosen.scores[1:])),
        "unchosen_accuracy": chosen.unchosen,
    }


def _figures(
    logits: NDArray[np.float32],
    temperatures: list[float],
    twin: NDArray[np.float32],
    split: Split,
) -> dict[str, Any]:
    """n, the figures of the first 1 … K members, the accuracy of each member alone, and of the float twin."""
    scores = score_members(logits, temperatures, split.labels)
    return {
        "n": len(split),
        "accuracy": [score.accuracy for score in scores],
        "log_loss": [score.log_loss for score in scores],
        "calibration_error": [score.calibration_error for score in scores],
        "alone": [accuracy(mean_probabilities(each[None]), split.labels) for each in logits],
        "baseline": accuracy(mean_probabilities(twin[None]), split.labels),
    }
