"""What a training step minimizes: cross-entropy, with soft targets where a run asks for them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """All 0: plain cross-entropy.

    label_smoothing: the share of the target that is spread over all classes (Szegedy et al., CVPR 2016);
    mixup: α of the Beta(α, α) that mixes a batch's images and labels with themselves (Zhang et al., ICLR 2018);
    distillation: the share of the target that is the float twin's softmax, at `distillation_temperature` for both
    (Hinton, Vinyals and Dean, 2015); the twin itself is trained without it.
    """

    label_smoothing: float = 0.0
    mixup: float = 0.0
    distillation: float = 0.0
    distillation_temperature: float = 2.0


def mix(images: Tensor, alpha: float) -> tuple[Tensor, Tensor, float]:
    """Images [n, …] mixed with themselves in another order, that order, and the share that stays, at least a half."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    share = max(share, 1 - share)
    order = torch.randperm(len(images), device=images.device)
    return torch.lerp(images[order], images, share), order, share


def targets(labels: Tensor, classes: int, objective: Objective) -> Tensor:
    """Labels [n] as probabilities [n, classes]."""
    smoothing = objective.label_smoothing
    return F.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes


def loss(logits: Tensor, target: Tensor, teacher: Tensor | None, objective: Objective) -> Tensor:
    """Sum over rows of the cross-entropy of logits [n, classes] to target, and to the teacher's logits where given.

    The teacher's part is multiplied by its temperature squared, which keeps the size of its gradient.
    """
    whole = F.cross_entropy(logits, target, reduction="sum")
    if teacher is None or objective.distillation == 0:
        return whole
    temperature = objective.distillation_temperature
    taught = F.kl_div(
        F.log_softmax(logits / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="sum",
        log_target=True,
    )
    return (1 - objective.distillation) * whole + objective.distillation * temperature**2 * taught
