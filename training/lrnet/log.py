"""A run's log: JSON lines, only ever appended to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lrnet import strict_json

MAX_BYTES = 2**26
"""Of a log that is read: some 400,000 epochs."""


def append(path: Path, record: Mapping[str, object]) -> None:
    """Adds one line, with the time in UTC before what `record` says."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps({"time": time, **record}, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def append_all(paths: Iterable[Path], record: Mapping[str, object]) -> None:
    """Adds the same line to several logs, once to each."""
    for path in dict.fromkeys(each.resolve() for each in paths):
        append(path, record)


def read(path: Path) -> list[dict[str, Any]]:
    """A log's lines in their order, each with its `event`. Raises OSError; ValueError, naming the line."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path}: it has over {MAX_BYTES} bytes")
    events = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            event = strict_json.parse(line.decode(), "it")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
        if not (isinstance(event, dict) and isinstance(event.get("event"), str)):
            raise ValueError(f"{path}, line {number}: it is not an object with an event")
        events.append(event)
    return events


def exports(path: Path, model_digest: str) -> bool:
    """Whether a log says that the model of this digest was exported. Raises as `read`."""
    return any(event["event"] == "export" and event.get("digest") == model_digest for event in read(path))
