from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrnet.cli import main
from lrnet.log import append

RUN = str(Path(__file__).parent.parent / "runs" / "digits.toml")


@pytest.mark.parametrize("arguments", [[], ["train"], ["bake"], ["export", "somewhere"]])
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


def test_an_interruption_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lrnet.train.train", interrupted)
    assert main(["train", RUN]) == 130
    assert "goes on where it stopped" in capsys.readouterr().err
