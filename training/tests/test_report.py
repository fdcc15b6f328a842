"""The report of an exported model: its card and plots, and what it reads."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import logs
import numpy as np
import pytest
import torch

from lrnet import data as datasets
from lrnet.calibrate import mean_probabilities
from lrnet.checkpoint import load_discrete
from lrnet.cli import main
from lrnet.compare import compare
from lrnet.evaluate import read_model
from lrnet.format import Model, write
from lrnet.forward import discrete_logits
from lrnet.report import PLOTS, report


@pytest.fixture
def version(exported: Path, tmp_path: Path) -> Path:
    """A copy of the exported version, as models/digits/1."""
    copy = tmp_path / "models" / "digits" / "1"
    shutil.copytree(exported, copy)
    return copy


@pytest.fixture
def log(trained: Path, tmp_path: Path) -> Path:
    """A copy of the training's log, which has the export too."""
    return Path(shutil.copy(trained.parent / "digits.jsonl", tmp_path / "digits.jsonl"))


@pytest.fixture(scope="module")
def reported(trained: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version with its report, for tests that only look at it."""
    folder = tmp_path_factory.mktemp("reported")
    copy = folder / "models" / "digits" / "1"
    shutil.copytree(exported, copy)
    report(copy, data=None, log=Path(shutil.copy(trained.parent / "digits.jsonl", folder)))
    return copy


def names(version: Path) -> list[str]:
    return sorted(path.name for path in version.iterdir())


def rewrite(version: Path, **changes: Any) -> None:  # noqa: ANN401
    model: Model = dataclasses.replace(read_model(version)[0], **changes)
    (version / "model.safetensors").write_bytes(write(model))


def test_the_card_shows_every_plot_that_is_there_and_keeps_what_export_wrote(
    exported: Path, reported: Path
) -> None:
    before, after = ((folder / "README.md").read_text() for folder in (exported, reported))
    assert names(reported) == sorted([*names(exported), *PLOTS])
    assert sorted(re.findall(r"\]\((.*)\)$", after, re.MULTILINE)) == sorted(PLOTS)
    gone = set(before.splitlines()) - set(after.splitlines())
    assert [line[:24] for line in gone] == ["Written by `lrnet export"]
    for name in PLOTS:
        ElementTree.fromstring((reported / name).read_text())


def test_the_confusions_are_those_of_the_default_members_on_the_test_images(
    trained: Path, version: Path, log: Path
) -> None:
    rewrite(version, default_members=2)
    report(version, data=None, log=log)
    model = read_model(version)[0]
    test = datasets.read_test("digits", None)
    # By PyTorch's discrete network.
    network, images = load_discrete(trained), torch.tensor(test.images)
    logits = np.stack([discrete_logits(network, member, images).numpy() for member in range(2)])
    answers = mean_probabilities(logits, model.calibration.temperature[1]).argmax(axis=1)
    svg = (version / "confusion.svg").read_text()
    for label in range(10):
        for answer in range(10):
            number = int(((test.labels == label) & (answers == answer)).sum())
            cell = re.search(rf'<g id="rows-{label}-{answer}">\s*<text[^>]*>(\d+)<', svg)
            assert int(cell[1] if cell else 0) == number
    wrong = int((answers != test.labels).sum())
    assert (
        f"By 2 members, {wrong} of 359 test images are answered wrongly."
        in (version / "README.md").read_text()
    )


def test_the_training_plot_has_the_epochs_of_the_log(reported: Path) -> None:
    root = ElementTree.fromstring((reported / "training.svg").read_text())
    for stage, epochs in (("twin", 2), ("signs", 1), ("distribution", 2)):
        (drawn,) = (each for each in root.iter() if each.get("id") == f"{stage}-held-out")
        assert len(list(drawn.iter("{http://www.w3.org/2000/svg}use"))) == epochs


def test_another_report_is_the_same_to_the_byte(version: Path, log: Path, reported: Path) -> None:
    first = {name: (reported / name).read_bytes() for name in names(reported)}
    for _ in range(2):
        report(version, data=None, log=log)
        assert {name: (version / name).read_bytes() for name in names(version)} == first


def test_a_report_names_no_path(reported: Path) -> None:
    for name in ("README.md", *PLOTS):
        for folder in (reported.parents[2], Path(__file__).parents[2]):
            assert str(folder) not in (reported / name).read_text()


def test_the_test_images_are_read_once_and_that_is_logged(
    version: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(name: str, directory: Path | None) -> datasets.Split:
        read.append(name)
        return original(name, directory)

    original = datasets.read_test
    monkeypatch.setattr("lrnet.data.read_test", counted)
    lines = log.read_text().splitlines()
    assert main(["report", str(version), "--log", str(log)]) == 0
    assert read == ["digits"]
    *before, added = log.read_text().splitlines()
    assert before == lines
    line = json.loads(added)
    assert (line["event"], line["model"], line["split"], line["n"]) == ("report", "digits/1", "test", 359)
    figures = read_model(version)[0].provenance["figures"]["test"]
    assert line["accuracy"] == [entry["accuracy"] for entry in figures["members"]]


def test_no_test_image_is_read_without_a_log(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrnet.data.read_test", lambda *_: pytest.fail("the test images were read"))
    with pytest.raises(ValueError, match="--log"):
        report(version, data=None)
    assert names(version) == ["README.md", "baseline.onnx", "model.safetensors"]


def test_the_log_in_runs_that_names_the_export_is_found(
    version: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrnet.evaluate.RUNS", log.parent)
    report(version, data=None)
    assert "training.svg" in names(version)
    assert json.loads(log.read_text().splitlines()[-1])["event"] == "report"


def test_without_the_trainings_log_its_plot_is_left_out_and_an_earlier_one_goes(
    version: Path, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(version, data=None, log=log)
    report(version, data=None, log=tmp_path / "new.jsonl")
    assert "training.svg" not in names(version)
    assert "confusion.svg" in names(version)
    assert "training.svg" not in (version / "README.md").read_text()
    assert "no training.svg: neither" in capsys.readouterr().out


def test_other_test_images_are_noticed_and_nothing_is_written(
    version: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = datasets.read_test("digits", None)
    other = datasets.Split(test.images, np.roll(test.labels, 1))
    monkeypatch.setattr("lrnet.data.read_test", lambda *_: other)
    before = (version / "README.md").read_bytes()
    with pytest.raises(ValueError, match="not the test images on which it was measured"):
        report(version, data=None, log=log)
    assert (version / "README.md").read_bytes() == before
    assert names(version) == ["README.md", "baseline.onnx", "model.safetensors"]
    # They were read all the same.
    assert json.loads(log.read_text().splitlines()[-1])["event"] == "report"


def test_a_report_that_is_interrupted_leaves_a_card_that_is_whole(
    version: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (version / "README.md").read_bytes()

    def fails(path: Path, text: str) -> None:
        if path.name == "README.md":
            raise KeyboardInterrupt
        path.write_text(text)

    monkeypatch.setattr("lrnet.report.save_text", fails)
    with pytest.raises(KeyboardInterrupt):
        report(version, data=None, log=log)
    assert (version / "README.md").read_bytes() == before


def spoil(provenance: dict[str, Any], *path: str | int, value: object) -> dict[str, Any]:
    """A copy whose entry at the path is another, or not there for None."""
    copy = json.loads(json.dumps(provenance))
    entry = copy
    for key in path[:-1]:
        entry = entry[key]
    if value is None:
        del entry[path[-1]]
    else:
        entry[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("figures",), None),
        (("figures", "test"), None),
        (("figures", "test", "n"), 0),
        (("figures", "test", "n"), "many"),
        (("figures", "test", "members", 2), None),
        (("figures", "test", "members"), []),
        (("figures", "test", "members", 0, "accuracy"), "99 %"),
        (("figures", "test", "members", 0, "accuracy"), -1),
        (("figures", "test", "baseline", "accuracy"), 7),
        (("figures", "test", "baseline"), 7),
        (("heldOut",), 7),
        (("chosen",), None),
    ],
)
def test_a_provenance_that_export_did_not_write_is_refused_before_test_images_are_read(
    version: Path,
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: tuple[str | int, ...],
    value: object,
) -> None:
    monkeypatch.setattr("lrnet.data.read_test", lambda *_: pytest.fail("the test images were read"))
    rewrite(version, provenance=spoil(dict(read_model(version)[0].provenance), *path, value=value))
    with pytest.raises(ValueError, match="its provenance is none that `lrnet export` writes"):
        report(version, data=None, log=log)


def test_a_model_without_a_baseline_is_refused(version: Path, log: Path) -> None:
    rewrite(version, baseline=None)
    with pytest.raises(ValueError, match="has no baseline"):
        report(version, data=None, log=log)


def test_the_int8_baseline_is_in_the_card_where_it_is_there(
    exported_int8: Path, trained: Path, tmp_path: Path
) -> None:
    version = tmp_path / "models" / "digits" / "1"
    shutil.copytree(exported_int8, version)
    log = Path(shutil.copy(trained.parent / "digits.jsonl", tmp_path / "digits.jsonl"))
    exports = (exported_int8.parents[2] / "digits.jsonl").read_text()
    log.write_text(log.read_text() + exports)
    report(version, data=None, log=log)
    before = [line for line in (exported_int8 / "README.md").read_text().splitlines() if "int8" in line]
    after = [line for line in (version / "README.md").read_text().splitlines() if "int8" in line]
    assert len(before) == 4
    assert after[:-1] == before[:-1]
    assert after[-1].startswith(before[-1].removesuffix("."))

    (version / "baseline-int8.onnx").unlink()
    report(version, data=None, log=log)
    assert "int8" not in (version / "README.md").read_text()


def test_an_int8_baseline_that_is_not_the_one_named_is_refused_before_test_images_are_read(
    exported_int8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrnet.data.read_test", lambda *_: pytest.fail("the test images were read"))
    version = tmp_path / "models" / "digits" / "1"
    shutil.copytree(exported_int8, version)
    (version / "baseline-int8.onnx").write_bytes(b"")
    with pytest.raises(ValueError, match=r"baseline-int8\.onnx: its SHA-256"):
        report(version, data=None, log=tmp_path / "log.jsonl")


def test_a_log_that_cannot_be_read_is_named_before_test_images_are_read(
    version: Path, log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lrnet.data.read_test", lambda *_: pytest.fail("the test images were read"))
    log.write_text('{"event": "start"')
    assert main(["report", str(version), "--log", str(log)]) == 1
    assert "digits.jsonl, line 1" in capsys.readouterr().err


def test_the_table_of_an_ablation_is_on_the_card(version: Path, log: Path, tmp_path: Path) -> None:
    compared = logs.write(
        tmp_path / "ablation.jsonl",
        *(logs.start(1), logs.members(first=0.91), logs.start(2), logs.members(first=0.93)),
    )
    assert main(["report", str(version), "--log", str(log), "--ablation", str(compared)]) == 0
    section = (version / "README.md").read_text(encoding="utf-8").split("## Ablation\n")[1].split("\n## ")[0]
    assert compare([compared]) in section
    assert "92.00 ± 1.41" in section


def test_logs_of_an_ablation_that_hold_none_are_named_before_test_images_are_read(
    version: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrnet.data.read_test", lambda *_: pytest.fail("the test images were read"))
    compared = logs.write(tmp_path / "ablation.jsonl", logs.start(1))
    with pytest.raises(ValueError, match=r"ablation\.jsonl: no finished training"):
        report(version, data=None, log=log, ablation=[compared])
