"""Exact match and F1 of answers, by the tables of SQuAD's script worked out by hand."""

import pytest

from triptych.errors import DataError
from triptych.evaluation.answers import normalized_answer, score_answers, word_f1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Panthers'  defense.", "panthers defense"),
        ("an A-team, a the", "ateam"),  # punctuation goes before articles
        ("theatre", "theatre"),
        ("$1.5 million", "15 million"),
        ("  ", ""),
    ],
)
def test_normalizing(text: str, expected: str) -> None:
    assert normalized_answer(text) == expected


@pytest.mark.parametrize(
    ("predicted", "right", "expected"),
    [
        ("the cat sat", "cat sat", 1.0),
        ("cat sat down", "cat", 2 * 1 / 4),
        ("cat cat", "cat", 2 * 1 / 3),
        ("dog", "cat", 0.0),
        ("", "cat", 0.0),
        ("the", "", 1.0),
    ],
)
def test_f1_of_words(predicted: str, right: str, expected: float) -> None:
    assert word_f1(predicted, right) == pytest.approx(expected)


def test_the_best_right_answer_counts_and_means_are_over_questions() -> None:
    found = score_answers(
        ["in May", "nothing", "x", ""], [["May", "In May."], ["the river"], [], []]
    )
    assert found.n == 4
    assert found.exact_match == pytest.approx(2 / 4)
    assert found.f1 == pytest.approx((1 + 0 + 0 + 1) / 4)
    assert score_answers(["in May"], [["May"]]).f1 == pytest.approx(2 / 3)


def test_unequal_lists() -> None:
    with pytest.raises(DataError):
        score_answers(["a"], [])
