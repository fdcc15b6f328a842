from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from lrnet.discrete import Operation
from lrnet.run import RunError, read_run

RUNS = Path(__file__).parent.parent / "runs"


@pytest.mark.parametrize("path", sorted(RUNS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_run_in_the_repository_can_be_read(path: Path) -> None:
    run, _ = read_run(path)
    assert run.name == path.stem


def test_a_layer_reads_what_the_layer_before_it_gives() -> None:
    run, _ = read_run(RUNS / "mnist.toml")
    assert [operation.input for operation in run.graph] == ["image", "conv1", "conv2", "linear1"]
    assert run.graph[0] == Operation("conv1", "conv2d", "image", out=32, weights="ternary", kernel=5, pool=2)


def test_an_override_replaces_one_value() -> None:
    run, table = read_run(RUNS / "digits.toml", ["twin.epochs=1", "seed=7", 'name="tried"'])
    assert (run.twin.epochs, run.seed, run.name) == (1, 7, "tried")
    assert table["twin"]["epochs"] == 1


def test_a_stated_result_is_no_part_of_the_run(tmp_path: Path) -> None:
    text = (RUNS / "digits.toml").read_text(encoding="utf-8").split("\n[result]")[0]
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    without = read_run(path)
    path.write_text(text + "\n[result]\naccuracy = 0.5\n", encoding="utf-8")
    assert read_run(path) == without


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("twin.epochs=0", "twin.epochs: it is at least 1"),
        ("twin.epochs=1.5", "twin.epochs: it is int"),
        ("twin.epochs=true", "twin.epochs: it is int"),
        ("twin.speed=1", "twin.speed: there is no such key"),
        ("speed=1", "run.speed: there is no such key"),
        ("name=7", "run.name: it is str"),
        ("twin=1", "twin: it is a table"),
        ("graph=1", "graph: it is an array"),
        ("graph=[]", "graph: "),
        ('labels=["a"]', "labels: there are 1 for 10"),
        ("labels=5", "labels: they are an array of strings"),
        ("labels=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]", "labels: they are an array of strings"),
        ('labels={"0"="1"}', "labels: they are an array of strings"),
        ('labels=["0", "0"]', "labels: one is there twice"),
        (f'labels=["{"é" * 129}"]', "labels: 'é.* has over 256 bytes"),
        ("members.candidates=0", "members.candidates: it is at least 1"),
        ("members.count=40", "members.count"),
        ("members.count=65", "members.count"),
        ("batch=0", "batch: it is at least 2, not 0"),
        ("batch=1", "batch: it is at least 2, not 1"),
        ("seed=99999999999999999999", "seed: it is 0 to"),
        ("seed=-1", "seed: it is 0 to"),
        ("distribution.final_entropy=-1", "distribution.final_entropy: it is over 0 and under 1.099"),
        ("distribution.final_entropy=0", "distribution.final_entropy"),
        ("distribution.final_entropy=nan", "distribution.final_entropy"),
        ("distribution.final_entropy=1.1", "distribution.final_entropy"),
        ("distribution.learning_rate=nan", "distribution.learning_rate: it is a number over 0"),
        ("distribution.norm_learning_rate=inf", "distribution.norm_learning_rate"),
        ("signs.learning_rate=0", "signs.learning_rate"),
        ("twin.learning_rate=-0.1", "twin.learning_rate"),
        ("twin.weight_decay=nan", "twin.weight_decay: it is a number from 0 on"),
        ("augmentation.shift=-1", "augmentation.shift"),
        ("augmentation.crop=9", "augmentation.crop: it is at most 8, the image's smaller side, not 9"),
        ("augmentation.crop=100000", "augmentation.crop"),
        ("augmentation.cutout=9", "augmentation.cutout"),
        ("augmentation.scale=nan", "augmentation.scale"),
        ("input.channels=2", "graph: "),
        ("seed", "--set seed: it has the form"),
        ("seed=", "digits.toml"),
        ("seed.deep=1", "seed.deep: it is a table"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(override: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        read_run(RUNS / "digits.toml", [override])


def test_a_crop_and_a_cutout_are_as_large_as_the_image() -> None:
    run, _ = read_run(RUNS / "digits.toml", ["augmentation.crop=8", "augmentation.cutout=8"])
    assert (run.augmentation.crop, run.augmentation.cutout) == (8, 8)


def test_a_missing_key_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    text = (RUNS / "digits.toml").read_text(encoding="utf-8")
    path.write_text(text.replace("seed = 1\n", ""), encoding="utf-8")
    with pytest.raises(RunError, match="seed"):
        read_run(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"name = ", b"[graph]\n"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    with pytest.raises(RunError):
        read_run(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"absent\.toml"):
        read_run(tmp_path / "absent.toml")


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_the_result_that_a_run_states_is_in_its_log(name: str) -> None:
    result = tomllib.loads((RUNS / f"{name}.toml").read_text(encoding="utf-8"))["result"]
    lines = (RUNS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    readings = [event for event in map(json.loads, lines) if event["event"] == "test"]
    assert any(
        (result["test_n"], result["one_member"], result["all_members"], result["baseline"])
        == (event["n"], event["accuracy"][0], event["accuracy"][-1], event["baseline"])
        for event in readings
    )
