"""What all parts of one training share, and what it runs on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from lrnet.data import Split, read_training
from lrnet.run import Run


@dataclass(frozen=True)
class Job:
    """A run, its data (all of it on the device, as bytes), and where its results go."""

    run: Run
    folder: Path
    log: Path
    data: Path | None
    device: torch.device
    quiet: bool
    training: Split
    held_out: Split
    images: Tensor
    labels: Tensor
    held_out_images: Tensor

    @property
    def pixel_mean(self) -> float:
        """The training images' mean byte, 0 … 255."""
        return float(self.images.sum(dtype=torch.int64)) / self.images.numel()


def open_job(
    run: Run, folder: Path, log: Path, data: Path | None, device: torch.device | None, quiet: bool
) -> Job:
    """Reads the training data onto the device: the one given, or a GPU where there is one. Raises DataError."""
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    make_reproducible(device)
    training, held_out = read_training(run.data, data, run.held_out)
    return Job(
        run=run,
        folder=folder,
        log=log,
        data=data,
        device=device,
        quiet=quiet,
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
