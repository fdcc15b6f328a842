"""Whole trainings, of a network small enough for a second or two."""

from __future__ import annotations

import importlib.metadata
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import interrupted_after, train_quietly

from lrnet.checkpoint import (
    CheckpointError,
    default_log,
    load_discrete,
    load_float,
    load_record,
    load_tensors,
    log_entry,
)
from lrnet.data import DataError, read_test
from lrnet.forward import discrete_logits, to_input
from lrnet.job import Job, Settings, open_job
from lrnet.run import read_run
from lrnet.train import one_cycle

RUN = Path(__file__).parent.parent / "runs" / "digits.toml"

SMALL = [
    "held_out=900",
    "batch=50",
    "twin.epochs=2",
    "signs.epochs=2",
    "distribution.epochs=3",
    "members.count=3",
    "members.candidates=4",
    "members.images=100",
    'graph=[{name="conv1", op="conv2d", out=8, kernel=3, pool=2, weights="ternary"},'
    ' {name="logits", op="linear", out=10, weights="binary", output="floats"}]',
]


def run_training(folder: Path, overrides: tuple[str, ...] = ()) -> Path:
    _, table = read_run(RUN, [*SMALL, *overrides])
    train_quietly(table, folder, log_path=folder.with_suffix(".jsonl"))
    return folder


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_training(tmp_path_factory.mktemp("train") / "straight")


def events(folder: Path) -> list[dict[str, Any]]:
    lines = folder.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def assert_same_results(first: Path, second: Path) -> None:
    for name in ("float.pt", "members.pt"):
        assert _plain(load_tensors(first / name)) == _plain(load_tensors(second / name))
    one, other = load_record(first), load_record(second)
    for key in ("chosen", "temperatures", "held_out", "test"):
        assert one[key] == other[key]


def _plain(value: object) -> object:
    """Tensors as bytes, so that equality is to the bit."""
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.numpy().tobytes())
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("epochs", [1, 2, 3, 6])
def test_an_interrupted_training_goes_on_to_the_same_result(
    straight: Path, tmp_path: Path, epochs: int
) -> None:
    with interrupted_after(epochs):
        run_training(tmp_path / "resumed")
    torch.rand(17)  # whatever came between must not matter
    run_training(tmp_path / "resumed")
    assert_same_results(straight, tmp_path / "resumed")
    assert [event["event"] for event in events(tmp_path / "resumed")].count("resume") == 1


def test_missing_test_images_are_noticed_before_the_training(tmp_path: Path) -> None:
    for name, shape in (("images-idx3", (60_000, 28, 28)), ("labels-idx1", (60_000,))):
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
        (tmp_path / f"train-{name}-ubyte").write_bytes(header + bytes(math.prod(shape)))
    run, _ = read_run(RUN.with_name("mnist.toml"))

    def opened(*, test: bool) -> Job:
        settings = Settings(torch.device("cpu"), test=test)
        return open_job(run, tmp_path / "checkpoint", tmp_path / "log.jsonl", tmp_path, settings)

    with pytest.raises(DataError, match="t10k-images"):
        opened(test=True)
    assert len(opened(test=False).training) == 60_000 - run.held_out


def test_the_record_names_a_log_that_lies_elsewhere_and_no_other(straight: Path, tmp_path: Path) -> None:
    assert load_record(straight)["log"] == str(straight.with_suffix(".jsonl").resolve())
    assert log_entry(tmp_path, default_log(tmp_path)) == {}


def test_a_start_is_logged_with_all_that_the_result_depends_on(straight: Path, tmp_path: Path) -> None:
    start = events(straight)[0]
    other = events(run_training(tmp_path / "other", ("seed=2",)))[0]
    assert start["command"] == "lrnet train digits.toml"
    assert start["threads"] == torch.get_num_threads()
    assert start["versions"]["torch"] == importlib.metadata.version("torch")
    assert re.fullmatch("[0-9a-f]{64}", start["table"])
    assert start["table"] != other["table"]
    # The seed is no part of what is averaged over seeds; all else is.
    assert re.fullmatch("[0-9a-f]{64}", start["setting"])
    assert start["setting"] == other["setting"]
    longer = events(run_training(tmp_path / "longer", ("signs.epochs=1",)))[0]
    assert start["setting"] != longer["setting"]
    assert start["data"] == other["data"] == load_record(straight)["data_digest"]


def interrupted(folder: Path, straight: Path, **changes: Any) -> Path:  # noqa: ANN401
    """A training that was interrupted in its last epoch, with a state of which something is changed."""
    folder.mkdir()
    (folder / "run.json").write_bytes((straight / "run.json").read_bytes())
    (folder / "float.pt").write_bytes((straight / "float.pt").read_bytes())
    torch.save(load_tensors(straight / "state.pt") | changes, folder / "state.pt")
    return folder


def test_a_training_does_not_go_on_with_other_data(straight: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not the data"):
        run_training(interrupted(tmp_path / "other", straight, data_digest="ab" * 32))


def test_a_state_without_what_it_needs_is_refused(straight: Path, tmp_path: Path) -> None:
    folder = interrupted(tmp_path / "old", straight)
    torch.save({"stage": 1}, folder / "state.pt")
    with pytest.raises(CheckpointError, match=r"state\.pt: it has no epoch.*; .*another version of lrnet"):
        run_training(folder)


def test_a_state_of_before_its_circumstances_were_kept_is_refused_by_what_it_lacks(
    straight: Path, tmp_path: Path
) -> None:
    folder = interrupted(tmp_path / "old", straight)
    state = load_tensors(folder / "state.pt")
    for key in ("hardware", "processes", "compile", "bfloat16"):
        del state[key]
    torch.save(state, folder / "state.pt")
    with pytest.raises(CheckpointError, match=r"it has no hardware, processes, compile, bfloat16; .*version"):
        run_training(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": 99},
        {"stage": -1},
        {"stage": "x"},
        {"stage": True},
        {"epoch": "q"},
        {"epoch": 0},
        {"epoch": 4},
        {"seconds": "q"},
        {"seconds": math.nan},
        {"network": {}},
        {"network": [1]},
        {"optimizer": {}},
        {"optimizer": {"state": {}, "param_groups": []}},
        {"optimizer": {"state": {}, "param_groups": [1, 2]}},
        {"data_digest": 7},
        {"hardware": 7},
        {"threads": "two"},
        {"threads": True},
        {"processes": None},
        {"compile": 1},
        {"bfloat16": "no"},
        {"versions": {"torch": torch.zeros(2)}},
    ],
    ids=str,
)
def test_a_state_of_which_something_is_damaged_is_refused_by_name(
    straight: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(CheckpointError, match=r"state\.pt: "):
        run_training(interrupted(tmp_path / "damaged", straight, **changes))


def test_a_training_that_goes_on_notes_the_circumstances_that_are_others(
    straight: Path, tmp_path: Path
) -> None:
    others = {
        "hardware": "an abacus",
        "threads": 64,
        "processes": 2,
        "compile": True,
        "bfloat16": True,
        "versions": {"torch": "0"},
    }
    folder = run_training(interrupted(tmp_path / "moved", straight, **others))
    resume = events(folder)[0]
    assert (resume["event"], resume["command"]) == ("resume", "lrnet train digits.toml")
    assert resume["before"] == others
    same = run_training(interrupted(tmp_path / "same", straight))
    assert events(same)[0]["before"] == {}


def test_a_seed_reproduces_a_training(straight: Path, tmp_path: Path) -> None:
    assert_same_results(straight, run_training(tmp_path / "again"))


def test_another_seed_gives_another_network(straight: Path, tmp_path: Path) -> None:
    other = run_training(tmp_path / "other", ("seed=2",))
    assert _plain(load_tensors(straight / "members.pt")) != _plain(load_tensors(other / "members.pt"))


def test_the_test_images_are_read_once_and_last(straight: Path) -> None:
    names = [event["event"] for event in events(straight)]
    assert names == ["start", *["epoch"] * 7, "members", "test"]


def test_the_logged_test_accuracy_is_that_of_the_members_that_were_kept(straight: Path) -> None:
    test = read_test("digits", None)
    network = load_discrete(straight)
    logits = [discrete_logits(network, member, torch.tensor(test.images)) for member in range(3)]
    figures = events(straight)[-1]
    assert figures["n"] == 359
    for member, each in enumerate(logits):
        assert figures["alone"][member] == (each.argmax(1).numpy() == test.labels).mean()
    alone = torch.softmax(logits[0].double() / load_record(straight)["temperatures"][0], dim=1).numpy()
    loss = -np.log(alone[np.arange(359), test.labels]).mean()
    assert figures["log_loss"][0] == pytest.approx(loss, rel=1e-6)
    assert len(figures["log_loss"]) == len(figures["calibration_error"]) == 3


def test_the_twin_that_was_kept_has_the_logged_accuracy(straight: Path) -> None:
    test = read_test("digits", None)
    with torch.no_grad():
        logits = load_float(straight)(to_input(torch.tensor(test.images)))
    right = (logits.argmax(1).numpy() == test.labels).mean()
    assert events(straight)[-1]["baseline"] == right


def test_even_a_short_training_learns(straight: Path) -> None:
    # Chance is 0.1; 500 images, seven epochs in all.
    assert events(straight)[-1]["accuracy"][-1] > 0.3


def test_members_have_the_weights_that_their_graph_allows(straight: Path) -> None:
    network = load_discrete(straight)
    assert len(network.members) == 3
    for member in network.members:
        assert set(np.unique(member["conv1"].weights)) <= {-1, 0, 1}
        assert set(np.unique(member["logits"].weights)) == {-1, 1}
        assert member["conv1"].threshold is not None
        assert member["conv1"].threshold.dtype == np.int32
        assert member["logits"].threshold is None


def test_a_finished_training_is_not_trained_again(straight: Path) -> None:
    before = (straight / "members.pt").read_bytes()
    with pytest.raises(CheckpointError, match="finished"):
        run_training(straight)
    assert (straight / "members.pt").read_bytes() == before


def test_a_folder_of_another_run_is_refused(straight: Path) -> None:
    with pytest.raises(CheckpointError, match="another run"):
        run_training(straight, ("seed=2",))


@pytest.mark.parametrize("content", [b"", b"not tensors"])
def test_a_damaged_state_is_refused_by_name(straight: Path, tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "run.json").write_bytes((straight / "run.json").read_bytes())
    (folder / "state.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"state\.pt"):
        run_training(folder)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    torch.save(Hostile(), tmp_path / "state.pt")
    with pytest.raises(CheckpointError):
        load_tensors(tmp_path / "state.pt")
    assert not (tmp_path / "ran").exists()


def test_an_unfinished_checkpoint_has_no_record(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no finished training"):
        load_record(tmp_path)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    rates = [one_cycle(step / 100) for step in range(101)]
    assert rates[20] == 1.0
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert math.isclose(rates[100], 0.0, abs_tol=1e-12)
