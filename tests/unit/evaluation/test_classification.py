"""Scores of classes against scikit-learn, and by hand."""

import warnings

import numpy as np
import pytest

from triptych.errors import DataError
from triptych.evaluation.classification import confusion, score_classes

metrics = pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("seed", range(5))
def test_against_scikit_learn(n_classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    gold = generator.integers(0, n_classes, 60)
    predicted = np.where(generator.random(60) < 0.6, gold, generator.integers(0, n_classes, 60))
    found = score_classes(predicted.tolist(), gold.tolist(), n_classes)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(gold, predicted))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(gold, predicted, average="macro"))
    assert found.matthews == pytest.approx(metrics.matthews_corrcoef(gold, predicted))
    if n_classes == 2:
        assert found.f1 == pytest.approx(metrics.f1_score(gold, predicted))
    else:
        assert found.f1 is None


@pytest.mark.parametrize(
    ("predicted", "gold"), [([1, 1, 1, 1], [0, 1, 0, 1]), ([0, 0], [0, 0]), ([0, 2], [2, 0])]
)
def test_what_is_undefined_counts_as_nothing(predicted: list[int], gold: list[int]) -> None:
    found = score_classes(predicted, gold, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found.matthews == pytest.approx(metrics.matthews_corrcoef(gold, predicted))
        expected = metrics.f1_score(gold, predicted, average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(expected)


def test_by_hand() -> None:
    predicted, gold = [1, 1, 0, 0, 1], [1, 0, 0, 1, 1]  # TP 2, FP 1, FN 1, TN 1
    assert confusion(predicted, gold, 2).tolist() == [[1, 1], [1, 2]]
    found = score_classes(predicted, gold, 2)
    assert (found.n, found.accuracy) == (5, 0.6)
    assert found.f1 == pytest.approx(4 / 6)
    assert found.macro_f1 == pytest.approx((4 / 6 + 2 / 4) / 2)
    assert found.matthews == pytest.approx((2 * 1 - 1 * 1) / (3 * 3 * 2 * 2) ** 0.5)


def test_unequal_or_empty_lists() -> None:
    with pytest.raises(DataError):
        score_classes([1], [1, 0], 2)
    with pytest.raises(DataError):
        score_classes([], [], 2)
