"""A trained network, exported: PyTorch, the integer reference and the file agree to the bit, or nothing is written."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lrnet import reference
from lrnet.checkpoint import CheckpointError, load_discrete, load_float, load_json, load_record
from lrnet.data import read_test, read_training
from lrnet.discrete import DiscreteNetwork
from lrnet.evaluate import read_int8, read_model, score_baseline
from lrnet.export import ExportError, Trained, check_images, export, prove, write_version
from lrnet.format import digest
from lrnet.forward import discrete_forward
from lrnet.onnx import baseline_logits, to_image

FILES = ["README.md", "baseline.onnx", "model.safetensors"]


def test_pytorch_the_reference_and_the_file_agree_on_every_operation_of_every_member(
    trained: Path, exported: Path
) -> None:
    network, written = load_discrete(trained), read_model(exported)[0].network
    pixels = read_test("digits", None).images
    assert len(written.members) == 3
    for index in range(3):
        of_torch = discrete_forward(network, index, torch.from_numpy(pixels))
        of_network = reference.forward(network.graph, network.members[index], pixels)
        of_file = reference.forward(written.graph, written.members[index], pixels)
        assert list(of_torch) == list(of_file) == ["conv1", "conv2", "linear1", "logits"]
        for name, value in of_torch.items():
            plain = np.ascontiguousarray(value.numpy())
            assert plain.dtype == of_file[name].dtype == of_network[name].dtype
            assert plain.tobytes() == of_network[name].tobytes() == of_file[name].tobytes()


def test_the_members_differ(exported: Path) -> None:
    logits = read_model(exported)[0].check.logits
    assert all((logits[left] != logits[right]).any() for left, right in ((0, 1), (0, 2), (1, 2)))


def test_check_images_are_held_out_ones_then_all_0_all_255_and_noise(exported: Path) -> None:
    images = read_model(exported)[0].check.image
    held_out = {image.tobytes() for image in read_training("digits", None, 238)[1].images}
    assert len(images) == 16
    assert all(image.tobytes() in held_out for image in images[:12])
    assert (images[12] == 0).all()
    assert (images[13] == 255).all()
    assert len(np.unique(images[14:])) > 50


def test_the_baseline_is_the_float_twin(trained: Path, exported: Path) -> None:
    model, baseline = read_model(exported)
    assert baseline is not None
    assert model.baseline == hashlib.sha256(baseline).hexdigest()
    pixels = read_test("digits", None).images
    with torch.inference_mode():
        expected = load_float(trained)(torch.from_numpy(to_image(pixels))).numpy()
    np.testing.assert_allclose(baseline_logits(baseline, pixels), expected, rtol=1e-4, atol=1e-4)


def test_a_version_is_complete_and_names_no_path(trained: Path, exported: Path) -> None:
    assert sorted(path.name for path in exported.iterdir()) == FILES
    assert [path.name for path in exported.parent.iterdir()] == ["1"]
    for path in exported.iterdir():
        for folder in (trained.parent, exported.parents[2], Path(__file__).parents[2]):
            assert str(folder).encode() not in path.read_bytes()


def test_data_other_than_those_of_the_training_are_refused(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "checkpoint")
    path = tmp_path / "checkpoint" / "record.json"
    path.write_text(json.dumps({**load_record(trained), "data_digest": "0" * 64}))
    with pytest.raises(CheckpointError, match="not the data that it was trained on"):
        export(tmp_path / "checkpoint", tmp_path / "models" / "digits" / "1", data=None)
    assert not (tmp_path / "models").exists()


def test_the_same_checkpoint_gives_the_same_bytes(trained: Path, exported: Path, tmp_path: Path) -> None:
    again = tmp_path / "models" / "digits" / "1"
    export(trained, again, data=None, log=tmp_path / "log.jsonl")
    for name in FILES:
        assert (again / name).read_bytes() == (exported / name).read_bytes()


def test_an_int8_baseline_is_a_file_more_and_the_float_one_stays(exported: Path, exported_int8: Path) -> None:
    assert sorted(path.name for path in exported_int8.iterdir()) == sorted([*FILES, "baseline-int8.onnx"])
    float32, int8 = (exported_int8 / name for name in ("baseline.onnx", "baseline-int8.onnx"))
    assert float32.read_bytes() == (exported / "baseline.onnx").read_bytes()
    assert int8.stat().st_size < float32.stat().st_size / 3
    for folder in (exported_int8.parents[2], Path(__file__).parents[2]):
        assert str(folder).encode() not in int8.read_bytes()


def test_the_models_provenance_describes_the_int8_baseline(exported_int8: Path) -> None:
    model, _ = read_model(exported_int8)
    int8 = read_int8(exported_int8, model)
    assert int8 is not None
    described, figures = model.provenance["baselineInt8"], model.provenance["figures"]
    assert described["sha256"] == hashlib.sha256(int8).hexdigest()
    assert (described["bytes"], described["calibrationImages"]) == (len(int8), 500)
    for key, split in (
        ("heldOut", read_training("digits", None, 238)[1]),
        ("test", read_test("digits", None)),
    ):
        score = score_baseline(int8, split)
        assert figures[key]["baselineInt8"]["accuracy"] == score.accuracy
        assert figures[key]["baselineInt8"]["logLoss"] == score.log_loss
        assert abs(figures[key]["baselineInt8"]["logLoss"] - figures[key]["baseline"]["logLoss"]) < 0.02


def test_the_card_has_the_int8_baseline_where_it_is_there(exported: Path, exported_int8: Path) -> None:
    without, text = ((version / "README.md").read_text() for version in (exported, exported_int8))
    assert "int8" not in without
    figures = read_model(exported_int8)[0].provenance["figures"]
    accuracies = [f"{figures[key]['baselineInt8']['accuracy']:.2%}" for key in ("test", "heldOut")]
    assert f"| int8 baseline | {accuracies[0]} | {accuracies[1]} |" in text
    size = (exported_int8 / "baseline-int8.onnx").stat().st_size
    assert f"| baseline-int8.onnx | {size:,} bytes |" in text
    assert "whose ranges are those of 500 training images" in text
    assert "`lrnet export CHECKPOINT --out models/digits/1 --int8`" in text


def test_the_same_checkpoint_gives_the_same_bytes_with_an_int8_baseline(
    trained: Path, exported_int8: Path, tmp_path: Path
) -> None:
    again = tmp_path / "models" / "digits" / "1"
    export(trained, again, data=None, int8=True, log=tmp_path / "log.jsonl")
    for path in exported_int8.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_the_reading_of_the_test_images_by_an_int8_baseline_is_logged(
    exported: Path, exported_int8: Path
) -> None:
    without, reading = (
        json.loads((version.parents[2] / "digits.jsonl").read_text().splitlines()[0])
        for version in (exported, exported_int8)
    )
    assert "baseline_int8" not in without
    figures = read_model(exported_int8)[0].provenance["figures"]["test"]
    assert reading["baseline_int8"] == figures["baselineInt8"]["accuracy"]


def test_the_reading_of_the_test_images_is_logged(exported: Path) -> None:
    reading, export_ = map(json.loads, (exported.parents[2] / "digits.jsonl").read_text().splitlines())
    assert (reading["event"], reading["model"], reading["n"]) == ("test", "digits/1", 359)
    assert (export_["event"], export_["model"]) == ("export", "digits/1")
    assert reading["digest"] == export_["digest"] == digest((exported / "model.safetensors").read_bytes())


def test_a_log_that_is_named_is_one_beside_the_trainings_own(trained: Path, exported: Path) -> None:
    added = (exported.parents[2] / "digits.jsonl").read_text().splitlines()
    own = (trained.parent / "digits.jsonl").read_text().splitlines()
    assert set(added) <= set(own)
    assert json.loads(own[0])["event"] == "start"


def test_an_export_that_fails_after_the_reading_is_logged_as_a_reading_alone(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ExportError("differs")

    monkeypatch.setattr("lrnet.export.prove", fails)
    log = tmp_path / "log.jsonl"
    with pytest.raises(ExportError, match="differs"):
        export(trained, tmp_path / "models" / "digits" / "1", data=None, log=log)
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()] == ["test"]


def test_the_figures_are_those_that_training_measured_with_pytorch(trained: Path, exported: Path) -> None:
    record, figures = load_record(trained), read_model(exported)[0].provenance["figures"]
    for key, split in (("heldOut", "held_out"), ("test", "test")):
        accuracies = [entry["accuracy"] for entry in figures[key]["members"]]
        assert accuracies == record[split]["accuracy"]


def test_a_version_that_exists_is_not_touched(trained: Path, exported: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in exported.iterdir()}
    with pytest.raises(ExportError, match="never changes"):
        export(trained, exported, data=None, log=tmp_path / "log.jsonl")
    assert {path: path.stat().st_mtime_ns for path in exported.iterdir()} == before


@pytest.mark.parametrize("place", ["digits/0", "digits/one", "digits/01", "Digits/1", "digits/-1"])
def test_a_place_that_is_not_name_and_version_is_refused(trained: Path, tmp_path: Path, place: str) -> None:
    with pytest.raises(ExportError, match="models/mnist/1"):
        export(trained, tmp_path / place, data=None, log=tmp_path / "log.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_more_default_members_than_there_are_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="1 to 3"):
        export(trained, tmp_path / "digits" / "1", data=None, default_members=4)


@pytest.fixture(scope="module")
def parts(trained: Path, exported: Path) -> tuple[Trained, DiscreteNetwork, bytes]:
    model, baseline = read_model(exported)
    assert baseline is not None
    checkpoint = Trained(
        load_json(trained / "run.json"),
        load_record(trained),
        load_discrete(trained),
        load_float(trained),
    )
    return checkpoint, model.network, baseline


def test_one_weight_that_differs_in_one_member_is_found(
    parts: tuple[Trained, DiscreteNetwork, bytes],
) -> None:
    checkpoint, written, baseline = parts
    pixels = read_test("digits", None).images[:100]
    head = written.members[2]["logits"]
    weights = head.weights.copy()
    weights[4, 9] = 1 if weights[4, 9] < 1 else -1
    changed = dict(written.members[2]) | {"logits": dataclasses.replace(head, weights=weights)}
    network = dataclasses.replace(written, members=(*written.members[:2], changed))
    prove(checkpoint, written, baseline, pixels)
    with pytest.raises(ExportError, match="member 2, logits"):
        prove(checkpoint, network, baseline, pixels)


def test_a_baseline_of_other_weights_is_found(parts: tuple[Trained, DiscreteNetwork, bytes]) -> None:
    checkpoint, written, baseline = parts
    other = copy.deepcopy(checkpoint.twin)
    with torch.no_grad():
        other.norms[-1].bias[3] += 0.01
    with pytest.raises(ExportError, match=r"baseline\.onnx"):
        prove(
            dataclasses.replace(checkpoint, twin=other),
            written,
            baseline,
            read_test("digits", None).images[:10],
        )


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "models" / "digits" / "1"
    with pytest.raises(TypeError):
        write_version(out, {"first": b"whole", "second": None})  # type: ignore[dict-item]
    assert list(out.parent.iterdir()) == []


def test_noise_among_the_check_images_depends_on_the_seed_alone() -> None:
    held_out = np.zeros((20, 4, 4, 1), dtype=np.uint8)
    assert (check_images(held_out, 1) == check_images(held_out, 1)).all()
    assert (check_images(held_out, 1) != check_images(held_out, 2)).any()
