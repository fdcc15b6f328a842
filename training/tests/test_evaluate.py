"""The command on an exported model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from lrnet import reference
from lrnet.data import DataError, read_test, read_training
from lrnet.evaluate import evaluate, read_int8, read_model, read_rows, read_split


def test_labels_out_holds_the_answers_of_so_many_members(exported: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "labels.txt", tmp_path / "log.jsonl"
    evaluate(exported, data=None, split="test", members=2, labels_out=out, log=log)
    model, _ = read_model(exported)
    logits = reference.logits(model.network, read_test("digits", None).images)[:2].astype(np.float64)
    answers = softmax(logits / model.calibration.temperature[1], axis=2).mean(axis=0).argmax(axis=1)
    assert out.read_text().splitlines() == [str(answer) for answer in answers]


def test_a_reading_of_the_test_images_is_logged_with_its_figures(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    evaluate(exported, data=None, split="test", log=log)
    (line,) = map(json.loads, log.read_text().splitlines())
    assert (line["event"], line["model"], line["split"], line["n"]) == ("evaluate", "digits/1", "test", 359)
    assert len(line["accuracy"]) == 3
    assert f"3 members  accuracy {line['accuracy'][2]:8.4%}" in capsys.readouterr().out
    figures = read_model(exported)[0].provenance["figures"]["test"]
    assert line["accuracy"] == [entry["accuracy"] for entry in figures["members"]]
    assert line["baseline"] == figures["baseline"]["accuracy"]


def test_no_figure_of_the_test_images_is_shown_that_no_log_tells_of(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels.txt"
    with pytest.raises(IsADirectoryError):
        evaluate(exported, data=None, split="test", labels_out=out, log=tmp_path)
    assert capsys.readouterr().out == ""
    assert not out.exists()


def test_a_reading_is_logged_before_its_figures_are_shown(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.jsonl"
    logged = []
    monkeypatch.setattr("builtins.print", lambda *_: logged.append(log.exists()))
    evaluate(exported, data=None, split="test", members=1, log=log)
    assert logged == [True] * 3


def test_a_reading_of_the_held_out_images_is_not_logged(exported: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    evaluate(exported, data=None, split="held-out", members=1, log=log)
    assert not log.exists()


@pytest.mark.parametrize("members", [0, 4, -1])
def test_a_count_of_members_that_cannot_be_is_refused(exported: Path, members: int) -> None:
    with pytest.raises(ValueError, match="members is 1 to 3"):
        evaluate(exported, data=None, split="held-out", members=members)


def test_test_images_are_not_read_without_a_log(exported: Path) -> None:
    with pytest.raises(ValueError, match="--log"):
        evaluate(exported, data=None, split="test")


def test_a_reading_goes_to_the_log_that_names_the_export_and_to_the_one_beside_it(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, beside = tmp_path / "runs", tmp_path / "beside.jsonl"
    runs.mkdir()
    export_ = (exported.parents[2] / "digits.jsonl").read_text().splitlines()[-1]
    (runs / "digits.jsonl").write_text(export_ + "\n")
    (runs / "other.jsonl").write_text(export_.replace("digest", "nothing") + "\n")
    monkeypatch.setattr("lrnet.evaluate.RUNS", runs)
    evaluate(exported, data=None, split="test", members=1)
    evaluate(exported, data=None, split="test", members=1, log=beside)
    assert len((runs / "digits.jsonl").read_text().splitlines()) == 3
    assert len((runs / "other.jsonl").read_text().splitlines()) == 1
    assert beside.read_text() == (runs / "digits.jsonl").read_text().splitlines()[-1] + "\n"


def test_a_baseline_that_is_not_the_one_named_is_refused(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "digits" / "1"
    shutil.copytree(exported, copy)
    baseline = copy / "baseline.onnx"
    baseline.write_bytes(baseline.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="SHA-256"):
        evaluate(copy, data=None, split="held-out")


def test_an_int8_baseline_is_measured_where_it_is_there(
    exported: Path, exported_int8: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    for version in (exported, exported_int8):
        evaluate(version, data=None, split="test", members=1, log=log)
    without, line = map(json.loads, log.read_text().splitlines())
    assert "baseline_int8" not in without
    figures = read_model(exported_int8)[0].provenance["figures"]["test"]["baselineInt8"]
    assert line["baseline_int8"] == figures["accuracy"]
    printed = capsys.readouterr().out
    assert printed.count("int8 baseline  accuracy") == 1
    assert f"int8 baseline  accuracy {figures['accuracy']:8.4%}  log-loss {figures['logLoss']:.4f}" in printed


def test_an_int8_baseline_that_is_not_the_one_named_is_refused(
    exported: Path, exported_int8: Path, tmp_path: Path
) -> None:
    file = (exported_int8 / "baseline-int8.onnx").read_bytes()
    for version, content in ((exported_int8, file + b"\0"), (exported, file)):
        copy = tmp_path / version.parents[2].name / "digits" / "1"
        shutil.copytree(version, copy)
        (copy / "baseline-int8.onnx").write_bytes(content)
        with pytest.raises(ValueError, match=r"baseline-int8\.onnx: its SHA-256"):
            evaluate(copy, data=None, split="held-out")


@pytest.mark.parametrize("described", [None, 7, [], {}, {"sha256": None}])
def test_a_provenance_that_describes_no_int8_baseline_names_none(
    exported_int8: Path, described: object
) -> None:
    model = read_model(exported_int8)[0]
    model = dataclasses.replace(model, provenance={**model.provenance, "baselineInt8": described})
    with pytest.raises(ValueError, match=r"baseline-int8\.onnx: its SHA-256"):
        read_int8(exported_int8, model)


def test_held_out_images_other_than_the_models_are_refused(exported: Path) -> None:
    made = dict(read_model(exported)[0].provenance)
    held_out = read_training("digits", None, 238)[1]
    assert (read_split(made, "held-out", None).images == held_out.images).all()
    with pytest.raises(ValueError, match="not the images"):
        read_split({**made, "heldOut": {**made["heldOut"], "n": 237}}, "held-out", None)


def test_test_images_that_the_model_does_not_take_are_refused_by_name(exported: Path) -> None:
    model = read_model(exported)[0]
    network = model.network
    wide = dataclasses.replace(network, input=dataclasses.replace(network.input, width=9))
    with pytest.raises(DataError, match="the network takes 8 x 9 x 1, and digits has 8 x 8 x 1"):
        read_rows(dataclasses.replace(model, network=wide), "test", None)
    few = dataclasses.replace(network, labels=network.labels[:9])
    with pytest.raises(DataError, match="labels: the network has 9, and digits 10 classes"):
        read_rows(dataclasses.replace(model, network=few), "test", None)
    assert len(read_rows(model, "test", None)) == 359
