"""Did the translation choose the right sense: Ufer or Bank?

A case is an ambiguous source word, the target forms of the sense meant, and the target forms of
its other senses. The output is right when it has one of the first and none of the second. Forms
are compared as whole words, without regard to case.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from triptych.errors import DataError
from triptych.evaluation.parallel import require_parallel


@dataclass(frozen=True)
class SenseCase:
    """One ambiguous word in one sentence: `gold` forms, of which one must occur, `other` forms,
    of which none may."""

    word: str
    gold: tuple[str, ...]
    other: tuple[str, ...]


@dataclass(frozen=True)
class SenseScore:
    """Share of cases whose sense is right; `by_word` maps a word to (right, all), sorted.

    `wrong` lists the failures as (line, word), lines counted from 0, in order.
    """

    accuracy: float
    n: int
    n_correct: int
    by_word: dict[str, tuple[int, int]]
    wrong: tuple[tuple[int, str], ...]

    def to_json(self) -> dict[str, Any]:
        """`accuracy`, `n`, `n_correct` and per word the same three."""
        words = {
            word: {"accuracy": right / n, "n": n, "n_correct": right}
            for word, (right, n) in self.by_word.items()
        }
        return {
            "accuracy": self.accuracy,
            "n": self.n,
            "n_correct": self.n_correct,
            "by_word": words,
        }


def sense_accuracy(cases: Sequence[Sequence[SenseCase]], hypotheses: Sequence[str]) -> SenseScore:
    """Score hypotheses line by line; a line may have any number of cases, none included.

    Where one line means a word in two senses, a form that is gold for one case is not held
    against the other. Raises DataError for different numbers of lines, or without any case.
    """
    require_parallel(hypotheses, cases, ("outputs", "lines of sense cases"))
    counts: dict[str, tuple[int, int]] = {}
    wrong = []
    for line, (line_cases, hypothesis) in enumerate(zip(cases, hypotheses, strict=True)):
        for case in line_cases:
            right = sense_is_right(case, hypothesis, line_cases)
            n_right, n = counts.get(case.word, (0, 0))
            counts[case.word] = (n_right + right, n + 1)
            if not right:
                wrong.append((line, case.word))
    total = sum(n for _, n in counts.values())
    if not total:
        raise DataError(
            f"none of the {len(cases):,} lines has an ambiguous word, so there is no sense to"
            " score; give sentences with sense cases."
        )
    correct = total - len(wrong)
    return SenseScore(correct / total, total, correct, dict(sorted(counts.items())), tuple(wrong))


def sense_is_right(case: SenseCase, hypothesis: str, line_cases: Sequence[SenseCase] = ()) -> bool:
    """True when a gold form occurs and no other form does, save one that `line_cases` ask for."""
    wanted = {form.casefold() for item in (case, *line_cases) for form in item.gold}
    unwanted = [form for form in case.other if form.casefold() not in wanted]
    return _occurs(case.gold, hypothesis) and not _occurs(unwanted, hypothesis)


def _occurs(forms: Iterable[str], text: str) -> bool:
    folded = text.casefold()
    return any(re.search(rf"(?<!\w){re.escape(form.casefold())}(?!\w)", folded) for form in forms)
