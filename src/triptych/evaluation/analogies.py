"""a is to b as c is to what, by 3CosAdd — Mikolov et al. 2013; Levy and Goldberg 2014, equation 3.

Letters of shapes: V words, E width of a vector, Q questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

QUESTIONS_AT_ONCE = 256
SYNTACTIC = "gram"
"""How the names of Google's syntactic sections begin."""


@dataclass(frozen=True)
class AnalogyScore:
    """Of `n` questions whose four words have a vector, how many are right; `n_all` were asked."""

    n_correct: int
    n: int
    n_all: int

    @property
    def accuracy(self) -> float:
        """Of the questions whose words are known; 0 without any."""
        return self.n_correct / self.n if self.n else 0.0

    @property
    def accuracy_of_all(self) -> float:
        """With the questions that hold an unknown word as wrong ones."""
        return self.n_correct / self.n_all if self.n_all else 0.0


def three_cos_add(unit: Floats, questions: Rows) -> Rows:
    """For each question (rows a, b, c of `unit` [V, E]) the row nearest to b − a + c, [Q].

    By cosine; the vectors have length 1, the three words themselves are left out, and of equal ones
    the first is taken.
    """
    answers = np.empty(len(questions), dtype=np.int64)
    for begin in range(0, len(questions), QUESTIONS_AT_ONCE):
        some = questions[begin : begin + QUESTIONS_AT_ONCE]
        a, b, c = (unit[some[:, n]] for n in range(3))
        cosines = (b - a + c) @ unit.T  # [Q, V]; dividing by the left length would change no order
        np.put_along_axis(cosines, some[:, :3], -np.inf, axis=1)
        answers[begin : begin + len(some)] = cosines.argmax(axis=1)
    return answers


def score_analogies(
    unit: Floats, questions: Rows, sections: Sequence[str]
) -> dict[str, AnalogyScore]:
    """By section, in the order in which they come. `questions` [Q, 4] are rows, −1 where a word
    has none; those questions are not asked, and counted in `n_all`.
    """
    known = (questions >= 0).all(axis=1)
    right = np.zeros(len(questions), dtype=bool)
    right[known] = three_cos_add(unit, questions[known]) == questions[known, 3]
    scores = {}
    for section in dict.fromkeys(sections):
        of_it = np.array([each == section for each in sections])
        scores[section] = AnalogyScore(
            int(right[of_it].sum()), int((known & of_it).sum()), int(of_it.sum())
        )
    return scores


def sum_scores(scores: Sequence[AnalogyScore]) -> AnalogyScore:
    """Several sections as one: each question counts once."""
    return AnalogyScore(
        sum(score.n_correct for score in scores),
        sum(score.n for score in scores),
        sum(score.n_all for score in scores),
    )
