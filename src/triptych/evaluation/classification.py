"""How often labels are right — accuracy, F1 and Matthews' correlation of predicted classes.

Classes are numbers from 0; what is undefined (0 / 0) counts as 0, as is usual.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triptych.evaluation.parallel import require_parallel

Counts = npt.NDArray[np.int64]
PARTS = ("predictions", "labels")


@dataclass(frozen=True)
class ClassificationScores:
    """The scores of `n` predictions."""

    n: int
    accuracy: float
    f1: float | None
    """Of class 1 where there are two classes; None where there are more."""
    macro_f1: float
    """The mean of the F1 of all classes that are predicted or occur."""
    matthews: float


def score_classes(
    predicted: Sequence[int], gold: Sequence[int], n_classes: int
) -> ClassificationScores:
    """All scores at once. Raises DataError for lists of different lengths, or empty ones."""
    n = require_parallel(predicted, gold, PARTS)
    counts = confusion(predicted, gold, n_classes)
    return ClassificationScores(
        n=n,
        accuracy=accuracy(counts),
        f1=float(f1_of_each(counts)[1]) if n_classes == 2 else None,
        macro_f1=macro_f1(counts),
        matthews=matthews(counts),
    )


def confusion(predicted: Sequence[int], gold: Sequence[int], n_classes: int) -> Counts:
    """[K, K]: how often class i is predicted (row) where class j is right (column)."""
    pairs = np.asarray(predicted) * n_classes + np.asarray(gold)
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def accuracy(counts: Counts) -> float:
    """Right predictions over all."""
    return float(np.trace(counts) / counts.sum())


def f1_of_each(counts: Counts) -> npt.NDArray[np.float64]:
    """[K]: 2 TP / (2 TP + FP + FN) = 2 TP / (predicted + gold)."""
    both = counts.sum(axis=0) + counts.sum(axis=1)
    return 2 * np.diagonal(counts) / np.maximum(both, 1)  # type: ignore[no-any-return]


def macro_f1(counts: Counts) -> float:
    """The mean F1 of the classes that occur on either side."""
    occurs = counts.sum(axis=0) + counts.sum(axis=1) > 0
    return float(f1_of_each(counts)[occurs].mean())


def matthews(counts: Counts) -> float:
    """(c·n − Σ p_k t_k) / √((n² − Σ p_k²)(n² − Σ t_k²)), for any number of classes (Gorodkin 2004).

    c right of n, p_k predictions of class k, t_k occurrences; with two classes it is Matthews 1975.
    """
    counts = counts.astype(np.float64)
    n, right = counts.sum(), np.trace(counts)
    p, t = counts.sum(axis=1), counts.sum(axis=0)
    root = np.sqrt((n**2 - p @ p) * (n**2 - t @ t))
    return float((right * n - p @ t) / root) if root > 0 else 0.0
