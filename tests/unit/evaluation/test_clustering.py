"""k-means and the adjusted Rand index, against scikit-learn."""

import numpy as np
import pytest

from triptych.errors import DataError, UsageError
from triptych.evaluation.clustering import adjusted_rand, k_means

cluster = pytest.importorskip("sklearn.cluster")
metrics = pytest.importorskip("sklearn.metrics")


def blobs(*sizes: int, spread: float) -> tuple[np.ndarray, list[int]]:
    generator = np.random.default_rng(3)
    centers = generator.normal(size=(len(sizes), 6)) * 3
    labels = [k for k, n in enumerate(sizes) for _ in range(n)]
    return centers[labels] + spread * generator.normal(size=(len(labels), 6)), labels


def test_groups_that_are_apart_are_found_the_largest_first() -> None:
    x, labels = blobs(5, 30, 12, spread=0.3)
    found = k_means(x, 3)
    assert adjusted_rand(found.tolist(), labels) == 1
    assert np.bincount(found).tolist() == [30, 12, 5]


def test_the_sum_of_squares_is_as_small_as_scikit_learns() -> None:
    x, _ = blobs(20, 20, 20, spread=2.5)
    found = k_means(x, 4)
    ours = sum(np.square(x[found == k] - x[found == k].mean(axis=0)).sum() for k in range(4))
    theirs = cluster.KMeans(4, n_init=20, random_state=0).fit(x).inertia_
    assert ours <= theirs * 1.02


def test_a_seed_repeats_itself() -> None:
    x, _ = blobs(20, 20, spread=3.0)
    assert (k_means(x, 3, seed=5) == k_means(x, 3, seed=5)).all()


def test_agreement_is_scikit_learns() -> None:
    generator = np.random.default_rng(1)
    for _ in range(20):
        one, other = (generator.integers(4, size=15).tolist() for _ in "ab")
        expected = metrics.adjusted_rand_score(one, other)
        assert adjusted_rand(one, other) == pytest.approx(expected)
    assert adjusted_rand([1, 1, 2], list("bba")) == 1
    assert adjusted_rand([0], [0]) == 1


def test_bad_input() -> None:
    with pytest.raises(UsageError, match="3 clusters of 2 distinct vectors"):
        k_means(np.array([[0.0, 1], [0, 1], [1, 1]]), 3)
    with pytest.raises(DataError):
        adjusted_rand([1], [1, 2])
