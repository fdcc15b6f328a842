"""One step of a training, and what a stage takes over from the one before it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from lrnet.criticality import critical_sharpness
from lrnet.job import Job, Settings, open_job
from lrnet.networks import FloatNetwork, StochasticNetwork
from lrnet.run import read_run
from lrnet.stages import KEPT, SEARCHED, Stage, build, plan
from lrnet.train import _epoch, batches, descend, one_cycle

RUN = Path(__file__).parent.parent / "runs" / "digits.toml"


def job(tmp_path: Path, *overrides: str) -> Job:
    run, _ = read_run(RUN, ["freezing.candidates=2", "freezing.epochs=1", "freezing.images=100", *overrides])
    return open_job(
        run, tmp_path, tmp_path / "log.jsonl", None, Settings(torch.device("cpu"), quiet=True, test=False)
    )


def stage(job: Job, name: str, predecessor: torch.nn.Module | None = None) -> Stage:
    (step,) = [step for step in plan(job.run) if step.name == name]
    torch.manual_seed(3)
    return build(job, step, predecessor)


def pretrained(job: Job) -> FloatNetwork:
    torch.manual_seed(0)
    return FloatNetwork(job.run.input, job.run.graph, "sign")


def distribution(job: Job) -> StochasticNetwork:
    network = stage(job, "distribution", pretrained(job)).network
    assert isinstance(network, StochasticNetwork)
    return network


def gradients(network: torch.nn.Module) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


def test_layers_behind_a_frozen_one_go_on_as_they_were(tmp_path: Path) -> None:
    of = job(tmp_path)
    network = distribution(of)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    frozen = stage(of, "freezing conv1", network).network
    behind = {name: value for name, value in frozen.state_dict().items() if not name.startswith("layers.0.")}
    assert len(behind) > 10
    for name, value in behind.items():
        assert torch.equal(value, before[name]), name


def test_the_critical_sharpness_is_what_the_distribution_starts_with(tmp_path: Path) -> None:
    of = job(tmp_path, "distribution.sharpness=0")
    started = distribution(of)
    torch.manual_seed(3)
    fresh = StochasticNetwork(of.run.input, of.run.graph, of.pixel_mean)
    sharpness = critical_sharpness(fresh, pretrained(of), of.sample(SEARCHED), seed=of.run.seed)
    assert abs(sharpness - 4) > 0.5
    fresh.start_from(pretrained(of), sharpness)
    for layer, expected in zip(started.free, fresh.free, strict=True):
        assert torch.equal(layer.weights.logits, expected.weights.logits)


def step(of: Job, network: FloatNetwork, images: Tensor, labels: Tensor, *, taught: bool = True) -> Tensor:
    """The logits of one step; the network keeps its gradients, and nothing else changes but its running means."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    fitted = Stage(network, [], lambda step, progress: None, lambda: 0.0)
    return descend(of, fitted, optimizer, images, labels, 1, 1, taught=taught)


def test_a_taught_step_goes_towards_the_twins_probabilities_and_the_twin_is_not_taught(
    tmp_path: Path,
) -> None:
    of = job(tmp_path, "objective.distillation=1.0", "objective.distillation_temperature=1.0")
    torch.manual_seed(1)
    twin = FloatNetwork(of.run.input, of.run.graph, "hardtanh")
    torch.save(twin.state_dict(), tmp_path / KEPT["twin"])
    (tmp_path / "run.json").write_text(_table())
    images, labels = next(batches(of))
    network = pretrained(of).train()
    logits = step(of, network, images, labels)
    taught = gradients(network)
    with torch.no_grad():
        target = torch.softmax(twin.eval()(images), dim=1)
    network.zero_grad()
    F.cross_entropy(network(images), target).backward()
    for found, expected in zip(taught, gradients(network), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    assert logits.shape == (len(labels), 10)
    network.zero_grad()
    step(of, network, images, labels, taught=False)
    # With all of the target the twin's, and no twin, only the labels are left.
    plain = gradients(network)
    network.zero_grad()
    F.cross_entropy(network(images), labels).backward()
    for found, expected in zip(plain, gradients(network), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def _table() -> str:
    import json

    return json.dumps(read_run(RUN)[1])


def test_mixed_images_have_targets_mixed_in_the_same_shares(tmp_path: Path) -> None:
    of = job(tmp_path, "objective.mixup=1.0")
    images, labels = next(batches(of))
    network = pretrained(of).train()
    torch.manual_seed(9)
    step(of, network, images, labels)
    mixed = gradients(network)
    torch.manual_seed(9)
    share = float(torch.distributions.Beta(1.0, 1.0).sample())
    share = max(share, 1 - share)
    order = torch.randperm(len(images))
    network.zero_grad()
    logits = network(share * images + (1 - share) * images[order])
    (
        share * F.cross_entropy(logits, labels) + (1 - share) * F.cross_entropy(logits, labels[order])
    ).backward()
    assert share < 0.99
    for found, expected in zip(mixed, gradients(network), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_a_batch_is_augmented_as_the_run_says(tmp_path: Path) -> None:
    plain = job(tmp_path, *(f"augmentation.{key}=0.0" for key in ("shift", "rotation", "scale")))
    torch.manual_seed(4)
    images, labels = next(batches(plain))
    bytes_of = {
        bytes(image.flatten().tolist()): int(label)
        for image, label in zip(plain.images, plain.labels, strict=True)
    }
    as_bytes = [bytes((image + 128).byte().flatten().tolist()) for image in images]
    assert all(bytes_of[each] == int(label) for each, label in zip(as_bytes, labels, strict=True))
    torch.manual_seed(4)
    turned, same_labels = next(batches(job(tmp_path, "augmentation.rotation=20.0")))
    assert torch.equal(same_labels, labels)
    assert not torch.isclose(turned, images).all(dim=(1, 2, 3)).any()


def test_the_learning_rates_of_an_epoch_are_those_of_one_cycle(tmp_path: Path) -> None:
    of = job(tmp_path, "batch=300")
    (twin,) = [each for each in plan(of.run) if each.kind == "twin"]
    fitted = build(of, twin, None)
    optimizer = torch.optim.AdamW(fitted.groups, lr=0.0)
    seen: list[float] = []
    optimizer.register_step_pre_hook(
        lambda optimizer, *_: seen.append(optimizer.param_groups[0]["lr"])  # type: ignore[arg-type]
    )
    with tqdm(disable=True) as bar:
        _epoch(of, twin, fitted, optimizer, bar, seed=1, done=4, total=16)
    peak = of.run.twin.learning_rate
    assert seen == [pytest.approx(peak * one_cycle(step / 16)) for step in (5, 6, 7, 8)]


@pytest.mark.parametrize("overrides", [(), ('method="ste"',)])
def test_the_last_network_of_a_run_is_of_the_kind_that_its_method_trains(
    tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    of = job(tmp_path, *overrides)
    last = plan(of.run)[-1]
    kind = FloatNetwork if overrides else StochasticNetwork
    assert isinstance(build(of, last, None).network, kind)
