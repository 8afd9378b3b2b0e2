"""The nearest mean of a sense, against scikit-learn and by brute force."""

import numpy as np
import pytest

from triptych.errors import DataError
from triptych.evaluation.word_senses import left_out_senses, nearest_sense, score_senses

sklearn = pytest.importorskip("sklearn.metrics")
NAMES = ["a", "b", "c"]


@pytest.fixture
def drawn() -> tuple[np.ndarray, list[str]]:
    generator = np.random.default_rng(1)
    labels = ["a"] * 7 + ["b"] * 4 + ["c"]
    return generator.normal(size=(12, 5)) + 3, labels


def brute(vectors: np.ndarray, labels: list[str], one: np.ndarray) -> str:
    means = {s: np.mean([v for v, k in zip(vectors, labels, strict=True) if k == s], axis=0)
             for s in sorted(set(labels))}  # fmt: skip
    cosine = {s: one @ m / np.linalg.norm(one) / np.linalg.norm(m) for s, m in means.items()}
    return max(cosine, key=cosine.__getitem__)


def test_the_nearest_mean(drawn: tuple[np.ndarray, list[str]]) -> None:
    vectors, labels = drawn
    asked = np.random.default_rng(2).normal(size=(40, 5)) + 3
    told = nearest_sense(vectors, labels, asked, NAMES)
    assert told == [brute(vectors, labels, one) for one in asked]
    assert set(told) == set(NAMES)


def test_each_labelled_one_is_told_by_the_others(drawn: tuple[np.ndarray, list[str]]) -> None:
    vectors, labels = drawn
    expected = [
        brute(np.delete(vectors, i, axis=0), labels[:i] + labels[i + 1 :], vectors[i])
        for i in range(len(labels))
    ]
    assert left_out_senses(vectors, labels, NAMES) == expected
    assert expected[-1] != "c"  # its own only one


def test_scores_are_scikit_learns() -> None:
    gold, told = list("aaaabbbc"), list("aaabbbac")
    scores = score_senses(told, gold, NAMES)
    assert scores.macro_f1 == pytest.approx(sklearn.f1_score(gold, told, average="macro"))
    assert scores.accuracy == pytest.approx(sklearn.accuracy_score(gold, told))
    assert scores.n == 8
    with pytest.raises(DataError, match="'d' is not among a, b, c"):
        score_senses(["a"], ["d"], NAMES)


def test_a_vector_that_is_always_the_same_tells_one_sense_only() -> None:
    """Rounding must not tell the senses of a static vector apart, with one left out or not."""
    rng = np.random.default_rng(1)
    senses = ["shore"] * 7 + ["money"] * 5
    for _ in range(20):
        vectors = np.repeat(rng.normal(size=(1, 50)).astype(np.float32), 12, axis=0)
        assert left_out_senses(vectors, senses, ["shore", "money"]) == ["shore"] * 12
        assert nearest_sense(vectors, senses, vectors, ["shore", "money"]) == ["shore"] * 12
