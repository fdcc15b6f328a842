"""A run: one TOML file that says everything that a training depends on, but for the data's folder."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from lrnet.architectures import Architecture, ArchitectureName, Weights, build
from lrnet.augment import Augmentation
from lrnet.discrete import AveragePool, Input, Node, Operation, Sign
from lrnet.distributions import SHARPNESS
from lrnet.format import MAX_LABEL_BYTES
from lrnet.networks import trained_shapes
from lrnet.objective import Objective

MAX_SEED = 2**53
"""Up to here every reader of JSON holds a whole number exactly, and a model's provenance names its seed."""


class RunError(Exception):
    """A run's file says something that cannot be done; the message names the key."""


Method = Literal["lrt", "ste"]
TwinActivation = Literal["hardtanh", "relu"]


@dataclass(frozen=True)
class FloatStage:
    """Training of float weights: Adam with decoupled weight decay, one-cycle."""

    epochs: int
    learning_rate: float
    weight_decay: float = 0.0


@dataclass(frozen=True)
class TwinStage(FloatStage):
    """The same for the float twin, under hardtanh, or under ReLU with all padding 0."""

    activation: TwinActivation = "hardtanh"


@dataclass(frozen=True)
class SignsStage(FloatStage):
    """The same under sign activations; discrete: the weights, too, by the straight-through estimator."""

    discrete: bool = False


@dataclass(frozen=True)
class DistributionStage:
    """Training of distributions: Adam, one-cycle, and an entropy that is led along a falling line.

    learning_rate: of the logits; norm_learning_rate: of the batch norms' γ and β; final_entropy: nats a weight, at the
    end; sharpness: with which float weights become distributions, 0 for the least at which a signal reaches the last
    layer (lrnet.criticality).
    """

    epochs: int
    learning_rate: float
    norm_learning_rate: float
    final_entropy: float
    sharpness: float = SHARPNESS


@dataclass(frozen=True)
class FreezingStage:
    """Layers become discrete one after another, from the input on.

    candidates: versions drawn of a layer beside the most probable one, 0 for no freezing at all; images: training
    images on which the batch norms behind it are measured for each; epochs: training of the layers that are left,
    after each layer but the last, with these learning rates.
    """

    candidates: int = 0
    images: int = 2000
    epochs: int = 0
    learning_rate: float = 0.05
    norm_learning_rate: float = 0.003


@dataclass(frozen=True)
class MemberStage:
    """count: members kept; candidates: networks drawn beside the best one; images: training images on which each
    one's batch norm is measured; draws: versions of each layer of a candidate, the best of which stays."""

    count: int
    candidates: int
    images: int
    draws: int = 1


@dataclass(frozen=True)
class Run:
    """`graph` is what `[[graph]]` lists or what `[network]` names. `method`: a distribution by the local
    reparameterization trick, or one network by the straight-through estimator, trained for as many epochs and giving
    one member."""

    name: str
    data: str
    seed: int
    held_out: int
    batch: int
    input: Input
    labels: tuple[str, ...]
    graph: tuple[Node, ...]
    augmentation: Augmentation
    objective: Objective
    twin: TwinStage
    signs: SignsStage
    distribution: DistributionStage
    freezing: FreezingStage
    members: MemberStage
    method: Method = "lrt"


def read_run(path: Path, overrides: Sequence[str] = ()) -> tuple[Run, dict[str, Any]]:
    """The run in a TOML file, and the table it was made from, after overrides such as `twin.epochs=1`.

    An override's value is read as TOML. Raises RunError.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        for override in overrides:
            _override(table, override)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RunError(f"{path}: {error}") from error
    # What a run gave is for readers, and no part of what it does.
    table.pop("result", None)
    return to_run(table), table


def to_run(table: Mapping[str, Any]) -> Run:
    """The run that a table describes. Raises RunError, naming the key."""
    values = dict(table)
    parts: dict[str, Any] = {"labels": _labels(values.pop("labels", []))}
    for key, kind in _TABLES.items():
        parts[key] = _construct(kind, _table(values.pop(key, {}), key), key)
    if ("graph" in values) == ("network" in values):
        raise RunError("graph, network: a run lists its operations in the one or names them in the other")
    if "network" in values:
        architecture = _construct(Architecture, _table(values.pop("network"), "network"), "network")
        parts["graph"] = _named(architecture, parts["input"], len(parts["labels"]))
    else:
        parts["graph"] = _listed(values.pop("graph"))
    run: Run = _construct(Run, {**values, **parts}, "run")
    _check(run)
    return run


def _labels(values: object) -> tuple[str, ...]:
    """As a model's format has them, so that no training ends in one that cannot be exported."""
    if not (isinstance(values, list) and all(isinstance(label, str) for label in values)):
        raise RunError("labels: they are an array of strings")
    if len(set(values)) < len(values):
        raise RunError("labels: one is there twice")
    for label in values:
        if len(label.encode(errors="surrogatepass")) > MAX_LABEL_BYTES:
            raise RunError(f"labels: {label[:40]!r} … has over {MAX_LABEL_BYTES} bytes")
    return tuple(values)


def _named(architecture: Architecture, image: Input, classes: int) -> tuple[Node, ...]:
    try:
        return build(architecture, image, classes)
    except ValueError as error:
        raise RunError(f"network: {error}") from error


def _listed(layers: object) -> tuple[Node, ...]:
    """Operations in order, each reading the one before it unless it says otherwise."""
    if not isinstance(layers, list):
        raise RunError("graph: it is an array of tables")
    graph: list[Node] = []
    for layer in layers:
        values = {"input": graph[-1].name if graph else "image", **_table(layer, "graph")}
        kind = next((kind for kind in (Sign, AveragePool) if kind.op == values.get("op")), Operation)
        if kind is not Operation:
            del values["op"]
        graph.append(_construct(kind, values, "graph"))
    return tuple(graph)


_TABLES: Mapping[str, type] = {
    "input": Input,
    "augmentation": Augmentation,
    "objective": Objective,
    "twin": TwinStage,
    "signs": SignsStage,
    "distribution": DistributionStage,
    "freezing": FreezingStage,
    "members": MemberStage,
}


_TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
}

_CHOICES: Mapping[type, Mapping[str, tuple[str, ...]]] = {
    Run: {"method": get_args(Method)},
    TwinStage: {"activation": get_args(TwinActivation)},
    Architecture: {"name": get_args(ArchitectureName), "weights": get_args(Weights)},
}


def _check(run: Run) -> None:
    try:
        shapes = trained_shapes(run.input, run.graph)
    except ValueError as error:
        raise RunError(f"graph: {error}") from error
    if shapes["logits"][2] != len(run.labels):
        raise RunError(f"labels: there are {len(run.labels)} for {shapes['logits'][2]} logits")
    if run.batch < 2:
        raise RunError(f"batch: it is at least 2, not {run.batch}: a batch norm measures a deviation")
    at_least_one = {
        "held_out": run.held_out,
        "twin.epochs": run.twin.epochs,
        "signs.epochs": run.signs.epochs,
        "distribution.epochs": run.distribution.epochs,
        "members.count": run.members.count,
        "members.candidates": run.members.candidates,
        "members.images": run.members.images,
        "members.draws": run.members.draws,
        "freezing.images": run.freezing.images,
    }
    for key, value in at_least_one.items():
        if value < 1:
            raise RunError(f"{key}: it is at least 1, not {value}")
    if not 0 <= run.seed <= MAX_SEED:
        raise RunError(f"seed: it is 0 to {MAX_SEED}, not {run.seed}")
    weights = {node.weights for node in run.graph if isinstance(node, Operation)}
    most = math.log(2) if "binary" in weights else math.log(3)
    if not 0 < run.distribution.final_entropy < most:
        raise RunError(f"distribution.final_entropy: it is over 0 and under {most:.3f} nats")
    positive = {
        "twin.learning_rate": run.twin.learning_rate,
        "signs.learning_rate": run.signs.learning_rate,
        "distribution.learning_rate": run.distribution.learning_rate,
        "distribution.norm_learning_rate": run.distribution.norm_learning_rate,
        "freezing.learning_rate": run.freezing.learning_rate,
        "freezing.norm_learning_rate": run.freezing.norm_learning_rate,
        "objective.distillation_temperature": run.objective.distillation_temperature,
    }
    for key, value in positive.items():
        if not 0 < value < math.inf:
            raise RunError(f"{key}: it is a number over 0, not {value}")
    from_zero = {
        "twin.weight_decay": run.twin.weight_decay,
        "signs.weight_decay": run.signs.weight_decay,
        "distribution.sharpness": run.distribution.sharpness,
        "freezing.candidates": run.freezing.candidates,
        "freezing.epochs": run.freezing.epochs,
        "objective.mixup": run.objective.mixup,
        **{
            f"augmentation.{field.name}": getattr(run.augmentation, field.name)
            for field in fields(Augmentation)
        },
    }
    for key, value in from_zero.items():
        if not 0 <= value < math.inf:
            raise RunError(f"{key}: it is a number from 0 on, not {value}")
    side = min(run.input.height, run.input.width)
    for key, value in (("crop", run.augmentation.crop), ("cutout", run.augmentation.cutout)):
        if value > side:
            raise RunError(f"augmentation.{key}: it is at most {side}, the image's smaller side, not {value}")
    shares = {
        "augmentation.flip": run.augmentation.flip,
        "objective.label_smoothing": run.objective.label_smoothing,
        "objective.distillation": run.objective.distillation,
    }
    for key, value in shares.items():
        if not 0 <= value <= 1:
            raise RunError(f"{key}: it is 0 to 1, not {value}")
    if run.freezing.epochs > 0 and run.freezing.candidates == 0:
        raise RunError("freezing.epochs: without candidates no layer is frozen")
    if not run.members.count <= run.members.candidates + 1 or run.members.count > 64:
        raise RunError("members.count: it is 1 to 64, and at most members.candidates + 1")


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise RunError(f"--set {override}: it has the form key=value")
    *path, last = key.split(".")
    for part in path:
        table = _table(table.setdefault(part, {}), key)
    table[last] = tomllib.loads(f"value = {value}")["value"]


def _table(value: object, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RunError(f"{key}: it is a table")
    return value


def _construct(kind: type, values: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401
    """A dataclass from a table whose keys and types must be its fields'."""
    known = {field.name: str(field.type) for field in fields(kind)}
    choices = _CHOICES.get(kind, {})
    for name, value in values.items():
        if name not in known:
            raise RunError(f"{key}.{name}: there is no such key")
        expected = _TYPES.get(known[name])
        if expected is not None and (
            not isinstance(value, expected) or isinstance(value, bool) != (bool in expected)
        ):
            raise RunError(f"{key}.{name}: it is {known[name]}, not {value!r}")
        if name in choices and value not in choices[name]:
            raise RunError(f"{key}.{name}: it is {' or '.join(choices[name])}, not {value!r}")
    try:
        return kind(**values)
    except TypeError as error:
        raise RunError(f"{key}: {error}") from error
