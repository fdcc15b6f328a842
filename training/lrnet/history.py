"""The trainings that a log tells of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrnet import log
from lrnet.stages import KINDS

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Epoch:
    """stage: one of KINDS; epoch: from 1 in each stage; training, held_out: accuracies, 0 … 1."""

    stage: str
    epoch: int
    training: float
    held_out: float


@dataclass(frozen=True)
class Training:
    """beginning: the line that it started with; epochs: in the order of stages.

    members, test: the lines that it ended with, or None. mixed: lines of another training stand among its own, and
    which are whose cannot be told.
    """

    beginning: Event
    epochs: tuple[Epoch, ...]
    members: Event | None
    test: Event | None
    mixed: bool


def trainings(path: Path) -> list[Training]:
    """The trainings that a log tells of, in the order in which they began.

    Lines belong to the last `start` or `resume` before them. Raises OSError; ValueError for what is no log.
    """
    found: list[list[Event]] = []
    by_key: dict[str, list[Event]] = {}
    current: list[Event] | None = None
    for event in log.read(path):
        if event["event"] in ("start", "resume"):
            key = json.dumps([event.get(word) for word in ("run", "seed", "table")])
            if event["event"] == "start" or key not in by_key:
                by_key[key] = []
                found.append(by_key[key])
            current = by_key[key]
        if current is not None:
            current.append(event)
    try:
        return [_training(events) for events in found]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def training_of(path: Path, provenance: Mapping[str, Any]) -> Training | None:
    """The training that gave a model of this provenance, or None where the log does not tell of it.

    It is the last one of the model's run, seed and data that chose the same candidates as members, with the same
    accuracy of member 0. Raises as `trainings`.
    """
    wanted = {word: provenance.get(word) for word in ("run", "seed", "chosen")}
    first = provenance["figures"]["heldOut"]["members"][0]["accuracy"]
    for training in reversed(trainings(path)):
        if training.mixed or training.members is None:
            continue
        said = {**training.beginning, **training.members}
        held_out = said.get("held_out")
        if (
            all(said.get(word) == value for word, value in wanted.items())
            # The oldest logs do not say on what data.
            and said.get("data", provenance["dataDigest"]) == provenance["dataDigest"]
            and isinstance(held_out, dict)
            and isinstance(held_out.get("accuracy"), list)
            and held_out["accuracy"][:1] == [first]
        ):
            return training
    return None


def _training(events: Sequence[Event]) -> Training:
    """Raises ValueError for an epoch's line that holds no epoch."""
    beginning = events[0]
    epochs: dict[tuple[str, int], Epoch] = {}
    # What has been met since the training last went on: whoever went on from an older checkpoint repeats epochs.
    met: set[tuple[str, int]] = set()
    ends: list[Event] = []
    mixed = False
    for event in events:
        if event["event"] == "resume":
            met.clear()
            # Whoever went on behind the choice of the members, as after a failure at the test images, chooses again.
            ends.clear()
        elif event["event"] == "epoch":
            epoch = _epoch(event)
            place = (epoch.stage, epoch.epoch)
            mixed = mixed or place in met
            met.add(place)
            epochs[place] = epoch
        elif event["event"] == "members":
            ends.append(event)
    test = _test(events)
    if test is not None:
        mixed = mixed or any(test.get(word) != beginning.get(word) for word in ("run", "seed"))
    return Training(
        beginning=beginning,
        epochs=tuple(sorted(epochs.values(), key=lambda epoch: (KINDS.index(epoch.stage), epoch.epoch))),
        members=ends[0] if ends else None,
        test=test,
        mixed=mixed or len(ends) > 1,
    )


def _test(events: Iterable[Event]) -> Event | None:
    """The training's own reading: the first one behind its members; those of models name no run."""
    ended = False
    reading: Event | None = None
    for event in events:
        if event["event"] == "resume":
            ended, reading = False, None
        ended = ended or event["event"] == "members"
        if ended and reading is None and event["event"] == "test" and "run" in event:
            reading = event
    return reading


def _epoch(event: Event) -> Epoch:
    stage, epoch = event.get("stage"), event.get("epoch")
    accuracies = (event.get("training_accuracy"), event.get("held_out_accuracy"))
    if (
        stage not in KINDS
        or type(epoch) is not int
        or epoch < 1
        or not all(type(value) in (int, float) and 0 <= value <= 1 for value in accuracies)
    ):
        raise ValueError(f"the line of {event.get('time')} is no epoch: {dict(event)}")
    return Epoch(stage, epoch, *accuracies)
