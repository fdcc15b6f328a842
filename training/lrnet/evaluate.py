"""How good a model file is: accuracy, log-loss and calibration by the integer reference, and by the baselines."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lrnet import data as datasets
from lrnet import log as logs
from lrnet import reference
from lrnet.calibrate import mean_probabilities
from lrnet.format import Model, digest, read
from lrnet.onnx import baseline_logits
from lrnet.scores import Score, score, score_members

SplitName = Literal["held-out", "test"]

RUNS = Path(__file__).parents[1] / "runs"

INT8_FILE = "baseline-int8.onnx"
"""Beside baseline.onnx, where `lrnet export --int8` wrote it; a server does not read it."""


def score_baseline(file: bytes, split: datasets.Split) -> Score:
    """The figures of an ONNX file, by onnxruntime and without a temperature."""
    return score(mean_probabilities(baseline_logits(file, split.images)[None]), split.labels)


def read_split(provenance: Mapping[str, Any], split: SplitName, directory: Path | None) -> datasets.Split:
    """The images that a model held out from its training, or its data set's test images.

    Raises DataError; ValueError where the model does not say what it was trained on, or the images are others.
    """
    try:
        name, held_out = provenance["data"], provenance["heldOut"]
        n, held_out_digest = held_out["n"], held_out["digest"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"the model does not say what it was trained on: no {error}") from error
    if split == "test":
        return datasets.read_test(name, directory)
    images = datasets.read_training(name, directory, n)[1]
    if images.digest() != held_out_digest:
        raise ValueError(f"{name}: these are not the images that the model held out")
    return images


def read_rows(model: Model, split: SplitName, directory: Path | None) -> datasets.Split:
    """The images of `read_split`, which are also such as the model takes, with labels that it knows. Raises the same."""
    rows = read_split(model.provenance, split, directory)
    datasets.require_fit(model.provenance["data"], directory, rows, model.network.input, model.network.labels)
    return rows


def read_model(directory: Path) -> tuple[Model, bytes | None]:
    """A model version and its baseline's bytes. Raises OSError; ValueError for a file that is not what it should be."""
    model = read((directory / "model.safetensors").read_bytes())
    if model.baseline is None:
        return model, None
    return model, _read_named(directory / "baseline.onnx", model.baseline)


def read_int8(directory: Path, model: Model) -> bytes | None:
    """The int8 baseline's bytes, or None where it is not there. Raises OSError; ValueError where it is another one."""
    path = directory / INT8_FILE
    if not path.exists():
        return None
    described = model.provenance.get("baselineInt8")
    return _read_named(path, described.get("sha256") if isinstance(described, dict) else None)


def _read_named(path: Path, sha256: object) -> bytes:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path}: its SHA-256 is not the one that the model names")
    return content


def evaluate(
    directory: Path,
    *,
    data: Path | None,
    split: SplitName,
    members: int | None = None,
    labels_out: Path | None = None,
    log: Path | None = None,
) -> None:
    """Prints the figures of the first 1 … `members` members (all of them by default) and of the baselines.

    `labels_out` gets one label a line: the answers of `members` members, or of as many as answer by default.
    A reading of the test images is noted in the log in runs/ that names the model's export, and in `log` where it
    is given; with neither, no test image is read.

    Raises OSError, DataError; ValueError for a model or a count of members that cannot be.
    """
    model, baseline = read_model(directory)
    int8 = read_int8(directory, model)
    most = len(model.network.members)
    if members is not None and not 1 <= members <= most:
        raise ValueError(f"members is 1 to {most}, not {members}")
    named = digest((directory / "model.safetensors").read_bytes())
    destinations = reading_logs(named, log) if split == "test" else []
    images = read_rows(model, split, data)
    logits = reference.logits(model.network, images.images, members)
    scores = score_members(logits, model.calibration.temperature, images.labels)
    record = reading(
        "evaluate", f"{model.name}/{directory.resolve().name}", named, split, len(images), scores
    )
    twins: dict[str, Score] = {}
    for key, name, file in (("baseline", "baseline", baseline), ("baseline_int8", "int8 baseline", int8)):
        if file is not None:
            twins[name] = score_baseline(file, images)
            record[key] = twins[name].accuracy
    # Whatever fails, no figure of the test images is seen of which no log tells.
    logs.append_all(destinations, record)
    print(f"{record['model']}, {split} images, n = {len(images)}")
    for count, entry in enumerate(scores, start=1):
        print(_line(f"{count} member{'s' if count > 1 else ''}", entry))
    for name, twin in twins.items():
        print(_line(name, twin))
    if labels_out is not None:
        count = members or model.default_members
        answers = mean_probabilities(logits[:count], model.calibration.temperature[count - 1])
        lines = (f"{model.network.labels[index]}\n" for index in answers.argmax(axis=1))
        labels_out.write_text("".join(lines), encoding="utf-8")


def reading(
    event: str, version: str, model_digest: str, split: SplitName, n: int, scores: Sequence[Score]
) -> dict[str, Any]:
    """What a log's line says of a reading: who was measured, on what, and what it gave for 1 … members."""
    return {
        "event": event,
        "model": version,
        "digest": model_digest,
        "split": split,
        "n": n,
        "accuracy": [entry.accuracy for entry in scores],
        "log_loss": [entry.log_loss for entry in scores],
        "calibration_error": [entry.calibration_error for entry in scores],
    }


def reading_logs(model_digest: str, extra: Path | None) -> list[Path]:
    """Where a reading of the test images by a model is noted. Raises ValueError where that is nowhere."""
    # An absent folder has no logs: the package may be installed without its checkout.
    found = [path for path in sorted(RUNS.glob("*.jsonl")) if logs.exports(path, model_digest)]
    if extra is not None:
        found.append(extra)
    if not found:
        raise ValueError(
            "a reading of the test images is logged, and no log in runs/ is of this model: name one with --log"
        )
    return found


def _line(name: str, entry: Score) -> str:
    return (
        f"{name:>13}  accuracy {entry.accuracy:8.4%}  log-loss {entry.log_loss:.4f}"
        f"  calibration error {entry.calibration_error:.4f}"
    )
