"""From a finished training to a model version: model.safetensors, baseline.onnx, baseline-int8.onnx and the card.

Nothing is written before PyTorch's discrete network, the integer reference and the file read back have given the
same bits, operation by operation, and the ONNX file the logits of the float twin.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lrnet import data as datasets
from lrnet import log as logs
from lrnet import reference
from lrnet.card import card
from lrnet.checkpoint import (
    CheckpointError,
    load_discrete,
    load_float,
    load_json,
    load_record,
    logs_of,
)
from lrnet.discrete import DiscreteNetwork
from lrnet.evaluate import INT8_FILE, score_baseline
from lrnet.format import NAME, Calibration, Check, Model, digest, read, write
from lrnet.forward import discrete_forward
from lrnet.fused import fused
from lrnet.int8 import Int8Baseline, to_int8
from lrnet.networks import FloatNetwork
from lrnet.onnx import baseline_logits, to_image, to_onnx
from lrnet.scores import Score, score_members

HELD_OUT_CHECKS, NOISE_CHECKS = 12, 2
"""Check images beside all 0 and all 255."""

PROVED_ROWS = 256
"""Held-out images on which, beside the check images, every operation is compared."""

PROVED_AT_ONCE = 16
"""Rows whose values are all held at once, twice: of ResNet-18 6 MiB a row."""

TWIN_TOLERANCE = 1e-4
"""Of the largest logit: onnxruntime and PyTorch add in different orders."""


class ExportError(ValueError):
    """The version cannot be made; nothing was written."""


@dataclass(frozen=True)
class Trained:
    """A finished checkpoint's content; `recipe` is the run's table, `record` what was measured."""

    recipe: Mapping[str, Any]
    record: Mapping[str, Any]
    network: DiscreteNetwork
    twin: FloatNetwork


def export(
    checkpoint: Path,
    out: Path,
    *,
    data: Path | None,
    default_members: int | None = None,
    int8: bool = False,
    log: Path | None = None,
) -> None:
    """Writes the model version `out`, models/NAME/VERSION, of a finished training, whole or not at all.

    `default_members` of the members answer a request that asks for no number; all of them by default. With `int8` the
    version has the quantized baseline too. The test images are read for the card, and that is noted in the training's
    log, and in `log` too where it is given.

    Raises ExportError for a version that exists, and for any difference between what must be equal;
    CheckpointError, DataError, OSError.
    """
    name = _name(out)
    trained = Trained(
        load_json(checkpoint / "run.json"),
        load_record(checkpoint),
        load_discrete(checkpoint),
        load_float(checkpoint),
    )
    members = len(trained.network.members)
    if not 1 <= (default_members or members) <= members:
        raise ExportError(f"default members are 1 to {members}, not {default_members}")
    record = trained.record
    destinations = logs_of(checkpoint, record, log)
    training, held_out = datasets.read_training(record["data"], data, record["held_out_n"])
    if training.digest() != record["data_digest"]:
        raise CheckpointError(f"{checkpoint}: these are not the data that it was trained on")
    test = datasets.read_test(record["data"], data)

    images = check_images(held_out.images, record["seed"])
    baseline = to_onnx(fused(trained.twin), trained.network.input)
    quantized = to_int8(baseline, training.images) if int8 else None
    model = Model(
        name=name,
        network=trained.network,
        default_members=default_members or members,
        calibration=Calibration(tuple(record["temperatures"]), "held-out", len(held_out)),
        baseline=hashlib.sha256(baseline).hexdigest(),
        provenance=provenance(trained, baseline, quantized, held_out, test),
        check=Check(images, *reference.check_vectors(trained.network, images)),
    )
    file = write(model)
    figures = model.provenance["figures"]["test"]
    made = {"model": f"{name}/{out.name}", "digest": digest(file)}
    # The reading has happened, whatever becomes of the version.
    logs.append_all(
        destinations,
        {
            "event": "test",
            **made,
            "n": figures["n"],
            "accuracy": [entry["accuracy"] for entry in figures["members"]],
            "baseline": figures["baseline"]["accuracy"],
            **({"baseline_int8": figures["baselineInt8"]["accuracy"]} if quantized else {}),
        },
    )
    written = read(file)
    prove(trained, written.network, baseline, np.concatenate([images, held_out.images[:PROVED_ROWS]]))
    text = card(
        written,
        out.name,
        len(file),
        len(baseline),
        proved_rows(written),
        int8_bytes=len(quantized.file) if quantized else None,
    )
    write_version(
        out,
        {
            "model.safetensors": file,
            "baseline.onnx": baseline,
            **({INT8_FILE: quantized.file} if quantized else {}),
            "README.md": text.encode(),
        },
    )
    logs.append_all(destinations, {"event": "export", **made})


def check_images(held_out: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Held-out images from all over the split, all 0, all 255, noise: [n, H, W, C], the same for the same seed."""
    places = np.linspace(0, len(held_out) - 1, HELD_OUT_CHECKS).astype(np.int64)
    shape = held_out.shape[1:]
    noise = np.random.default_rng(seed).integers(0, 256, size=(NOISE_CHECKS, *shape), dtype=np.uint8)
    flat = np.stack([np.full(shape, value, dtype=np.uint8) for value in (0, 255)])
    return np.concatenate([held_out[places], flat, noise])


def proved_rows(model: Model) -> int:
    """On how many images PyTorch, the reference and the file were compared before the model was written."""
    return len(model.check.image) + min(PROVED_ROWS, model.provenance["heldOut"]["n"])


def provenance(
    trained: Trained,
    baseline: bytes,
    quantized: Int8Baseline | None,
    held_out: datasets.Split,
    test: datasets.Split,
) -> dict[str, Any]:
    """Where the model comes from, and its figures by the integer reference and onnxruntime."""
    record = trained.record
    baselines = {"baseline": baseline, **({"baselineInt8": quantized.file} if quantized else {})}
    return {
        "run": record["name"],
        # In order: training, and the calibration that was made after it, if one was.
        "commands": [record[key] for key in ("command", "calibration_command") if key in record],
        "seed": record["seed"],
        "hardware": record["hardware"],
        "versions": record["versions"],
        "threads": record["threads"],
        "seconds": record["seconds"],
        "data": record["data"],
        "dataDigest": record["data_digest"],
        "heldOut": {"n": len(held_out), "digest": held_out.digest()},
        "chosen": record["chosen"],
        "recipe": trained.recipe,
        **({"baselineInt8": quantized.described()} if quantized else {}),
        "figures": {
            key: measure(trained.network, tuple(record["temperatures"]), baselines, split)
            for key, split in (("heldOut", held_out), ("test", test))
        },
    }


def measure(
    network: DiscreteNetwork,
    temperature: tuple[float, ...],
    baselines: Mapping[str, bytes],
    split: datasets.Split,
) -> dict[str, Any]:
    """The figures on one split: `n`, `members` (entry k - 1: the first k), with and without temperature, and those of
    each ONNX file by its key in `baselines`."""
    logits = reference.logits(network, split.images)
    calibrated = score_members(logits, temperature, split.labels)
    plain = score_members(logits, (1.0,) * len(logits), split.labels)
    return {
        "n": len(split),
        "members": [
            {**_described(with_temperature), "uncalibrated": _described(without)}
            for with_temperature, without in zip(calibrated, plain, strict=True)
        ],
        **{key: _described(score_baseline(file, split)) for key, file in baselines.items()},
    }


def prove(trained: Trained, written: DiscreteNetwork, baseline: bytes, pixels: NDArray[np.uint8]) -> None:
    """Holds PyTorch's discrete network against the reference on the file's network, to the bit, and ONNX to its twin.

    `pixels` are [n, H, W, C]. Raises ExportError, naming the member and the operation.
    """
    for index in range(len(written.members)):
        for start in range(0, len(pixels), PROVED_AT_ONCE):
            _prove_rows(trained.network, written, index, pixels[start : start + PROVED_AT_ONCE])
    with torch.inference_mode():
        logits = trained.twin(torch.from_numpy(to_image(pixels))).numpy()
    difference = np.abs(baseline_logits(baseline, pixels) - logits).max()
    if not difference <= TWIN_TOLERANCE * np.abs(logits).max():
        raise ExportError(f"baseline.onnx: its logits differ from the float twin's by {difference}")


def _prove_rows(
    network: DiscreteNetwork, written: DiscreteNetwork, index: int, pixels: NDArray[np.uint8]
) -> None:
    expected = discrete_forward(network, index, torch.from_numpy(pixels))
    actual = reference.forward(written.graph, written.members[index], pixels)
    for node in written.graph:
        of_torch, value = expected[node.name].cpu().numpy(), actual[node.name]
        same = of_torch.dtype == value.dtype and of_torch.shape == value.shape
        if not (same and np.ascontiguousarray(of_torch).tobytes() == value.tobytes()):
            raise ExportError(f"member {index}, {node.name}: PyTorch and the written file's integers differ")


def write_version(out: Path, files: Mapping[str, bytes]) -> None:
    """Writes a directory that is whole or not there. Raises ExportError where it exists; OSError."""
    out.parent.mkdir(parents=True, exist_ok=True)
    # A name that begins with a dot is no version, so that a server which looks meanwhile sees nothing.
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name, content in files.items():
            with (partial / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        partial.chmod(0o755)
        _refuse_existing(out)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial)
        raise


def _name(out: Path) -> str:
    """The model's name: the directory's above the version's."""
    name, version = out.resolve().parts[-2:]
    if not re.fullmatch("[1-9][0-9]{0,8}", version):
        raise ExportError(f"{out}: a version is an integer from 1 on, as in models/mnist/1")
    if not NAME.fullmatch(name):
        raise ExportError(f"{out}: a model's name matches {NAME.pattern}, as in models/mnist/1")
    _refuse_existing(out)
    return name


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise ExportError(f"{out}: it exists, and a version never changes; name the next one")


def _described(entry: Score) -> dict[str, float]:
    return {
        "accuracy": entry.accuracy,
        "logLoss": entry.log_loss,
        "calibrationError": entry.calibration_error,
    }
