"""The figures on examples worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lrnet.scores import Score, calibration_bins, confusion, score, score_members

PROBABILITIES = np.array([[0.9, 0.1], [0.62, 0.38], [0.2, 0.8], [0.35, 0.65]])
LABELS = np.array([0, 1, 1, 1])


def test_accuracy_log_loss_and_calibration_error_of_four_rows() -> None:
    # Confidences 0.9, 0.62 and 0.65 (the tenth bin, of 0.6 … 0.667), 0.8; the second row is wrong.
    error = (abs(1 - 0.9) + abs((0 - 0.62) + (1 - 0.65)) + abs(1 - 0.8)) / 4
    loss = -(math.log(0.9) + math.log(0.38) + math.log(0.8) + math.log(0.65)) / 4
    assert score(PROBABILITIES, LABELS) == pytest.approx(Score(0.75, loss, error))


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    # 0.8 = 12 / 15 shares a bin with 0.75, and the two errors cancel: 0.8 - 1 and 0.75 - 0 … 0.55 in sum.
    probabilities = np.array([[0.8, 0.2], [0.75, 0.25]])
    assert calibration_bins(probabilities, np.array([0, 1])).error == pytest.approx(0.55 / 2)


def test_certainty_that_is_right_has_no_error_and_certainty_that_is_wrong_has_all() -> None:
    certain = np.array([[1.0, 0.0]])
    assert calibration_bins(certain, np.array([0])).error == 0
    assert calibration_bins(certain, np.array([1])).error == 1


def test_bins_hold_rows_right_ones_and_confidence_and_an_empty_one_holds_zeros() -> None:
    bins = calibration_bins(PROBABILITIES, LABELS)
    # Confidences 0.9 (bin 13), 0.62 and 0.65 (bin 9, of 0.6 … 0.667), 0.8 (bin 11, whose edge it is).
    assert bins.count.tolist() == [0] * 9 + [2, 0, 1, 0, 1, 0]
    assert bins.right.tolist() == [0] * 9 + [1, 0, 1, 0, 1, 0]
    assert bins.confidence == pytest.approx([0] * 9 + [1.27, 0, 0.8, 0, 0.9, 0])


def test_a_confusion_is_in_the_row_of_its_label_and_the_column_of_its_answer() -> None:
    answers, labels = np.array([2, 2, 0, 1]), np.array([1, 1, 0, 1])
    assert confusion(answers, labels, 3).tolist() == [[1, 0, 0], [0, 1, 2], [0, 0, 0]]


def test_k_members_answer_by_the_mean_of_their_probabilities_at_the_temperature_of_k() -> None:
    # Member 0 says class 0 by odds of 4 : 1, member 1 class 1 by 16 : 1; at temperature 2 by 2 : 1 and 4 : 1.
    logits = np.log(np.array([[[4, 1]], [[1, 16]]], dtype=np.float32))
    first, both = score_members(logits, (1.0, 2.0), np.array([1]))
    assert first.log_loss == pytest.approx(-math.log(1 / 5), rel=1e-6)
    assert both.log_loss == pytest.approx(-math.log((1 / 3 + 4 / 5) / 2), rel=1e-6)
    assert (first.accuracy, both.accuracy) == (0, 1)
