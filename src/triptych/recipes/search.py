"""Which texts of a corpus are nearest to a query: cosines over a matrix of vectors."""

from collections.abc import Callable, Sequence
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


def row_of_corpus(row: int) -> str:
    """What a row is called in messages where nothing better is known: by its number, from 0."""
    return f"row {row} of the corpus"


def nearest(
    queries: Vectors,
    corpus: Vectors,
    top_k: int = 10,
    place: Callable[[int], str] = row_of_corpus,
) -> list[list[Hit]]:
    """For each query [Q, E] the `top_k` rows of the corpus [N, E] with the largest cosine.

    The best first; equal cosines in the order of the corpus. Raises UsageError for a top_k
    below 1, DataError for vectors of other widths and for one that is not of finite length, with
    what `place` calls its row.
    """
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}; choose 1 or more")
    if queries.ndim != 2 or corpus.ndim != 2 or queries.shape[1] != corpus.shape[1]:
        raise DataError(
            f"queries are {queries.shape} and the corpus {corpus.shape}, not a row a text and of "
            "one width; both must come from one model"
        )
    unit = _unit(queries, lambda row: f"row {row} of the queries")
    scores = unit @ _unit(corpus, place).T  # [Q, N]
    k = min(top_k, len(corpus))
    return [[Hit(int(row), float(line[row])) for row in _best(line, k)] for line in scores]


def _unit(vectors: Vectors, place: Callable[[int], str]) -> Vectors:
    with np.errstate(over="ignore"):  # an infinite length is said below
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths))
    if len(bad):
        raise DataError(
            f"{place(int(bad[0]))} has the length {lengths[bad[0], 0]}, which is no number to "
            "compare by; make its vector again"
        )
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
