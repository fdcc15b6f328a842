"""Fits a finished training's temperatures again, on its held-out images alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from lrnet import checkpoint, log
from lrnet import data as datasets
from lrnet.calibrate import fit_temperatures
from lrnet.forward import discrete_logits


def recalibrate(folder: Path, *, data: Path | None, command: str, extra_log: Path | None = None) -> None:
    """Replaces the temperatures in record.json, and notes there and in the training's log by what command.

    No test image is read; the record's test figures stay those that training measured, by the temperatures of
    then. Raises CheckpointError, also where the data are not those of the training; DataError, OSError.
    """
    record = checkpoint.load_record(folder)
    network = checkpoint.load_discrete(folder)
    training, held_out = datasets.read_training(record["data"], data, record["held_out_n"])
    if training.digest() != record["data_digest"]:
        raise checkpoint.CheckpointError(f"{folder}: these are not the data that it was trained on")
    images = torch.tensor(held_out.images)
    members = range(len(network.members))
    logits = np.stack([discrete_logits(network, member, images).numpy() for member in members])
    before = record["temperatures"]
    record["temperatures"] = fit_temperatures(logits, held_out.labels)
    record["calibration_command"] = command
    checkpoint.save_json(folder / "record.json", record)
    log.append_all(
        checkpoint.logs_of(folder, record, extra_log),
        {
            "event": "temperatures",
            "run": record["name"],
            "command": command,
            "split": "held-out",
            "n": len(held_out),
            "before": before,
            "after": record["temperatures"],
        },
    )
