"""The best stretches over windows, against brute force."""

import itertools
import math

import numpy as np
import pytest

from triptych.data.answer_windows import AnswerWindow
from triptych.errors import ModelFileError
from triptych.recipes.answer import N_BEST, AnswerRules, best_answers, best_stretches


@pytest.mark.parametrize(("n", "longest"), [(1, 30), (5, 2), (9, 1), (30, 7), (12, 99)])
def test_the_best_stretches_are_those_of_brute_force(n: int, longest: int) -> None:
    logits = np.random.default_rng(n).normal(size=(n, 2)).astype(np.float32)
    every = [
        (i, j, float(logits[i, 0]) + float(logits[j, 1]))
        for i, j in itertools.product(range(n), repeat=2)
        if i <= j < i + longest
    ]
    expected = sorted(every, key=lambda each: -each[2])[:N_BEST]
    found = best_stretches(logits, longest)
    assert [each[:2] for each in found] == [each[:2] for each in expected]
    assert [each[2] for each in found] == pytest.approx([each[2] for each in expected])


CONTEXT = "aa bb cc dd"
SPANS = [(0, 2), (3, 5), (6, 8), (9, 11)]


def window(question: int, start: int, end: int) -> AnswerWindow:
    n = end - start
    return AnswerWindow(question, [0] * (n + 4), [0] * (n + 4), 3, SPANS[start:end])


def logits(none: float, *tokens: tuple[float, float]) -> np.ndarray:
    """Of [CLS], a question token that must not be chosen, [SEP], the context and [SEP]."""
    outside = [(99.0, 99.0), (99.0, 99.0)]
    return np.array([(none / 2, none / 2), *outside, *tokens, (99.0, 99.0)], dtype=np.float32)


def test_windows_of_a_question_are_ranked_together_and_overlaps_are_one() -> None:
    windows = [window(0, 0, 3), window(0, 1, 4), window(1, 0, 1)]
    outputs = [
        logits(0, (0, 0), (5, 0), (0, 4)),  # bb cc: 9
        logits(0, (6, 0), (0, 5), (0, 0)),  # bb cc: 11, which counts
        logits(0, (1, 1)),
    ]
    first, second = best_answers(outputs, windows, [CONTEXT, CONTEXT], AnswerRules())
    assert (first[0].text, first[0].score, first[0].start, first[0].end) == ("bb cc", 11, 3, 8)
    assert sum(answer.text == "bb cc" for answer in first) == 1
    assert [a.score for a in first] == sorted((a.score for a in first), reverse=True)
    assert [answer.text for answer in second] == ["aa"]
    total = sum(math.exp(answer.score) for answer in first)
    assert first[0].probability == pytest.approx(math.exp(11) / total)


def test_no_answer_must_win_in_every_window_and_be_allowed() -> None:
    windows = [window(0, 0, 2), window(0, 2, 4)]

    def best(none_1: float, none_2: float, may_be_empty: bool) -> str:
        outputs = [logits(none_1, (1, 0), (0, 1)), logits(none_2, (1, 0), (0, 2))]
        rules = AnswerRules(may_be_empty=may_be_empty)
        return best_answers(outputs, windows, [CONTEXT], rules)[0][0].text

    assert best(9, 9, True) == ""
    assert best(9, 2, True) == "cc dd"  # the second window doubts it
    assert best(9, 9, False) == "cc dd"


def test_rules_from_a_folder() -> None:
    rules = AnswerRules(stride=7, max_answer_tokens=3, may_be_empty=True)
    assert AnswerRules.from_json({"task": "qa", **rules.to_json()}, "f") == rules
    assert AnswerRules.from_json({}, "f") == AnswerRules()
    for wrong in ({"stride": 0}, {"stride": "8"}, {"may_be_empty": 1}, {"stride": True}):
        with pytest.raises(ModelFileError, match=f"f: {next(iter(wrong))} is"):
            AnswerRules.from_json(wrong, "f")
