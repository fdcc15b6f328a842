from __future__ import annotations

import numpy as np
import pytest

from lrnet.data import Split
from lrnet.discrete import Parameters
from lrnet.members import Candidate, Chosen, choose

LABELS = np.array([0, 1, 0, 1])
HELD_OUT = Split(np.zeros((4, 1, 1, 1), dtype=np.uint8), LABELS)


def candidate(probability_of_label: list[float]) -> Candidate:
    """A candidate that gives each of the four rows' labels such a probability."""
    rows = np.empty((4, 2))
    for row, (label, probability) in enumerate(zip(LABELS, probability_of_label, strict=True)):
        rows[row, label], rows[row, 1 - label] = probability, 1 - probability
    name = str(probability_of_label)
    member = {name: Parameters(np.zeros((1, 1), dtype=np.int8))}
    return Candidate(member, np.log(rows).astype(np.float32))


def chosen(count: int, *rows: list[float]) -> Chosen:
    return choose((candidate(each) for each in rows), count, HELD_OUT)


def test_the_candidate_with_the_most_right_answers_comes_first() -> None:
    result = chosen(1, [0.9, 0.9, 0.9, 0.1], [0.6, 0.6, 0.6, 0.6], [0.9, 0.9, 0.1, 0.1])
    assert result.candidates == (1,)
    assert result.scores == (0.75, 1.0, 0.5)


def test_of_equally_accurate_candidates_the_surer_comes_first() -> None:
    assert chosen(1, [0.6, 0.6, 0.6, 0.6], [0.8, 0.8, 0.8, 0.8]).candidates == (1,)


def test_the_next_member_is_the_one_that_helps_the_mean_most() -> None:
    first = [0.9, 0.9, 0.9, 0.45]
    likewise = [0.9, 0.9, 0.9, 0.4]
    complementary = [0.8, 0.8, 0.45, 0.95]
    assert chosen(2, first, likewise, complementary).candidates == (0, 2)


def test_a_candidate_that_is_to_be_first_is_first() -> None:
    rows = [[0.9] * 4, [0.6, 0.6, 0.6, 0.4], [0.8] * 4]
    result = choose((candidate(each) for each in rows), 2, HELD_OUT, first=1)
    assert result.candidates == (1, 0)
    assert list(result.members[0]) == [str(rows[1])]


def test_what_the_first_candidates_would_give_unchosen_is_told() -> None:
    wrong, sure = [0.4] * 4, [0.9, 0.9, 0.9, 0.3]
    result = chosen(2, wrong, wrong, sure, sure)
    assert result.candidates == (2, 3)
    assert result.unchosen == 0.0


def test_no_candidate_is_chosen_twice() -> None:
    result = chosen(3, [0.9] * 4, [0.6] * 4, [0.3] * 4)
    assert result.candidates == (0, 1, 2)
    assert result.logits.shape == (3, 4, 2)


def test_members_and_their_logits_keep_the_order_of_choice() -> None:
    result = chosen(2, [0.6] * 4, [0.8] * 4)
    assert [list(member) for member in result.members] == [["[0.8, 0.8, 0.8, 0.8]"], ["[0.6, 0.6, 0.6, 0.6]"]]
    np.testing.assert_allclose(np.exp(result.logits[:, 0, 0]), [0.8, 0.6], rtol=1e-6)


def test_more_members_than_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="3 members cannot be chosen from 2"):
        chosen(3, [0.6] * 4, [0.8] * 4)
