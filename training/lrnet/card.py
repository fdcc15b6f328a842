"""The model card: what a model is, how it was made and how good it is, written from the file and what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lrnet.discrete import AveragePool, Node, Operation
from lrnet.evaluate import INT8_FILE
from lrnet.findings import (
    Findings,
    tell_calibration,
    tell_confusions,
    tell_members,
    tell_training,
)
from lrnet.format import Model
from lrnet.graph import Shape, taps, value_shapes
from lrnet.markdown import count, escaped, table
from lrnet.scores import BINS, binomial_error

MOST_NAMED_CLASSES = 24

ABLATION = "What parts of the recipe give, in trainings beside this model's, each row named by its run and what was set."

STRAIGHT_THROUGH = "the network that the straight-through estimator trained"


def card(
    model: Model,
    version: str,
    file_bytes: int,
    baseline_bytes: int,
    proved_rows: int,
    findings: Findings | None = None,
    int8_bytes: int | None = None,
) -> str:
    """The text of README.md for a model whose provenance is `lrnet.export`'s.

    file_bytes, baseline_bytes and, where it is there, int8_bytes: the sizes of the files; proved_rows: images on which
    PyTorch, the reference and the file were compared; findings: where they are given, the plots of `lrnet.report` are
    beside the card.
    """
    int8 = int8_bytes is not None
    sections = (
        _summary(model, version),
        _accuracy(model, findings, int8),
        _calibration(model, findings),
        *((tell_confusions(findings, model.network.labels, model.default_members),) if findings else ()),
        _sizes(model, file_bytes, baseline_bytes, int8_bytes),
        _network(model),
        _training(model, version, findings, int8),
        *((f"## Ablation\n\n{ABLATION}\n\n{findings.ablation}",) if findings and findings.ablation else ()),
        _check(model, proved_rows),
    )
    return "\n\n".join(sections) + "\n"


def _summary(model: Model, version: str) -> str:
    image = model.network.input
    members = len(model.network.members)
    colour = "grey" if image.channels == 1 else "RGB"
    weights = " and ".join(sorted({operation.weights for operation in _weighted(model)}))
    test = model.provenance["figures"]["test"]
    first, all_members = test["members"][0]["accuracy"], test["members"][-1]["accuracy"]
    are = (
        STRAIGHT_THROUGH
        if _straight_through(model.provenance["recipe"])
        else "discrete networks drawn from one learned distribution"
    )
    right = (
        f"it is right in {first:.2%}"
        if members == 1
        else f"member 0 alone is right in {first:.2%}, the mean of {members} in {all_members:.2%}"
    )
    return "\n".join(
        (
            f"# {model.name}, version {version}",
            "",
            f"Tells {len(model.network.labels)} classes ({_named(model.network.labels)}) apart in {colour} images of"
            f" {image.width} x {image.height} pixels, with {weights} weights and one-bit activations. It ships"
            f" {count(members, 'member')}, {are}: on {test['n']:,} test images {right}, the float32 baseline in"
            f" {test['baseline']['accuracy']:.2%}.",
            "",
            "A program wrote this page from what it measured; no figure in it was typed.",
        )
    )


def _named(labels: Sequence[str]) -> str:
    if len(labels) <= MOST_NAMED_CLASSES:
        return ", ".join(map(escaped, labels))
    return f"{', '.join(map(escaped, labels[:MOST_NAMED_CLASSES]))}, …"


def _accuracy(model: Model, findings: Findings | None, int8: bool) -> str:
    figures = model.provenance["figures"]
    test, held_out = figures["test"], figures["heldOut"]
    pairs = [
        *(
            (count(k, "member"), pair)
            for k, pair in enumerate(zip(test["members"], held_out["members"], strict=True), start=1)
        ),
        ("baseline", (test["baseline"], held_out["baseline"])),
        *((("int8 baseline", (test["baselineInt8"], held_out["baselineInt8"])),) if int8 else ()),
    ]
    rows = [
        (
            name,
            *(f"{value['accuracy']:.2%}" for value in pair),
            *(f"{value['logLoss']:.4f}" for value in pair),
        )
        for name, pair in pairs
    ]
    best = test["members"][-1]["accuracy"]
    header = ("", "test accuracy", "held-out accuracy", "test log-loss", "held-out log-loss")
    return "\n".join(
        (
            "## Accuracy",
            "",
            f"n = {test['n']:,} test images, and {held_out['n']:,} that were held out from the training images and"
            " decided everything, so that their figures are a little too good. k members: the mean of the first k"
            " members' probabilities, by the integer reference. The baseline: by onnxruntime, without a temperature."
            f"{_quantized(model.provenance['baselineInt8']) if int8 else ''}"
            f" Log-loss in nats. The standard error of {best:.2%} with n = {test['n']:,} is {binomial_error(best, test['n']):.2%}.",
            "",
            *table(header, rows),
            "",
            *(tell_members(test) if findings else ()),
            _default(model, held_out["members"]),
        )
    )


def _quantized(described: Mapping[str, Any]) -> str:
    return (
        f" The int8 baseline: the same network, quantized by onnxruntime {described['onnxruntime']} to int8 weights with a"
        " scale a channel and uint8 activations with a scale a tensor, whose ranges are those of"
        f" {described['calibrationImages']:,} training images."
    )


def _default(model: Model, held_out: Sequence[Mapping[str, Any]]) -> str:
    """Why so many members answer when a request asks for no number."""
    chosen, members = model.default_members, len(held_out)
    answer = f"{count(chosen, 'member')} answer{'s' if chosen == 1 else ''} unless a request asks for another number"
    if members == 1:
        return f"{answer}."
    several = chosen if chosen > 1 else members
    one, mean = held_out[0], held_out[several - 1]
    flattered = (
        ", the frozen network, which is first by rule, looks better than it is, its layers having been chosen"
        if _frozen(model.provenance["recipe"])
        else " looks better than it is, being the network that was best"
    )
    compared = (
        f"on the held-out images log-loss goes from {one['logLoss']:.4f} with 1 to {mean['logLoss']:.4f} with"
        f" {several}, and accuracy from {one['accuracy']:.2%} to {mean['accuracy']:.2%}, where member 0"
        f"{flattered} on these very images"
    )
    if chosen == 1:
        return f"{answer}: the work grows with their number; {compared}."
    return (
        f"{answer}: {compared}. Only several can disagree, too, which shows what the model is unsure of. A request"
        f" with `members=1` costs 1/{several} of the work."
    )


def _calibration(model: Model, findings: Findings | None) -> str:
    calibration = model.calibration
    test = model.provenance["figures"]["test"]
    rows = [
        (
            count(k, "member"),
            f"{temperature:.3f}",
            f"{entry['uncalibrated']['calibrationError']:.4f}",
            f"{entry['calibrationError']:.4f}",
            f"{entry['uncalibrated']['logLoss']:.4f}",
            f"{entry['logLoss']:.4f}",
        )
        for k, (temperature, entry) in enumerate(
            zip(calibration.temperature, test["members"], strict=True), start=1
        )
    ]
    header = ("", "temperature", "error before", "error after", "log-loss before", "log-loss after")
    return "\n".join(
        (
            "## Calibration",
            "",
            f"Logits are divided by a temperature, one for each number of members, fitted on the {calibration.n:,}"
            f" {calibration.split} images by least log-loss, its targets softened by one row in n + 2 (Platt, 1999)."
            f" The expected calibration error ({BINS} bins of equal width) and the log-loss before and after are on the"
            f" {test['n']:,} test images.{_fitted_again(model.provenance['commands'])}",
            "",
            *table(header, rows),
            *(tell_calibration(findings, model.default_members) if findings else ()),
        )
    )


def _fitted_again(commands: Sequence[str]) -> str:
    if len(commands) == 1:
        return ""
    return (
        f" They were fitted again by `{commands[1]}`, after training had ended and the test images had been read; it"
        " reads the held-out images alone, and changes nothing but the temperatures."
    )


def _sizes(model: Model, file_bytes: int, baseline_bytes: int, int8_bytes: int | None) -> str:
    shapes = value_shapes(model.network.input, model.network.graph)
    bits = sum(_weight_bits(operation, shapes[operation.input]) for operation in _weighted(model))
    members = len(model.network.members)
    files = [
        (f"model.safetensors, {count(members, 'member')}", file_bytes),
        ("baseline.onnx", baseline_bytes),
        *(((INT8_FILE, int8_bytes),) if int8_bytes is not None else ()),
    ]
    rows = [
        ("weights of one member", f"{bits:,} bits", f"{baseline_bytes / (bits / 8):.1f}"),
        *((name, f"{length:,} bytes", f"{baseline_bytes / length:.1f}") for name, length in files),
    ]
    return "\n".join(
        (
            "## Size",
            "",
            *table(("", "size", "the baseline is so many times larger"), rows),
        )
    )


def _weighted(model: Model) -> list[Operation]:
    return [node for node in model.network.graph if isinstance(node, Operation)]


def _weight_bits(operation: Operation, source: Shape) -> int:
    """Bits that hold the weights: one each, or two where they are ternary."""
    return operation.out * taps(operation, source) * (2 if operation.weights == "ternary" else 1)


def _network(model: Model) -> str:
    shapes = value_shapes(model.network.input, model.network.graph)
    rows = []
    for before, node in zip(shapes, model.network.graph, strict=False):
        size = "x".join(str(axis) for axis in shapes[node.name])
        weights = ""
        if isinstance(node, Operation):
            weights = f"{node.out * taps(node, shapes[node.input]):,} {node.weights}"
        rows.append((node.name, node.op, _window(node, before), size, weights, node.output))
    header = ("operation", "", "window", "output", "weights", "")
    return "\n".join(("## Network", "", *table(header, rows)))


def _window(node: Node, before: str) -> str:
    """What the node sees, and of which value where that is not the one before it."""
    parts = []
    if isinstance(node, AveragePool):
        parts.append(f"{node.size}x{node.size}")
    elif isinstance(node, Operation) and node.op == "conv2d":
        parts.append(f"{node.kernel}x{node.kernel}")
        parts += [
            f"{word} {getattr(node, word)}"
            for word, default in (("stride", 1), ("padding", 0), ("pool", 1))
            if getattr(node, word) != default
        ]
    if node.input != before:
        parts.append(f"of {node.input}")
    if isinstance(node, Operation) and node.add is not None:
        parts.append(f"plus {node.add}")
    return ", ".join(parts)


def _training(model: Model, version: str, findings: Findings | None, int8: bool) -> str:
    made = model.provenance
    held_out = made["heldOut"]
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    rows = [
        ("data", f"`{made['data']}`, training part; SHA-256 of its images and labels `{made['dataDigest']}`"),
        ("held out", f"{held_out['n']:,} images; SHA-256 `{held_out['digest']}`"),
        ("commands", ", then ".join(f"`{command}`" for command in made["commands"])),
        ("seed", str(made["seed"])),
        ("hardware", f"{made['hardware']}, {made['seconds']:,.0f} s"),
        ("versions", versions),
        ("members", _members(made["chosen"], made["recipe"])),
    ]
    recipe = "\n".join(_flattened(made["recipe"]))
    return "\n".join(
        (
            "## Training",
            "",
            *table(("", ""), rows),
            "",
            *(tell_training(findings) if findings else ()),
            "The recipe, as in the run's file:",
            "",
            "```",
            recipe,
            "```",
            "",
            f"Written by `lrnet export CHECKPOINT --out models/{model.name}/{version}{' --int8' if int8 else ''}`"
            + (f", and its plots by `lrnet report models/{model.name}/{version}`." if findings else "."),
        )
    )


def _members(chosen: Sequence[int], recipe: Mapping[str, Any]) -> str:
    if _straight_through(recipe):
        return STRAIGHT_THROUGH
    frozen = _frozen(recipe)
    best = "the frozen network" if frozen else "the most probable network"
    named = ", ".join(best if place == 0 else f"draw {place}" for place in chosen)
    first = "the frozen one" if frozen else "the best alone"
    return f"{named}: chosen on the held-out images, {first} first"


def _straight_through(recipe: Mapping[str, Any]) -> bool:
    return recipe.get("method") == "ste"


def _frozen(recipe: Mapping[str, Any]) -> bool:
    return recipe.get("freezing", {}).get("candidates", 0) > 0


def _flattened(recipe: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    """Every entry but the graph, which has a section of its own, as key = value."""
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        elif key != "graph":
            yield f"{prefix}{key} = {value}"


def _check(model: Model, proved_rows: int) -> str:
    n, members = len(model.check.image), len(model.network.members)
    operations = len(model.network.graph)
    return "\n".join(
        (
            "## Check",
            "",
            f"The file carries {n} images (held-out ones, all 0, all 255, noise), the SHA-256 of each of the"
            f" {operations} operations' outputs for each of the {members} members, and the logits; a backend that does"
            " not give exactly these does not serve the model. Before the file was written, PyTorch's discrete"
            f" network and the integer reference on the file's own weights gave the same bits and logits on"
            f" {proved_rows} images, for every operation of every member.",
        )
    )
