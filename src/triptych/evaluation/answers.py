"""Exact match and F1 of answers, as the script of SQuAD has them (Rajpurkar et al. 2016, 2018).

Answers are lowered, lose punctuation and the articles a, an and the, and are compared as a whole or
as bags of words; of several right answers the best counts. No right answer: the empty one is right.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from triptych.evaluation.parallel import require_parallel

PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class AnswerScores:
    """Means over `n` questions, from 0 to 1 (the script prints percent)."""

    n: int
    exact_match: float
    f1: float


def score_answers(predicted: Sequence[str], gold: Sequence[Sequence[str]]) -> AnswerScores:
    """`gold` has all right answers of each question. Raises DataError for unequal lists."""
    n = require_parallel(predicted, gold, ("answers", "questions"))
    pairs = list(zip(predicted, gold, strict=True))
    exact = sum(max(exact_match(p, right) for right in _right(g)) for p, g in pairs)
    f1 = sum(max(word_f1(p, right) for right in _right(g)) for p, g in pairs)
    return AnswerScores(n, exact / n, f1 / n)


def exact_match(predicted: str, right: str) -> bool:
    """Whether both are the same once normalized."""
    return normalized_answer(predicted) == normalized_answer(right)


def word_f1(predicted: str, right: str) -> float:
    """2 · common / (words of both), words counted with repetition; both empty is 1."""
    p, r = normalized_answer(predicted).split(), normalized_answer(right).split()
    if not p or not r:
        return float(p == r)
    common = (Counter(p) & Counter(r)).total()
    return 2 * common / (len(p) + len(r))


def normalized_answer(text: str) -> str:
    """Lowered, without punctuation and articles, one space between words."""
    plain = text.lower().translate(PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", plain).split())


def _right(answers: Sequence[str]) -> Sequence[str]:
    """Answers of which something is left when they are normalized; else the empty one."""
    return [answer for answer in answers if normalized_answer(answer)] or [""]
