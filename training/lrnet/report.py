"""A model version's card as a full report: its README.md written anew, with plots beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrnet import figures, reference
from lrnet import log as logs
from lrnet.calibrate import mean_probabilities
from lrnet.card import card
from lrnet.checkpoint import save_text
from lrnet.compare import compare
from lrnet.data import Split
from lrnet.evaluate import read_int8, read_model, read_rows, reading, reading_logs
from lrnet.export import proved_rows
from lrnet.findings import Findings
from lrnet.format import Model, digest
from lrnet.history import Epoch, training_of
from lrnet.scores import Score, calibration_bins, confusion, score_members

PLOTS = ("training.svg", "members.svg", "calibration.svg", "confusion.svg")


def report(
    directory: Path, *, data: Path | None, log: Path | None = None, ablation: Sequence[Path] = ()
) -> None:
    """Writes the card of a version, models/NAME/VERSION, anew, and its plots beside it.

    With logs of an `ablation` the card has the table that `compare` makes of them.

    The test images are read once, by the integer reference, and noted as `evaluate` notes them: in the log in runs/
    that names the model's export, and in `log` where it is given; with neither, none is read. The training's epochs
    are from the first of these logs that tells of it.

    Raises OSError, DataError; ValueError for a model that `lrnet export` did not write, test images on which it is
    not as good as its file says, and a log that cannot be read.
    """
    file = (directory / "model.safetensors").read_bytes()
    model, baseline = read_model(directory)
    if baseline is None:
        raise ValueError(f"{directory}: the model has no baseline, to which a report compares it")
    int8 = read_int8(directory, model)
    version = directory.resolve().name
    int8_bytes = None if int8 is None else len(int8)

    def text(findings: Findings | None) -> str:
        return card(
            model, version, len(file), len(baseline), proved_rows(model), findings, int8_bytes=int8_bytes
        )

    # What depends on the file alone comes first: for a file that is refused no test image is read.
    try:
        text(None)
        members = _members(model)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise ValueError(
            f"{directory}: its provenance is none that `lrnet export` writes: {error!r}"
        ) from error
    compared = compare(ablation) if ablation else None
    named = digest(file)
    destinations = reading_logs(named, log)
    epochs = _epochs(destinations, model)
    rows = read_rows(model, "test", data)
    logits = reference.logits(model.network, rows.images)
    scores = score_members(logits, model.calibration.temperature, rows.labels)
    record = reading("report", f"{model.name}/{version}", named, "test", len(rows), scores)
    logs.append_all(destinations, record)
    _require_same(directory, model.provenance["figures"]["test"], len(rows), scores)
    findings = replace(find(model, logits, rows, epochs), ablation=compared)
    plots = {"members.svg": members, **draw(model, findings)}
    for name, content in plots.items():
        save_text(directory / name, content)
    save_text(directory / "README.md", text(findings))
    # What an earlier report drew, when the training's log was at hand.
    for name in set(PLOTS) - set(plots):
        (directory / name).unlink(missing_ok=True)
    print(f"{directory}: README.md, {', '.join(plots)}")
    if not epochs:
        print(
            "no training.svg: neither a log in runs/ nor one named with --log has the epochs of its training"
        )


def find(model: Model, logits: NDArray[np.float32], rows: Split, epochs: tuple[Epoch, ...]) -> Findings:
    """What the test images say of a model, by logits [members, n, classes]."""
    count = model.default_members
    temperature = model.calibration.temperature[count - 1]
    before, after = (mean_probabilities(logits[:count], each) for each in (1.0, temperature))
    return Findings(
        confusion=confusion(after.argmax(axis=1), rows.labels, len(model.network.labels)),
        before=calibration_bins(before, rows.labels),
        after=calibration_bins(after, rows.labels),
        epochs=epochs,
    )


def draw(model: Model, findings: Findings) -> dict[str, str]:
    """The plots of what was found, each by its file's name."""
    count = model.default_members
    temperature = model.calibration.temperature[count - 1]
    plots = {"calibration.svg": figures.calibration(findings.before, findings.after, temperature, count)}
    if findings.has_matrix:
        plots["confusion.svg"] = figures.confusion(findings.confusion, model.network.labels)
    if findings.epochs:
        plots["training.svg"] = figures.training(findings.epochs)
    return plots


def _members(model: Model) -> str:
    """The plot of accuracy and log-loss, which the file has."""
    test = model.provenance["figures"]["test"]
    entries, baseline = test["members"], test["baseline"]
    return figures.members(
        [entry["accuracy"] for entry in entries],
        [entry["logLoss"] for entry in entries],
        (baseline["accuracy"], baseline["logLoss"]),
        test["n"],
    )


def _epochs(paths: Iterable[Path], model: Model) -> tuple[Epoch, ...]:
    for path in paths:
        # The one that --log names may be a new one.
        training = training_of(path, model.provenance) if path.exists() else None
        if training is not None and training.epochs:
            return training.epochs
    return ()


def _require_same(directory: Path, said: Mapping[str, Any], n: int, scores: Sequence[Score]) -> None:
    """The integer reference gives everywhere the same logits; only logarithms may differ in their last digits."""
    members = said["members"]
    same = said["n"] == n and all(
        math.isclose(entry["accuracy"], score.accuracy, abs_tol=1e-9)
        and math.isclose(entry["logLoss"], score.log_loss, rel_tol=1e-6)
        for entry, score in zip(members, scores, strict=True)
    )
    if not same:
        raise ValueError(
            f"{directory}: these are not the test images on which it was measured: of {n:,}, its members are right in"
            f" {scores[-1].accuracy:.2%}, and its file says {members[-1]['accuracy']:.2%} of {said['n']:,}"
        )
