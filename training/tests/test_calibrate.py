from __future__ import annotations

import math

import numpy as np
import pytest

from lrnet.calibrate import accuracy, fit_temperature, log_loss, mean_probabilities


def test_probabilities_are_the_mean_over_members_not_over_logits() -> None:
    logits = np.log(np.array([[[0.9, 0.1]], [[0.3, 0.7]]])).astype(np.float32)
    np.testing.assert_allclose(mean_probabilities(logits), [[0.6, 0.4]], rtol=1e-6)


def test_a_temperature_of_two_takes_roots() -> None:
    logits = np.log(np.array([[[0.9, 0.1]]])).astype(np.float32)
    # √0.9 : √0.1 is 3 : 1.
    np.testing.assert_allclose(mean_probabilities(logits, 2.0), [[0.75, 0.25]], rtol=1e-6)


def test_large_logits_do_not_overflow() -> None:
    probabilities = mean_probabilities(np.array([[[3e38, 0.0]]], dtype=np.float32))
    assert probabilities.tolist() == [[1.0, 0.0]]


def test_ties_go_to_the_lowest_index() -> None:
    tie = np.array([[0.4, 0.4, 0.2]])
    assert accuracy(tie, np.array([0])) == 1.0
    assert accuracy(tie, np.array([1])) == 0.0


def test_the_log_loss_is_the_mean_surprise_and_finite_at_zero() -> None:
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75]])
    loss = log_loss(probabilities, np.array([0, 0]))
    assert loss == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert math.isfinite(log_loss(np.array([[1.0, 0.0]]), np.array([1])))


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_temperature_that_logits_were_divided_by_is_found(temperature: float) -> None:
    generator = np.random.default_rng(0)
    honest = generator.normal(size=(20_000, 4)) * 2
    probabilities = mean_probabilities(honest[None].astype(np.float32))
    labels = np.array([generator.choice(4, p=row) for row in probabilities])
    logits = (honest * temperature)[None].astype(np.float32)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_answers_that_are_all_right_are_not_taken_for_certain() -> None:
    labels = np.arange(200) % 4
    logits = np.where(np.arange(4) == labels[:, None], 3.0, 0.0)[None].astype(np.float32)
    temperature = fit_temperature(logits, labels)
    # The mean probability of the label then is the softened target, 1 - 1/202.
    probabilities = mean_probabilities(logits, temperature)
    assert probabilities[0, 0] == pytest.approx(1 - 1 / 202, rel=1e-4)
