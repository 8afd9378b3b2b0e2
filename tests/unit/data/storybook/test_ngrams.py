"""The n-gram baseline is a proper model, and a strong one."""

from collections import Counter

import numpy as np
import pytest

from triptych.data.storybook import stories, tokenize
from triptych.data.storybook.ngrams import KneserNey
from triptych.errors import UsageError

TEXTS = [tokenize(story.text) for story in stories(41, 120)]


def test_probabilities_of_what_can_follow_sum_to_one() -> None:
    model = KneserNey(TEXTS)
    new = tokenize(next(stories(42)).text)
    for length in (0, 1, 4, 9):
        followed = [[*new[:length], word] for word in [*model.ids, "never-seen"]]
        positions = [model.log_probs([text])[length] for text in followed]
        end = model.log_probs([new[:length]])[length]
        assert np.exp([*positions, end]).sum() == pytest.approx(1.0, abs=1e-9)


def test_a_model_of_order_one_counts_words() -> None:
    """Order 1 keeps raw counts, discounted and topped up alike for all words."""
    texts = [["a", "b", "a"], ["a", "c"]]
    model = KneserNey(texts, order=1)
    counts = Counter({"a": 3, "b": 1, "c": 1, "end": 2})
    spread = (0.75 + 0.5 + 0.5 + 0.75) / 7 / 5  # shared by a, b, c, end and unknown
    a, b = np.exp(model.log_probs([["a", "b"]]))[:2]
    assert a == pytest.approx((counts["a"] - 0.75) / 7 + spread)
    assert b == pytest.approx((counts["b"] - 0.5) / 7 + spread)


def test_higher_orders_predict_better() -> None:
    held_out = [tokenize(story.text) for story in stories(43, 60)]
    costs = [-KneserNey(TEXTS, order).log_probs(held_out).mean() for order in (1, 2, 3)]
    assert costs[0] > costs[1] > costs[2]


def test_too_many_words_are_refused() -> None:
    with pytest.raises(UsageError, match="5000"):
        KneserNey([[str(n) for n in range(5000)]])
