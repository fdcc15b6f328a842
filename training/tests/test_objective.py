from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lrnet.objective import Objective, loss, mix, targets


def test_without_anything_asked_for_it_is_the_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 5), torch.tensor([0, 1, 2, 3, 4, 0, 1])
    plain = Objective()
    expected = F.cross_entropy(logits, labels, reduction="sum")
    torch.testing.assert_close(loss(logits, targets(labels, 5, plain), None, plain), expected)


def test_label_smoothing_is_that_of_pytorch() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 5), torch.tensor([0, 1, 2, 3, 4, 0, 1])
    smooth = Objective(label_smoothing=0.2)
    expected = F.cross_entropy(logits, labels, label_smoothing=0.2, reduction="sum")
    torch.testing.assert_close(loss(logits, targets(labels, 5, smooth), None, smooth), expected)


def test_mixed_images_are_of_two_and_mostly_the_first() -> None:
    torch.manual_seed(0)
    images = F.one_hot(torch.arange(6), 6).float()
    mixed, order, share = mix(images, 0.4)
    assert 0.5 <= share <= 1
    assert sorted(order.tolist()) == list(range(6))
    torch.testing.assert_close(mixed, share * images + (1 - share) * images[order])


def test_the_shares_of_mixing_are_spread_as_a_beta_distribution_says() -> None:
    torch.manual_seed(0)
    shares = torch.tensor([mix(torch.zeros(2, 1), 1.0)[2] for _ in range(2000)])
    # Of a uniform share the larger of it and the rest has the mean 3/4.
    assert shares.mean().item() == pytest.approx(0.75, abs=0.02)


def test_distillation_pulls_to_the_teachers_probabilities_and_rests_there() -> None:
    torch.manual_seed(0)
    objective = Objective(distillation=1.0, distillation_temperature=3.0)
    teacher = torch.randn(4, 5)
    logits = teacher.clone().requires_grad_()
    target = targets(torch.tensor([0, 1, 2, 3]), 5, objective)
    loss(logits, target, teacher, objective).backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(teacher), atol=1e-5, rtol=0)
    elsewhere = torch.zeros(4, 5, requires_grad=True)
    loss(elsewhere, target, teacher, objective).backward()
    towards = torch.softmax(teacher / 3, 1) - 0.2
    torch.testing.assert_close(elsewhere.grad, -3 * towards)


def test_half_distillation_keeps_half_of_the_labels_part() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 5), torch.tensor([0, 1, 2, 3])
    whole, half, none = (Objective(distillation=share) for share in (1.0, 0.5, 0.0))
    target = targets(labels, 5, half)
    teacher = torch.randn(4, 5)
    expected = (loss(logits, target, teacher, whole) + loss(logits, target, teacher, none)) / 2
    torch.testing.assert_close(loss(logits, target, teacher, half), expected)
