"""Correlations against scipy."""

import numpy as np
import pytest

from triptych.errors import DataError
from triptych.evaluation.correlation import ranks, score_values

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("seed", range(5))
def test_against_scipy(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=80)
    y = np.round(x + generator.normal(size=80), 0)  # many ties
    found = score_values(x, y)
    assert found.n == 80
    assert found.pearson == pytest.approx(stats.pearsonr(x, y).statistic)
    assert found.spearman == pytest.approx(stats.spearmanr(x, y).statistic)
    np.testing.assert_allclose(ranks(y), stats.rankdata(y))


def test_a_constant_side_has_no_correlation() -> None:
    found = score_values([2.0, 2.0, 2.0], [1.0, 2.0, 3.0])
    assert (found.pearson, found.spearman) == (0.0, 0.0)


def test_unequal_or_empty_rows() -> None:
    with pytest.raises(DataError):
        score_values([1.0], [1.0, 2.0])
    with pytest.raises(DataError):
        score_values([], [])
