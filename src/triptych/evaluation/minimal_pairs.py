"""Which of two sentences a model finds likelier: BLiMP, Warstadt et al. 2020.

The sentences of a pair differ in one point of grammar; a model is right where it gives the good one
the higher probability, of the whole sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

TIE = 1e-5
"""Two log-probabilities that differ by less, relative to the larger (or to 1), are equal: what
company in a batch may change."""


class MinimalPair(NamedTuple):
    """A row of BLiMP, and where it stands."""

    field: str
    phenomenon: str
    good: str
    bad: str
    place: str


@dataclass(frozen=True)
class PairScores:
    """The share of pairs that are right; a tie counts as half of one."""

    n: int
    n_ties: int
    accuracy: float

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {"accuracy": self.accuracy, "n": self.n, "n_ties": self.n_ties}


def score_pairs(good: Sequence[float], bad: Sequence[float]) -> PairScores:
    """The log-probabilities of the good sentences against those of the bad ones, pair by pair."""
    n_right = n_ties = 0
    for a, b in zip(good, bad, strict=True):
        tie = abs(a - b) < TIE * max(1.0, abs(a), abs(b))
        n_ties += tie
        n_right += not tie and a > b
    return PairScores(len(good), n_ties, (n_right + n_ties / 2) / len(good))


def score_groups(
    names: Sequence[str], good: Sequence[float], bad: Sequence[float]
) -> dict[str, PairScores]:
    """`score_pairs` for the pairs of each name, in the order in which the names first occur."""
    groups: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        groups.setdefault(name, []).append(number)
    return {
        name: score_pairs([good[i] for i in numbers], [bad[i] for i in numbers])
        for name, numbers in groups.items()
    }
