"""Which sense a word has: that of the nearest mean — Loureiro et al. 2021, §4.2 (1NN).

Shapes: N labelled occurrences, M to be told, S senses, E width of a vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triptych.errors import DataError
from triptych.evaluation.classification import score_classes

Vectors = npt.NDArray[np.floating]

ALIKE = 1e-9
"""Cosines that differ by less are alike: what rounding makes of equal ones."""


@dataclass(frozen=True)
class SenseScores:
    """Of one word."""

    n: int
    accuracy: float
    macro_f1: float


def nearest_sense(
    vectors: Vectors, senses: Sequence[str], asked: Vectors, names: Sequence[str]
) -> list[str]:
    """The sense of `names` whose labelled vectors [N, E] have the mean nearest to each of `asked`
    [M, E], by cosine; the earlier of two alike."""
    cosines = _unit(asked) @ _unit(_sums(vectors, senses, names)).T
    return [names[i] for i in _first_nearest(cosines)]


def left_out_senses(vectors: Vectors, senses: Sequence[str], names: Sequence[str]) -> list[str]:
    """The same for the labelled ones themselves, each told by the means of the others.

    A sense's only occurrence leaves it without a mean, so another one is told.
    """
    sums, counts = _sums(vectors, senses, names), [list(senses).count(name) for name in names]
    cosines = _unit(vectors) @ _unit(sums).T  # [N, S]
    for i, sense in enumerate(senses):
        own = names.index(sense)
        others = sums[own] - vectors[i]
        alone = counts[own] == 1
        cosines[i, own] = -np.inf if alone else _unit(others) @ _unit(vectors[i])
    return [names[i] for i in _first_nearest(cosines)]


def score_senses(told: Sequence[str], gold: Sequence[str], names: Sequence[str]) -> SenseScores:
    """Accuracy and macro-F1 over the senses that are told or right.

    Raises DataError for lists of different lengths, or empty ones.
    """
    numbers = {name: i for i, name in enumerate(names)}
    strange = next((sense for sense in gold if sense not in numbers), None)
    if strange is not None:
        raise DataError(f"the sense {strange!r} is not among {', '.join(names)}")
    predicted, right = ([numbers[sense] for sense in side] for side in (told, gold))
    scores = score_classes(predicted, right, len(names))
    return SenseScores(scores.n, scores.accuracy, scores.macro_f1)


def _first_nearest(cosines: Vectors) -> list[int]:
    """[M, S] -> for each the first sense that no other is nearer than.

    A static vector is the same in every sentence, so all means are alike, but for rounding; and
    the rounding of a mean that leaves one out would tell which one that is.
    """
    found: list[int] = (
        (cosines >= cosines.max(axis=1, keepdims=True) - ALIKE).argmax(axis=1).tolist()
    )
    return found


def _sums(vectors: Vectors, senses: Sequence[str], names: Sequence[str]) -> Vectors:
    """[S, E]: the direction of a sum is that of the mean."""
    labels = np.array([names.index(sense) for sense in senses])
    return np.stack([vectors[labels == s].sum(axis=0, dtype=np.float64) for s in range(len(names))])


def _unit(vectors: Vectors) -> Vectors:
    """Divided by their lengths; a vector of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Vectors = vectors / np.where(lengths > 0, lengths, 1)
    return unit
