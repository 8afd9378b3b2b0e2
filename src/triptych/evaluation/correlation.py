"""How closely two rows of numbers agree: Pearson's r, and Spearman's ρ, Pearson's r of the ranks.

Where one side is constant neither is defined; 0 is given.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triptych.evaluation.parallel import require_parallel

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CorrelationScores:
    """The correlations of `n` pairs of numbers."""

    n: int
    pearson: float
    spearman: float


def score_values(predicted: npt.ArrayLike, gold: npt.ArrayLike) -> CorrelationScores:
    """Both correlations. Raises DataError for rows of different lengths, or empty ones."""
    x = np.asarray(predicted, dtype=np.float64)
    y = np.asarray(gold, dtype=np.float64)
    n = require_parallel(x.tolist(), y.tolist(), ("predictions", "values"))
    return CorrelationScores(n, pearson(x, y), spearman(x, y))


def pearson(x: Values, y: Values) -> float:
    """cov(x, y) / (σ_x σ_y)."""
    x, y = x - x.mean(), y - y.mean()
    lengths = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / lengths if lengths > 0 else 0.0


def spearman(x: Values, y: Values) -> float:
    """Pearson's r of the ranks; equal numbers share the mean of theirs."""
    return pearson(ranks(x), ranks(y))


def ranks(x: Values) -> Values:
    """From 1, the mean rank for equal numbers."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
