"""Whose lines are whose, in logs with several trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import logs
import pytest

from lrnet.history import training_of, trainings

PROVENANCE: dict[str, Any] = {
    "run": "lenet",
    "seed": 1,
    "chosen": [4, 0],
    "dataDigest": "data",
    "figures": {"heldOut": {"members": [{"accuracy": 0.93}, {"accuracy": 0.95}]}},
}


def test_a_training_has_the_lines_from_its_start_to_the_next(tmp_path: Path) -> None:
    path = logs.write(
        tmp_path / "log.jsonl",
        logs.start(1),
        logs.epoch("twin", 1, held_out=0.7),
        logs.members(),
        logs.reading(1, first=0.91),
        {"event": "export", "model": "lenet/1", "digest": "d"},
        logs.start(2),
        logs.epoch("twin", 1, held_out=0.8),
    )
    first, second = trainings(path)
    assert [each.held_out for each in first.epochs] == [0.7]
    assert first.test is not None
    assert first.test["accuracy"][0] == 0.91
    assert [each.held_out for each in second.epochs] == [0.8]
    assert second.members is None
    assert second.test is None
    assert not first.mixed
    assert not second.mixed


def test_epochs_are_in_the_order_of_their_stages(tmp_path: Path) -> None:
    lines = [
        logs.epoch("twin", 2),
        logs.epoch("distribution", 1),
        logs.epoch("twin", 1),
        logs.epoch("signs", 1),
    ]
    (training,) = trainings(logs.write(tmp_path / "log.jsonl", logs.start(), *lines))
    assert [(each.stage, each.epoch) for each in training.epochs] == [
        ("twin", 1),
        ("twin", 2),
        ("signs", 1),
        ("distribution", 1),
    ]


def test_a_training_goes_on_behind_another_that_began_meanwhile(tmp_path: Path) -> None:
    path = logs.write(
        tmp_path / "log.jsonl",
        logs.start(1),
        logs.epoch("twin", 1),
        logs.start(2),
        logs.epoch("twin", 1, held_out=0.6),
        logs.members(),
        logs.reading(2),
        {**logs.start(1), "event": "resume"},
        logs.epoch("twin", 2),
        logs.members(),
        logs.reading(1),
    )
    first, second = trainings(path)
    assert [each.epoch for each in first.epochs] == [1, 2]
    assert first.members is not None
    assert [each.held_out for each in second.epochs] == [0.6]
    assert not first.mixed
    assert not second.mixed


def test_a_training_whose_start_is_not_in_the_log_begins_with_its_resumption(tmp_path: Path) -> None:
    path = logs.write(
        tmp_path / "log.jsonl",
        logs.epoch("twin", 1),
        {**logs.start(1), "event": "resume"},
        logs.epoch("twin", 2),
    )
    (training,) = trainings(path)
    assert [each.epoch for each in training.epochs] == [2]


def test_an_epoch_that_is_done_again_from_an_older_checkpoint_counts_once(tmp_path: Path) -> None:
    path = logs.write(
        tmp_path / "log.jsonl",
        logs.start(1),
        logs.epoch("twin", 1, held_out=0.5),
        {**logs.start(1), "event": "resume"},
        logs.epoch("twin", 1, held_out=0.6),
    )
    (training,) = trainings(path)
    assert [each.held_out for each in training.epochs] == [0.6]
    assert not training.mixed


def test_a_training_that_went_on_behind_its_members_ended_with_the_last_ones(tmp_path: Path) -> None:
    resume = {**logs.start(1), "event": "resume"}
    lines = [logs.start(1), logs.epoch("twin", 1), logs.members(first=0.5), resume, logs.members(first=0.93)]
    (training,) = trainings(logs.write(tmp_path / "unread.jsonl", *lines, logs.reading(1)))
    assert not training.mixed
    assert training.members is not None
    assert training.members["held_out"]["accuracy"][0] == 0.93
    assert training.test is not None
    assert training_of(tmp_path / "unread.jsonl", PROVENANCE) == training
    lines.insert(3, logs.reading(1, first=0.5))
    (training,) = trainings(logs.write(tmp_path / "read.jsonl", *lines, logs.reading(1, first=0.92)))
    assert not training.mixed
    assert training.test is not None
    assert training.test["accuracy"][0] == 0.92
    (training,) = trainings(logs.write(tmp_path / "unfinished.jsonl", *lines[:5]))
    assert (training.members, training.test) == (None, None)


def test_trainings_that_wrote_at_once_are_not_taken_apart(tmp_path: Path) -> None:
    both = [logs.start(1), logs.start(2), logs.epoch("twin", 1), logs.epoch("twin", 1)]
    assert trainings(logs.write(tmp_path / "epochs.jsonl", *both))[1].mixed
    ends = [logs.start(1), logs.start(2), logs.members(), logs.members()]
    assert trainings(logs.write(tmp_path / "members.jsonl", *ends))[1].mixed
    readings = [logs.start(1), logs.start(2), logs.members(), logs.reading(1)]
    assert trainings(logs.write(tmp_path / "readings.jsonl", *readings))[1].mixed


def test_the_readings_of_models_and_those_gathered_from_elsewhere_are_not_the_trainings_own(
    tmp_path: Path,
) -> None:
    path = logs.write(
        tmp_path / "log.jsonl",
        logs.start(1),
        logs.reading(9),
        logs.members(),
        {"event": "test", "model": "lenet/1", "accuracy": [0.1], "baseline": 0.1},
        logs.reading(1),
        logs.reading(7),
    )
    (training,) = trainings(path)
    assert training.test is not None
    assert training.test["seed"] == 1
    assert not training.mixed


def test_a_models_training_is_the_last_that_gave_its_members(tmp_path: Path) -> None:
    path = logs.write(
        tmp_path / "log.jsonl",
        *(logs.start(1), logs.epoch("twin", 1, held_out=0.1), logs.members(), logs.reading(1)),
        *(logs.start(1), logs.epoch("twin", 1, held_out=0.2), logs.members(), logs.reading(1)),
        *(logs.start(2), logs.epoch("twin", 1, held_out=0.3), logs.members(), logs.reading(2)),
        *(logs.start(1), logs.epoch("twin", 1, held_out=0.4), logs.members(first=0.94), logs.reading(1)),
        *(logs.start(1), logs.epoch("twin", 1, held_out=0.5), {**logs.members(), "chosen": [0, 4]}),
        *(logs.start(1, data="others"), logs.epoch("twin", 1, held_out=0.6), logs.members()),
        *(logs.start(1), logs.epoch("twin", 1, held_out=0.7)),
        *(logs.start(1), logs.epoch("twin", 1), logs.epoch("twin", 1), logs.members()),
    )
    training = training_of(path, PROVENANCE)
    assert training is not None
    assert training.epochs[0].held_out == 0.2


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"held_out": 7},
        {"held_out": {}},
        {"held_out": {"accuracy": "0.93"}},
        {"held_out": {"accuracy": []}},
    ],
)
def test_a_log_that_does_not_tell_of_a_models_training_gives_none(
    tmp_path: Path, line: dict[str, Any]
) -> None:
    path = logs.write(tmp_path / "log.jsonl", logs.start(), {"event": "members", "chosen": [4, 0], **line})
    assert training_of(path, PROVENANCE) is None


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "warm-up"},
        {"stage": ["twin"]},
        {"epoch": 0},
        {"epoch": True},
        {"epoch": "1"},
        {"held_out_accuracy": 1.5},
        {"held_out_accuracy": None},
        {"training_accuracy": "0.5"},
    ],
)
def test_a_line_that_holds_no_epoch_is_an_error_that_names_the_log(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    path = logs.write(tmp_path / "log.jsonl", logs.start(), {**logs.epoch("twin", 1), **change})
    with pytest.raises(ValueError, match=r"log\.jsonl: the line of 2026-01-01T00:00:01.* is no epoch"):
        trainings(path)


def test_an_empty_log_tells_of_no_training(tmp_path: Path) -> None:
    assert trainings(logs.write(tmp_path / "log.jsonl")) == []
