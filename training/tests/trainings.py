"""Short trainings for the tests: without a word, and interrupted where a test says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrnet import log
from lrnet.checkpoint import load_discrete
from lrnet.job import Settings
from lrnet.train import train


def train_quietly(
    table: Mapping[str, Any], folder: Path, *, log_path: Path | None = None, bfloat16: bool = False
) -> Path:
    """Trains a run of the digits into a folder, on a CPU; the log lies there, too, unless another path is given."""
    train(
        table,
        folder,
        data=None,
        log_path=log_path or folder / "log.jsonl",
        command="lrnet train digits.toml",
        settings=Settings(torch.device("cpu"), bfloat16=bfloat16, quiet=True),
    )
    return folder


class InterruptionError(Exception):
    pass


@contextmanager
def interrupted_after(epochs: int) -> Iterator[None]:
    """What trains within is interrupted after so many epochs, which are logged."""
    done, append = 0, log.append

    def interrupt(path: Path, record: dict[str, object]) -> None:
        nonlocal done
        append(path, record)
        done += record["event"] == "epoch"
        if done == epochs:
            raise InterruptionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "append", interrupt)
        with pytest.raises(InterruptionError):
            yield


def assert_same_members(first: Path, second: Path) -> None:
    """Two checkpoints' members are the same to the bit, and as many."""
    for member, expected in zip(load_discrete(first).members, load_discrete(second).members, strict=True):
        for name, parameters in expected.items():
            for key, value in vars(parameters).items():
                assert np.array_equal(getattr(member[name], key), value), (name, key)
