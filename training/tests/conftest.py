"""Settings for all tests, and one short training that many of them share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from trainings import train_quietly

from lrnet.cli import main
from lrnet.export import export
from lrnet.run import read_run

# The tests' tensors are small: a second thread costs more than it gives, above all on a busy machine.
torch.set_num_threads(1)

SHORT = [
    "twin.epochs=2",
    "signs.epochs=1",
    "distribution.epochs=2",
    "members.count=3",
    "members.candidates=3",
    "members.images=300",
]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the digits run, cut short, with three members."""
    folder = tmp_path_factory.mktemp("trained")
    _, table = read_run(Path(__file__).parent.parent / "runs" / "digits.toml", SHORT)
    train_quietly(table, folder / "checkpoint", log_path=folder / "digits.jsonl")
    return folder / "checkpoint"


@pytest.fixture(scope="session")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That checkpoint as the version models/digits/1, its log beside models/."""
    folder = tmp_path_factory.mktemp("exported")
    version = folder / "models" / "digits" / "1"
    export(trained, version, data=None, log=folder / "digits.jsonl")
    return version


@pytest.fixture(scope="session")
def exported_int8(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an int8 baseline."""
    folder = tmp_path_factory.mktemp("exported_int8")
    version = folder / "models" / "digits" / "1"
    log = folder / "digits.jsonl"
    assert main(["export", str(trained), "--out", str(version), "--int8", "--log", str(log)]) == 0
    return version
