"""Nearest rows against sorting all of them."""

import numpy as np
import pytest

from triptych.errors import DataError, UsageError
from triptych.recipes.search import nearest

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("k", [1, 3, 50, 100])
def test_against_sorting_all(k: int) -> None:
    queries = GENERATOR.normal(size=(4, 8)).astype(np.float32)
    corpus = GENERATOR.normal(size=(50, 8)).astype(np.float32) * 7
    for query, hits in zip(queries, nearest(queries, corpus, k), strict=True):
        cosines = corpus @ query / np.linalg.norm(corpus, axis=1) / np.linalg.norm(query)
        order = np.argsort(-cosines)[:k]
        assert [hit.row for hit in hits] == order.tolist()
        assert [hit.cosine for hit in hits] == pytest.approx(cosines[order].tolist(), abs=1e-5)


def test_ties_come_in_the_order_of_the_corpus() -> None:
    corpus = np.ones((9, 4), dtype=np.float32)
    (hits,) = nearest(corpus[:1], corpus, 4)
    assert [hit.row for hit in hits] == [0, 1, 2, 3]


def test_edges() -> None:
    corpus = np.zeros((3, 4), dtype=np.float32)
    assert [hit.cosine for hit in nearest(corpus[:1], corpus, 2)[0]] == [0, 0]
    assert nearest(corpus[:1], corpus[:0], 2) == [[]]
    with pytest.raises(DataError, match="both must come from one model"):
        nearest(corpus[:, :2], corpus)
    with pytest.raises(UsageError, match="top_k is -1; ask for at least 1"):
        nearest(corpus, corpus, -1)
    corpus[1, 2] = np.nan
    with pytest.raises(DataError, match=r"the vector of row 1 \(from 0\) has a value"):
        nearest(corpus[:1], corpus)
