"""Reading logs that were cut off, damaged, or are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrnet.log import append, exports, read


def test_lines_are_read_as_they_were_appended(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append(path, {"event": "first", "label": "café"})
    append(path, {"event": "second", "figures": [0.5]})
    first, second = read(path)
    assert (first["event"], first["label"]) == ("first", "café")
    assert (second["event"], second["figures"]) == ("second", [0.5])


def test_an_export_is_found_by_the_models_digest(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append(path, {"event": "evaluate", "digest": "other"})
    append(path, {"event": "export", "digest": "this"})
    append(path, {"event": "export"})
    assert exports(path, "this")
    assert not exports(path, "other")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"event": "start"}\n{"event"', "line 2: "),
        (b'{"event": "start"}\n\n[]\n', "line 3: it is not an object with an event"),
        (b'{"event": 7}\n', "line 1: it is not an object with an event"),
        (b"{}", "line 1: it is not an object with an event"),
        (b"\xff\n", "line 1: "),
        (b'{"event": "epoch", "epoch": NaN}\n', "line 1: it: JSON has no NaN"),
        (b"[" * 100_000, "line 1: it: it is nested deeper"),
    ],
)
def test_a_line_that_is_none_of_a_log_is_an_error_that_names_it(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"log\.jsonl, " + message):
        read(path)


def test_a_log_that_is_too_large_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrnet.log.MAX_BYTES", 100)
    path = tmp_path / "log.jsonl"
    append(path, {"event": "first"})
    assert len(read(path)) == 1
    append(path, {"event": "second"})
    with pytest.raises(ValueError, match="it has over 100 bytes"):
        read(path)


def test_an_empty_log_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n")
    assert read(path) == []
