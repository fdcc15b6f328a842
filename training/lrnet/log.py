"""A run's log: JSON lines, only ever appended to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path


def append(path: Path, record: Mapping[str, object]) -> None:
    """Adds one line, with the time in UTC before what `record` says."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps({"time": time, **record}, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
