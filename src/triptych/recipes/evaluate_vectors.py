"""Word vectors against people's ratings of pairs of words, and against analogies."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from triptych.data.text import PathLike
from triptych.data.word_tests import read_analogies, read_rated_pairs
from triptych.errors import DataError
from triptych.evaluation.analogies import SYNTACTIC, AnalogyScore, score_analogies, sum_scores
from triptych.evaluation.correlation import CorrelationScores, score_values
from triptych.predecessors.vectors import WordVectors


@dataclass(frozen=True)
class SimilaritySet:
    """How one set of rated pairs was met."""

    data: str
    scores: CorrelationScores
    """Of the pairs whose two words have a vector."""
    n_pairs: int
    unknown: tuple[str, ...]
    """Words without a vector, each once, in the order of the file."""

    def to_json(self) -> dict[str, Any]:
        s = self.scores
        return {
            "data": self.data,
            "spearman": s.spearman,
            "pearson": s.pearson,
            "n": s.n,
            "n_pairs": self.n_pairs,
            "coverage": s.n / self.n_pairs,
            "unknown": list(self.unknown),
        }


@dataclass(frozen=True)
class WordSimilarityReport:
    """Correlations with the ratings of each set."""

    sets: tuple[SimilaritySet, ...]
    by: str

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {"by": self.by, "sets": [each.to_json() for each in self.sets]}

    def __str__(self) -> str:
        lines = ["Spearman  Pearson  pairs scored"]
        for each in self.sets:
            s = each.scores
            lines.append(
                f"{s.spearman:8.4f} {s.pearson:8.4f}  {s.n:,} of {each.n_pairs:,} "
                f"({s.n / each.n_pairs:.1%})  {each.data}"
            )
            if each.unknown:
                more = f" and {len(each.unknown) - 8:,} more" if each.unknown[8:] else ""
                lines.append(f"{'':19}without a vector: {', '.join(each.unknown[:8])}{more}")
        return "\n".join(lines)


@dataclass(frozen=True)
class AnalogyReport:
    """Accuracies by section and over all."""

    sections: dict[str, AnalogyScore]
    vocab_size: int
    seconds: float

    def group(self, which: Literal["all", "semantic", "syntactic"]) -> AnalogyScore:
        """The sum of some sections; Google's syntactic ones begin with "gram"."""
        return sum_scores(
            [
                score
                for name, score in self.sections.items()
                if which == "all" or name.startswith(SYNTACTIC) == (which == "syntactic")
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        groups = {name: _score_json(self.group(name)) for name in ("semantic", "syntactic")}
        return {
            **_score_json(self.group("all")),
            **groups,
            "sections": {name: _score_json(score) for name, score in self.sections.items()},
            "vocab_size": self.vocab_size,
            "method": "3CosAdd",
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        rows = [*self.sections.items(), *((n, self.group(n)) for n in ("semantic", "syntactic"))]
        rows.append(("all", self.group("all")))
        width = max(len(name) for name, _ in rows)
        lines = [f"{'':{width}}  accuracy  asked       with unknown words as wrong"]
        for name, s in rows:
            lines.append(
                f"{name:{width}}  {s.accuracy:8.2%}  {s.n:,} of {s.n_all:,}".ljust(width + 28)
                + f"{s.accuracy_of_all:8.2%}"
            )
        return "\n".join([*lines, f"3CosAdd among {self.vocab_size:,} words, {self.seconds:.1f} s"])


def _score_json(score: AnalogyScore) -> dict[str, Any]:
    return {
        "accuracy": score.accuracy,
        "accuracy_of_all": score.accuracy_of_all,
        "n_correct": score.n_correct,
        "n": score.n,
        "n_all": score.n_all,
    }


def evaluate_word_similarity(
    vectors: WordVectors, files: Sequence[PathLike]
) -> WordSimilarityReport:
    """Cosines against ratings, file by file; pairs with an unknown word are left out and counted.

    Raises DataError for a file that cannot be used, or of which fewer than two pairs are known.
    """
    return WordSimilarityReport(tuple(_one_set(vectors, str(file)) for file in files), "cosine")


def _one_set(vectors: WordVectors, file: str) -> SimilaritySet:
    pairs = read_rated_pairs(file)
    words = [word for pair in pairs for word in (pair.one, pair.other)]
    unknown = tuple(dict.fromkeys(word for word in words if word not in vectors))
    known = [pair for pair in pairs if pair.one in vectors and pair.other in vectors]
    if len(known) < 2:
        raise DataError(
            f"{file}: of {len(pairs):,} pairs {len(known)} have both words among the "
            f"{len(vectors):,} vectors; a correlation needs two"
        )
    cosines = [vectors.cosine(pair.one, pair.other) for pair in known]
    scores = score_values(cosines, [pair.rating for pair in known])
    return SimilaritySet(file, scores, len(pairs), unknown)


def evaluate_analogies(
    vectors: WordVectors, file: PathLike, vocab_size: int | None = None
) -> AnalogyReport:
    """3CosAdd over the `vocab_size` most frequent words (all by default), by section.

    A question with a word that is not among them is not asked, and counted. Raises DataError for a
    file that cannot be used, or where no question can be asked.
    """
    analogies = read_analogies(file)
    began = time.monotonic()
    unit = vectors.unit[:vocab_size]
    found = [[vectors.find(word) for word in (q.a, q.b, q.c, q.d)] for q in analogies]
    rows = np.array([[-1 if row is None else row for row in each] for each in found])
    rows[rows >= len(unit)] = -1
    if not (rows >= 0).all(axis=1).any():
        raise DataError(
            f"{file}: none of its {len(rows):,} analogies has all four words among the "
            f"{len(unit):,} vectors"
        )
    sections = score_analogies(unit, rows, [q.section for q in analogies])
    return AnalogyReport(sections, len(unit), time.monotonic() - began)
