from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lrnet.cli import main
from lrnet.log import append

RUN = str(Path(__file__).parent.parent / "runs" / "digits.toml")


@pytest.mark.parametrize("arguments", [[], ["train"], ["bake"], ["export", "somewhere"], ["report"]])
def test_wrong_usage_exits_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: lrnet" in capsys.readouterr().err


def test_a_wrong_override_is_an_error_of_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "checkpoint"
    assert main(["train", RUN, "--checkpoint", str(folder), "--set", "twin.epochs=none"]) == 1
    assert capsys.readouterr().err.startswith("lrnet: ")
    assert not folder.exists()


@pytest.mark.parametrize("threads", ["0", "-1", "1.5", "many", "1025"])
def test_threads_that_cannot_be_are_wrong_usage(threads: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["train", RUN, "--threads", threads])
    assert exit_.value.code == 2
    assert f"it is 1 to 1024, not {threads}" in capsys.readouterr().err


def without_temperatures(folder: Path) -> None:
    record = json.loads((folder / "record.json").read_text())
    del record["temperatures"]
    (folder / "record.json").write_text(json.dumps(record))


def other_members(folder: Path) -> None:
    members = torch.load(folder / "members.pt", weights_only=True)
    members[1]["conv2"] = members[1]["linear1"]
    torch.save(members, folder / "members.pt")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_temperatures, "record.json: it has no temperatures"),
        (
            lambda folder: (folder / "record.json").write_text("[]"),
            "record.json: it is not a table, but list",
        ),
        (lambda folder: (folder / "run.json").write_text("7"), "run.json: it is not a table, but int"),
        (
            lambda folder: shutil.copy(folder / "members.pt", folder / "float.pt"),
            "float.pt: it is not the float",
        ),
        (
            lambda folder: shutil.copy(folder / "state.pt", folder / "float.pt"),
            "float.pt: it is not the float",
        ),
        (
            lambda folder: shutil.copy(folder / "float.pt", folder / "members.pt"),
            "members.pt: it does not hold",
        ),
        (other_members, "members.pt: it does not hold"),
    ],
)
def test_a_checkpoint_of_wrong_content_is_one_line_that_names_the_file(
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    message: str,
) -> None:
    shutil.copytree(trained, tmp_path / "checkpoint")
    spoil(tmp_path / "checkpoint")
    assert main(["export", str(tmp_path / "checkpoint"), "--out", str(tmp_path / "digits" / "1")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("lrnet: ")
    assert error.count("\n") == 1
    assert message in error


def test_missing_data_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mnist = RUN.replace("digits", "mnist")
    logged = tmp_path / "log.jsonl"
    assert (
        main(
            [
                "train",
                mnist,
                "--data",
                str(tmp_path),
                "--checkpoint",
                str(tmp_path / "c"),
                "--log",
                str(logged),
            ]
        )
        == 1
    )
    assert "train-images-idx3-ubyte" in capsys.readouterr().err
    assert not logged.exists()


def test_a_log_only_grows(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "log.jsonl"
    append(path, {"event": "first"})
    append(path, {"event": "second", "figures": [0.5]})
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["first", "second"]
    assert all(line["time"].endswith("+00:00") for line in lines)


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_interruption_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lrnet.train.train", interrupted)
    assert main(["train", RUN]) == 130
    assert "goes on where it stopped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("lrnet.pack.pack", ["pack", "images", "--out", "images.npz"]),
        ("lrnet.evaluate.evaluate", ["evaluate", "model"]),
        ("lrnet.report.report", ["report", "model"]),
    ],
)
def test_what_does_not_go_on_where_it_stopped_does_not_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], function: str, arguments: list[str]
) -> None:
    monkeypatch.setattr(function, interrupted)
    assert main(arguments) == 130
    assert capsys.readouterr().err == "lrnet: interrupted\n"
