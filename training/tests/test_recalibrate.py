from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lrnet.checkpoint import CheckpointError, load_record
from lrnet.cli import main
from lrnet.recalibrate import recalibrate


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A finished checkpoint whose temperatures are wrong and whose log is its own."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(trained, folder)
    record = load_record(folder)
    # As `train` leaves it where the log lies in the checkpoint.
    del record["log"]
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    change(folder, temperatures=[9.0, 9.0, 9.0])
    return folder


def change(folder: Path, **entries: Any) -> None:  # noqa: ANN401
    record = load_record(folder) | entries
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")


def test_temperatures_become_those_that_training_fitted_and_nothing_else_changes(
    trained: Path, copy: Path
) -> None:
    assert main(["calibrate", str(copy)]) == 0
    before, after = load_record(trained), load_record(copy)
    assert after.pop("calibration_command") == "lrnet calibrate CHECKPOINT"
    del before["log"]
    assert after == before
    for name in ("members.pt", "float.pt", "run.json"):
        assert (copy / name).read_bytes() == (trained / name).read_bytes()


def test_the_command_and_both_temperatures_are_logged(copy: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside.jsonl"
    recalibrate(copy, data=None, command="lrnet calibrate here", extra_log=beside)
    (line,) = map(json.loads, (copy / "log.jsonl").read_text().splitlines())
    assert (line["event"], line["command"], line["split"]) == (
        "temperatures",
        "lrnet calibrate here",
        "held-out",
    )
    assert line["before"] == [9.0, 9.0, 9.0]
    assert line["after"] == load_record(copy)["temperatures"]
    assert json.loads(beside.read_text()) == line


def test_the_test_images_are_not_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("the test images were read")

    monkeypatch.setattr("lrnet.data.read_test", fails)
    recalibrate(copy, data=None, command="lrnet calibrate")


def test_data_that_it_was_not_trained_on_are_refused(copy: Path) -> None:
    change(copy, data_digest="ab" * 32)
    with pytest.raises(CheckpointError, match="not the data"):
        recalibrate(copy, data=None, command="lrnet calibrate")
    assert load_record(copy)["temperatures"] == [9.0, 9.0, 9.0]
