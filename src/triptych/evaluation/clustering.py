"""Vectors into groups, and whether two groupings agree.

Shapes: N vectors, E width, K clusters.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from triptych.errors import UsageError
from triptych.evaluation.parallel import require_parallel

N_STARTS, MOST_ROUNDS = 10, 300


def k_means(
    vectors: npt.NDArray[np.floating], n_clusters: int, seed: int = 1
) -> npt.NDArray[np.int64]:
    """The cluster of each vector [N]: Lloyd 1982, begun as Arthur and Vassilvitskii 2007.

    The best of ten starts by the sum of squared distances; the largest cluster is 0.

    Raises UsageError for fewer distinct vectors than clusters.
    """
    x = np.asarray(vectors, dtype=np.float64)
    n_distinct = len(np.unique(x, axis=0))
    if not 1 <= n_clusters <= n_distinct:
        raise UsageError(
            f"{n_clusters} clusters of {n_distinct} distinct vectors cannot be made; ask for 1 to "
            f"{n_distinct}"
        )
    generator = np.random.default_rng(seed)
    runs = [_lloyd(x, _spread_centers(x, n_clusters, generator)) for _ in range(N_STARTS)]
    labels = min(runs, key=lambda run: run[1])[0]
    order = np.argsort(-np.bincount(labels, minlength=n_clusters), kind="stable")
    return np.argsort(order)[labels]


def _spread_centers(
    x: npt.NDArray[np.float64], n_clusters: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """[K, E]: each next one drawn with a probability that grows as the squared distance."""
    centers = [x[generator.integers(len(x))]]
    while len(centers) < n_clusters:
        squares = _squares(x, np.array(centers)).min(axis=1)
        centers.append(x[generator.choice(len(x), p=squares / squares.sum())])
    return np.array(centers)


def _lloyd(
    x: npt.NDArray[np.float64], centers: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], float]:
    """Labels [N] and the sum of squared distances, where neither moves any more."""
    for _ in range(MOST_ROUNDS):
        labels = _squares(x, centers).argmin(axis=1)
        moved = np.array(
            [
                x[labels == k].mean(axis=0) if (labels == k).any() else c
                for k, c in enumerate(centers)
            ]
        )
        if np.array_equal(moved, centers):
            break
        centers = moved
    return labels, float(_squares(x, centers).min(axis=1).sum())


def _squares(
    x: npt.NDArray[np.float64], centers: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """[N, K]: squared distances, as differences: a point is at exactly 0 from itself."""
    return np.stack([np.square(x - center).sum(axis=1) for center in centers], axis=1)


def adjusted_rand(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """How far two groupings agree on which pairs belong together — Hubert and Arabie 1985.

    1 is the same grouping, 0 what chance gives. Raises DataError for lists of different lengths, or
    empty ones.
    """
    n = require_parallel(one, other, ("groups", "groups of the other"))
    rows, columns = (
        [sorted(set(map(str, side))).index(str(v)) for v in side] for side in (one, other)
    )
    counts = np.zeros((max(rows) + 1, max(columns) + 1))
    np.add.at(counts, (rows, columns), 1)
    both = _pairs(counts).sum()
    first, second = _pairs(counts.sum(axis=1)).sum(), _pairs(counts.sum(axis=0)).sum()
    expected = first * second / max(float(_pairs(np.array(n))), 1.0)
    most = (first + second) / 2
    return 1.0 if most == expected else float((both - expected) / (most - expected))


def _pairs(counts: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """n (n − 1) / 2"""
    pairs: npt.NDArray[np.floating] = counts * (counts - 1) / 2
    return pairs
