"""A run's log: JSON lines, only ever appended to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path


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


def exports(path: Path, model_digest: str) -> bool:
    """Whether a log says that the model of this digest was exported."""
    events = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return any(event["event"] == "export" and event.get("digest") == model_digest for event in events)
