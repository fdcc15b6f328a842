"""Lines of logs as `lrnet train` writes them, with figures made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def start(seed: int = 1, run: str = "lenet", command: str = "lrnet train lenet.toml", **more: object) -> Line:
    return {
        "event": "start",
        "run": run,
        "seed": seed,
        "command": command,
        "table": f"table {seed}",
        "setting": "setting",
        "data": "data",
        **more,
    }


def epoch(stage: str, number: int, held_out: float = 0.9, training: float = 0.8) -> Line:
    return {
        "event": "epoch",
        "stage": stage,
        "epoch": number,
        "training_accuracy": training,
        "held_out_accuracy": held_out,
    }


def members(draw: float = 0.9, first: float = 0.93, last: float = 0.95, twin: float = 0.96) -> Line:
    return {
        "event": "members",
        "chosen": [4, 0],
        "draw_accuracy_mean": draw,
        "held_out": {"n": 500, "accuracy": [first, last], "baseline": twin},
    }


def reading(
    seed: int = 1, run: str = "lenet", first: float = 0.92, last: float = 0.94, twin: float = 0.97
) -> Line:
    return {
        "event": "test",
        "run": run,
        "seed": seed,
        "n": 1000,
        "accuracy": [first, last],
        "baseline": twin,
    }


def write(path: Path, *lines: Line) -> Path:
    path.write_text(
        "".join(
            json.dumps({"time": f"2026-01-01T00:00:{second:02}+00:00", **line}) + "\n"
            for second, line in enumerate(lines)
        )
    )
    return path
