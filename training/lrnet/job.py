"""What all parts of one training share, and what it runs on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lrnet import checkpoint, distributed, log
from lrnet.data import Split, read_training, require_fit, require_test
from lrnet.networks import FloatNetwork
from lrnet.noise import PARTS, Noise
from lrnet.run import Run


def default_device() -> torch.device:
    """A GPU where there is one; of several, under `torchrun`, one for each process."""
    if torch.cuda.is_available():
        return torch.device("cuda", distributed.local_rank())
    return torch.device("cpu")


@dataclass(frozen=True)
class Settings:
    """How a training is carried out, beside its run: what may change its last digits, and its speed.

    compile: element-wise steps are fused by `torch.compile`, which takes a C++ compiler and a minute or so;
    bfloat16: sums over weights in bfloat16, their moments in float32; test: the test images are read at the end;
    quiet: without a progress bar.
    """

    device: torch.device = field(default_factory=default_device)
    compile: bool = False
    bfloat16: bool = False
    test: bool = True
    quiet: bool = False


@dataclass(frozen=True)
class Job:
    """A run, its data (all of it on the device, as bytes), and where its results go."""

    run: Run
    folder: Path
    log: Path
    data: Path | None
    settings: Settings
    noise: Noise
    training: Split
    held_out: Split
    images: Tensor
    labels: Tensor
    held_out_images: Tensor

    @property
    def device(self) -> torch.device:
        return self.settings.device

    @property
    def quiet(self) -> bool:
        return self.settings.quiet or distributed.rank() > 0

    @property
    def pixel_mean(self) -> float:
        """The training images' mean byte, 0 … 255."""
        return float(self.images.sum(dtype=torch.int64)) / self.images.numel()

    @cached_property
    def twin(self) -> FloatNetwork:
        """The float twin, once its stage is over, in evaluation mode."""
        return checkpoint.load_float(self.folder).to(self.device)

    @torch.no_grad()
    def teacher(self, images: Tensor) -> Tensor:
        """The float twin's logits [n, classes] of x, [n, C, H, W]."""
        return self.twin(images)

    def mine(self, rows: int) -> slice:
        """The rows of a batch that this process computes."""
        return slice(*(rows * part // PARTS for part in (self.noise.parts.start, self.noise.parts.stop)))

    def sample(self, count: int) -> Tensor:
        """Training images, uint8 [count, H, W, C], or all where there are fewer, drawn by PyTorch's generator."""
        return self.images[torch.randperm(len(self.images), device=self.device)[:count]]

    def note(self, record: dict[str, Any]) -> None:
        """Adds a line to the log; the first process alone does."""
        if distributed.rank() == 0:
            log.append(self.log, record)

    def keep(self, network: nn.Module, name: str) -> None:
        """Writes a network's state into the checkpoint; the first process alone does, and all wait for it."""
        if distributed.rank() == 0:
            checkpoint.save_tensors(self.folder / name, network.state_dict())
        distributed.wait()


def open_job(run: Run, folder: Path, log: Path, data: Path | None, settings: Settings) -> Job:
    """Reads the training data onto the device. Raises DataError; ValueError for a batch that cannot be shared."""
    device = settings.device
    make_reproducible(device)
    training, held_out = read_training(run.data, data, run.held_out)
    batch = min(run.batch, len(training))
    if distributed.world() > 1 and batch % PARTS:
        raise ValueError(f"batch: several processes share a multiple of {PARTS}, not {batch}")
    require_fit(run.data, data, training, run.input, run.labels)
    if settings.test:
        # A missing file is noticed before the training and not behind it.
        require_test(run.data, data)
    return Job(
        run=run,
        folder=folder,
        log=log,
        data=data,
        settings=settings,
        noise=Noise(device, distributed.rank(), distributed.world()),
        training=training,
        held_out=held_out,
        images=torch.tensor(training.images, device=device),
        labels=torch.tensor(training.labels, device=device),
        held_out_images=torch.tensor(held_out.images, device=device),
    )


def make_reproducible(device: torch.device) -> None:
    """Lets a seed decide everything, on the same machine with the same versions and threads."""
    if device.type == "cuda":
        # cuBLAS reads this when its first handle is made; without it its sums depend on scheduling.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)


def hardware(device: torch.device) -> str:
    """The processor that trains, and how many cores of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"


def versions() -> Mapping[str, str]:
    packages = ("lrnet", "torch", "numpy", "scipy", "scikit-learn")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    except OSError:  # only Linux has this file
        pass
    return platform.processor() or platform.machine()
