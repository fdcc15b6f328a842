"""Whether a distribution over discrete networks is healthy, layer by layer, on held-out images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lrnet import checkpoint, diagnosis_figure
from lrnet.diagnosis import UNDECIDED, Diagnosis, Layer, Weights, measure, remarks
from lrnet.flow import require_chain
from lrnet.job import Job, Settings, open_job
from lrnet.networks import StochasticNetwork
from lrnet.stages import KEPT, plan


def diagnose(folder: Path, *, data: Path | None, draws: int, out: Path | None = None) -> None:
    """Prints a table, and writes diagnosis.json and diagnosis.svg into `out`, by default the checkpoint's folder.

    Held-out images alone are read, and the run's seed decides all that is drawn. Raises CheckpointError where the
    state is not one of the distribution stage, or the data are not those of the training; DataError; ValueError, also
    for a graph that is no chain, of whose additions the arcsine law knows nothing.
    """
    job, network, epoch = _open(folder, data)
    out = out or folder
    out.mkdir(parents=True, exist_ok=True)
    diagnosis = measure(job, network, epoch, draws)
    print("\n".join(to_text(diagnosis)))
    checkpoint.save_json(out / "diagnosis.json", to_json(diagnosis))
    diagnosis_figure.save(diagnosis, out / "diagnosis.svg")


def _open(folder: Path, data: Path | None) -> tuple[Job, StochasticNetwork, int]:
    """The distribution as it is, or as it was before its first layer was frozen."""
    run = checkpoint.load_run(folder)
    try:
        require_chain(run.graph)
    except ValueError as error:
        raise ValueError(f"{folder}: only chains of bits are diagnosed: {error}") from error
    steps = plan(run)
    state = checkpoint.load_state(folder, [step.epochs for step in steps])
    path, epoch = folder / "state.pt", state["epoch"]
    kind, weights = steps[state["stage"]].kind, state["network"]
    if kind == "freezing":
        path = folder / KEPT["distribution"]
        weights, epoch = checkpoint.load_tensors(path), run.distribution.epochs
    elif kind != "distribution":
        raise checkpoint.CheckpointError(f"{path}: it is of the stage {kind}, and no distribution is there")
    job = open_job(run, folder, checkpoint.default_log(folder), data, Settings(test=False, quiet=True))
    if state["data_digest"] != job.training.digest():
        raise checkpoint.CheckpointError(f"{folder}: these are not the data that it was trained on")
    network = StochasticNetwork(run.input, run.graph, job.pixel_mean).to(job.device)
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise checkpoint.CheckpointError(f"{path}: it does not hold the network of this run") from error
    if not all(value.isfinite().all() for value in network.state_dict().values()):
        raise checkpoint.CheckpointError(f"{path}: its network is not finite, the training has diverged")
    return job, network, epoch


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Plain data; null where there is nothing to say: the depth scale of a correlation of 1, the bits of the head."""
    reach = diagnosis.depth_scale
    return {
        **{key: getattr(diagnosis, key) for key in ("run", "seed", "epoch", "images", "batch", "draws")},
        "undecided_under": UNDECIDED,
        "depth_scale": reach if math.isfinite(reach) else None,
        "remarks": remarks(diagnosis),
        "layers": [_layer_to_json(layer) for layer in diagnosis.layers],
        "scale_curve": [vars(point) for point in diagnosis.curve],
    }


def _layer_to_json(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "weights": vars(layer.weights),
        "normality": None if layer.normality is None else vars(layer.normality),
        "units": [{key: value for key, value in vars(unit).items() if key != "sums"} for unit in layer.units],
        "activity": None if layer.activity is None else vars(layer.activity),
        "gradients": vars(layer.gradients),
        "signal": {**vars(layer.signal), "theory": layer.theory},
    }


def to_text(diagnosis: Diagnosis) -> Iterable[str]:
    """The lines that are printed."""
    yield (
        f"{diagnosis.run}, seed {diagnosis.seed}, epoch {diagnosis.epoch} of the distribution stage;"
        f" {diagnosis.images:,} held-out images"
    )
    yield ""
    yield from _aligned(
        ("weights", "", "number", "1/T", "entropy", "undecided", "-1", "0", "+1"),
        [_weight_row(layer.name, layer.weights) for layer in diagnosis.layers],
    )
    yield f"  1/T: inverse temperature; entropy: nats a weight; undecided: largest probability under {UNDECIDED};"
    yield "  -1, 0, +1: share of the weights whose most probable value it is"
    yield ""
    yield from _aligned(
        ("sums", "units", "KS", "worst", "W1", "worst", "P(+1)", "worst"),
        [_sum_row(layer) for layer in diagnosis.layers],
    )
    yield f"  {diagnosis.draws:,} draws of the weights against the Gaussian of training: Kolmogorov and Smirnov's"
    yield f"  distance (of a Gaussian's own draws {0.87 / math.sqrt(diagnosis.draws):.4f}), Wasserstein's in units of σ,"
    yield "  and by how much P(+1) is off"
    yield ""
    yield from _aligned(
        ("signals", "c", "theory", "signal", "entropy", "never", "always", "dL/ds", "dL/dl"),
        [_signal_row(layer) for layer in diagnosis.layers],
    )
    yield "  c: correlation of two draws' pre-activations; theory: by the arcsine law; signal: its part of the variance;"
    yield "  entropy: bits a unit; never, always: share of units that fire so; dL/ds, dL/dl: root mean square of the"
    yield f"  derivatives by pre-activations and logits, of {diagnosis.batch} images' mean loss"
    yield ""
    yield f"depth scale of a signal: {diagnosis.depth_scale:.1f} layers, of which there are {len(diagnosis.layers)}"
    yield from remarks(diagnosis) or ["nothing stands out"]


def _weight_row(name: str, weights: Weights) -> tuple[str, ...]:
    shares = (weights.most_probable.get(value) for value in (-1, 0, 1))
    return (
        name,
        weights.kind,
        f"{weights.count:,}",
        f"{weights.inverse_temperature:.3g}",
        f"{weights.entropy:.4f}",
        f"{weights.undecided:.2%}",
        *("-" if share is None else f"{share:.1%}" for share in shares),
    )


def _sum_row(layer: Layer) -> tuple[str, ...]:
    if (found := layer.normality) is None:
        return (layer.name, "0", *"------")
    figures = [
        found.kolmogorov_smirnov_mean,
        found.kolmogorov_smirnov_worst,
        found.wasserstein_mean,
        found.wasserstein_worst,
        found.firing_mean,
        found.firing_worst,
    ]
    # The last layer's sums are no bits.
    shown = len(figures) if layer.activity is not None else 4
    row = [f"{figure:.4f}" if place < shown else "-" for place, figure in enumerate(figures)]
    return (layer.name, str(found.units), *row)


def _signal_row(layer: Layer) -> tuple[str, ...]:
    bits = layer.activity
    return (
        layer.name,
        *(f"{value:.3f}" for value in (layer.signal.correlation, layer.theory, layer.signal.share)),
        *("---" if bits is None else (f"{bits.entropy:.3f}", f"{bits.never:.1%}", f"{bits.always:.1%}")),
        f"{layer.gradients.preactivation:.1e}",
        f"{layer.gradients.logits:.1e}",
    )


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Columns as wide as they must be, the first to the left."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        first, *others = (
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join((first, *others)).rstrip()
