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
    with pytest.raises(DataError, match=r"queries are \(4,\)"):
        nearest(corpus[0], corpus[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_row_that_has_no_length_is_named(value: float) -> None:
    corpus = np.ones((5, 4), dtype=np.float32)
    bad = corpus.copy()
    bad[3, 1] = value
    with pytest.raises(DataError, match=r"row 3 of the corpus has the length (nan|inf)"):
        nearest(corpus[:1], bad)
    with pytest.raises(DataError, match="row 3 of the queries"):
        nearest(bad, corpus)
    with pytest.raises(DataError, match=r"x\.txt:4 has the length"):
        nearest(corpus[:1], bad, place=lambda row: f"x.txt:{row + 1}")


@pytest.mark.parametrize("k", [0, -1])
def test_at_least_one_is_asked_for(k: int) -> None:
    corpus = np.ones((3, 4), dtype=np.float32)
    with pytest.raises(UsageError, match=f"top_k is {k}; choose 1 or more"):
        nearest(corpus[:1], corpus, k)
