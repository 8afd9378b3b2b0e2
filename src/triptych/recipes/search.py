"""Which texts of a corpus are nearest to a query: cosines over a matrix of vectors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triptych.errors import DataError, UsageError

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Hit:
    """One text found."""

    row: int
    """Its place in the corpus, from 0."""
    cosine: float


def nearest(queries: Vectors, corpus: Vectors, top_k: int = 10) -> list[list[Hit]]:
    """For each query [Q, E] the `top_k` rows of the corpus [N, E] with the largest cosine.

    The best first; equal cosines in the order of the corpus. Raises DataError for vectors of other
    widths or with a value that is no number, UsageError for a `top_k` below 1.
    """
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}; ask for at least 1")
    if queries.shape[1:] != corpus.shape[1:]:
        raise DataError(
            f"queries are {queries.shape} and the corpus {corpus.shape}; both must come from one "
            "model"
        )
    for name, vectors in (("query", queries), ("row", corpus)):
        broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(broken):
            raise DataError(
                f"the vector of {name} {broken[0]} (from 0) has a value that is no finite number; "
                "leave it out, or compute it again"
            )
    scores = _unit(queries) @ _unit(corpus).T  # [Q, N]
    k = min(top_k, len(corpus))
    return [[Hit(int(row), float(line[row])) for row in _best(line, k)] for line in scores]


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit


def _best(scores: npt.NDArray[np.float32], k: int) -> Sequence[int]:
    if k == 0:
        return []
    among = np.argpartition(-scores, k - 1)
    border = scores[among[k - 1]]
    candidates = np.flatnonzero(scores >= border)  # all that tie with the last one too
    order = np.lexsort((candidates, -scores[candidates]))
    return [int(row) for row in candidates[order][:k]]
