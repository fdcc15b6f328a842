"""A checkpoint: the folder of one training.

    run.json     the run's table
    state.pt     the last finished epoch: enough to go on as if nothing had happened
    float.pt     the float twin
    distribution.pt  the distribution, before any layer was frozen
    members.pt   the chosen members
    log.jsonl    what happened, unless `train --log` named another file
    record.json  seed, hardware, versions and every figure measured; there when the training is finished

Everything is read as plain tensors and plain data, never as code.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lrnet.discrete import DiscreteNetwork, Operation, Parameters
from lrnet.graph import taps, value_shapes
from lrnet.networks import FloatNetwork
from lrnet.run import Run, to_run

_RECORD_KEYS = (
    "name",
    "data",
    "seed",
    "command",
    "hardware",
    "versions",
    "threads",
    "seconds",
    "held_out_n",
    "data_digest",
    "chosen",
    "temperatures",
)
_STATE_TYPES: Mapping[str, type] = {
    "stage": int,
    "epoch": int,
    "network": dict,
    "optimizer": dict,
    "seconds": float,
    "data_digest": str,
    "hardware": str,
    "threads": int,
    "processes": int,
    "compile": bool,
    "bfloat16": bool,
    "versions": dict,
}


class CheckpointError(Exception):
    """A checkpoint is missing, unfinished, damaged, or another run's."""


def save_tensors(path: Path, value: object) -> None:
    """Writes a file that is whole or not there."""
    partial = path.with_name(path.name + ".partial")
    torch.save(value, partial)
    os.replace(partial, path)


def load_tensors(path: Path) -> Any:  # noqa: ANN401
    """Tensors in lists and dicts, on the CPU. Raises CheckpointError."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises errors of many kinds on damaged files
        raise CheckpointError(f"{path}: {error}") from error


def save_json(path: Path, value: object) -> None:
    """Writes a file that is whole or not there."""
    save_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def save_text(path: Path, text: str) -> None:
    """Writes a file that is whole or not there."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    os.replace(partial, path)


def load_json(path: Path) -> Any:  # noqa: ANN401
    """Raises CheckpointError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def open_folder(folder: Path, table: Mapping[str, Any], epochs: Sequence[int]) -> Mapping[str, Any] | None:
    """The state to go on from, or None for a new training, whose folder is made. `epochs`: of each stage.

    Raises CheckpointError when the folder holds another run, or its state is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run_file = folder / "run.json"
    if not run_file.exists():
        save_json(run_file, table)
    elif load_json(run_file) != table:
        raise CheckpointError(f"{folder}: it holds the training of another run; name a new folder")
    return load_state(folder, epochs) if (folder / "state.pt").exists() else None


def load_state(folder: Path, epochs: Sequence[int]) -> Mapping[str, Any]:
    """The last finished epoch of a run whose stages have so many epochs.

    A state is there to go on with for as long as a training lasts: one that another version wrote, with other keys,
    is none. Raises CheckpointError.
    """
    path = folder / "state.pt"
    state: Mapping[str, Any] = load_tensors(path)
    try:
        _require_keys(path, state, tuple(_STATE_TYPES))
    except CheckpointError as error:
        raise CheckpointError(f"{error}; it is damaged, or another version of lrnet wrote it") from error
    for key, kind in _STATE_TYPES.items():
        value = state[key]
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            raise CheckpointError(f"{path}: {key}: it is {kind.__name__}, not {type(value).__name__}")
    stage, epoch = state["stage"], state["epoch"]
    if not (0 <= stage < len(epochs) and 1 <= epoch <= epochs[stage]):
        raise CheckpointError(f"{path}: its stage and epoch are {stage} and {epoch}")
    if not 0 <= state["seconds"] < math.inf:
        raise CheckpointError(f"{path}: seconds: it is a number from 0 on, not {state['seconds']}")
    if not all(isinstance(value, str) for pair in state["versions"].items() for value in pair):
        raise CheckpointError(f"{path}: versions: it has strings alone")
    return state


def table_digest(table: Mapping[str, Any]) -> str:
    """SHA-256 of a run's table as JSON with its keys in order, in lower-case hexadecimal."""
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def load_run(folder: Path) -> Run:
    """The run that a checkpoint was made by. Raises CheckpointError."""
    table = load_json(folder / "run.json")
    _require_keys(folder / "run.json", table, ())
    return to_run(table)


def load_record(folder: Path) -> dict[str, Any]:
    """What was measured. Raises CheckpointError when the training is not finished."""
    if not (folder / "record.json").exists():
        raise CheckpointError(f"{folder}: no finished training is there")
    record: dict[str, Any] = load_json(folder / "record.json")
    _require_keys(folder / "record.json", record, _RECORD_KEYS)
    return record


def _require_keys(path: Path, content: object, keys: Sequence[str]) -> None:
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: it is not a table, but {type(content).__name__}")
    missing = [key for key in keys if key not in content]
    if missing:
        raise CheckpointError(f"{path}: it has no {', '.join(missing)}")


def logs_of(folder: Path, record: Mapping[str, Any], extra: Path | None) -> list[Path]:
    """Where a reading is noted: always in the log of the training, and in the one that the caller adds."""
    own = Path(record["log"]) if "log" in record else default_log(folder)
    return [own] if extra is None else [own, extra]


def log_entry(folder: Path, log: Path) -> dict[str, str]:
    """What the record says of a training's log: nothing where it lies in the folder, and so may move with it."""
    same = log.resolve() == default_log(folder).resolve()
    return {} if same else {"log": str(log.resolve())}


def default_log(folder: Path) -> Path:
    return folder / "log.jsonl"


def load_float(folder: Path) -> FloatNetwork:
    """The float twin, ready for inference: x = p - 128, float32 [n, C, H, W], to logits. Raises CheckpointError."""
    run = load_run(folder)
    network = FloatNetwork(run.input, run.graph, run.twin.activation)
    state = load_tensors(folder / "float.pt")
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / 'float.pt'}: it is not the float twin of this run") from error
    return network.eval()


def save_members(folder: Path, members: Sequence[Mapping[str, Parameters]]) -> None:
    plain = [
        {
            name: {
                key: torch.from_numpy(value) for key, value in vars(parameters).items() if value is not None
            }
            for name, parameters in member.items()
        }
        for member in members
    ]
    save_tensors(folder / "members.pt", plain)


def load_discrete(folder: Path) -> DiscreteNetwork:
    """The graph with the chosen members, the best first. Raises CheckpointError."""
    run = load_run(folder)
    plain = load_tensors(folder / "members.pt")
    try:
        members = tuple(
            {
                name: Parameters(**{key: value.numpy() for key, value in member[name].items()})
                for name in (operation.name for operation in run.graph)
            }
            for member in plain
        )
        shapes = value_shapes(run.input, run.graph)
        for operation in run.graph:
            if not isinstance(operation, Operation):
                continue
            shape = (operation.out, taps(operation, shapes[operation.input]))
            if any(member[operation.name].weights.shape != shape for member in members):
                raise ValueError(f"{operation.name}: weights are {shape}")
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise CheckpointError(f"{folder / 'members.pt'}: it does not hold the members of this run") from error
    return DiscreteNetwork(run.input, run.labels, run.graph, members)
