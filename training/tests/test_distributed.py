"""Several processes that share batches train the network that one trains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lrnet.checkpoint import load_discrete
from lrnet.noise import PARTS, Noise, normal_like

RUN = Path(__file__).parent.parent / "runs" / "digits.toml"
SCRIPT = Path(__file__).parent / "shared_batches.py"


def trained(folder: Path, graph: str, processes: int) -> dict[str, dict[str, torch.Tensor]]:
    folder.mkdir()
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [
        sys.executable,
        *(launcher if processes > 1 else []),
        str(SCRIPT),
        str(folder / "ended.pt"),
        graph,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "ended.pt", weights_only=True)


@pytest.mark.parametrize(
    ("graph", "frozen"),
    [("chain", ["conv1", "conv2", "linear1"]), ("residual", ["stem", "x0.0", "r1.0", "x1.0"])],
)
def test_two_processes_end_where_one_does_after_ten_steps_of_every_stage(
    tmp_path: Path, graph: str, frozen: list[str]
) -> None:
    one, two = trained(tmp_path / "one", graph, 1), trained(tmp_path / "two", graph, 2)
    assert list(one) == ["twin", "signs", "distribution", *(f"freezing {name}" for name in frozen)]
    for stage, state in one.items():
        for name, value in state.items():
            torch.testing.assert_close(two[stage][name], value, rtol=1e-6, atol=1e-6)


def test_a_whole_training_by_two_processes_ends_with_one_record_and_one_log(tmp_path: Path) -> None:
    settings = [
        "batch=64",
        "twin.epochs=1",
        "signs.epochs=1",
        "distribution.epochs=1",
        "members.candidates=7",
    ]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "lrnet"),
        *("train", str(RUN), "--checkpoint", str(tmp_path), "--threads", "1"),
        *(word for setting in settings for word in ("--set", setting)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "epoch", "epoch", "epoch", "members", "test"]
    assert events[0]["processes"] == 2
    assert len(load_discrete(tmp_path).members) == 8


def test_the_noise_of_an_image_does_not_depend_on_how_many_processes_share_the_batch() -> None:
    rows = torch.zeros(16, 3, 5, 5)
    whole = normal_like(rows, Noise(torch.device("cpu")).at(seed=3, step=7))
    halves = [
        normal_like(rows[:8], Noise(torch.device("cpu"), rank, 2).at(seed=3, step=7)) for rank in range(2)
    ]
    assert torch.equal(whole, torch.cat(halves))


@pytest.mark.parametrize(("seed", "step"), [(3, 8), (4, 7)])
def test_the_noise_of_another_step_or_seed_is_another(seed: int, step: int) -> None:
    noise = Noise(torch.device("cpu"))
    rows = torch.zeros(8, 100)
    first = normal_like(rows, noise.at(seed=3, step=7))
    other = normal_like(rows, noise.at(seed, step))
    assert abs(torch.corrcoef(torch.stack([first.flatten(), other.flatten()]))[0, 1]) < 0.15


def test_noise_is_standard_normal_in_every_memory_layout() -> None:
    torch.manual_seed(0)
    values = torch.zeros(64, 8, 16, 16)
    for layout in (torch.contiguous_format, torch.channels_last):
        noise = normal_like(values.contiguous(memory_format=layout))
        assert noise.is_contiguous(memory_format=layout)
        assert abs(noise.mean()) < 0.02
        assert abs(noise.std() - 1) < 0.02


@pytest.mark.parametrize("world", [3, 5, 16])
def test_processes_that_cannot_share_a_batch_evenly_are_refused(world: int) -> None:
    with pytest.raises(ValueError, match=f"{world} processes cannot share a batch of {PARTS} parts"):
        Noise(torch.device("cpu"), 0, world)
