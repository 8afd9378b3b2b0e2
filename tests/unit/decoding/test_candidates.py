"""The best next tokens: exact, in order, ties to the lower id."""

import numpy as np
import pytest
import torch

from triptych.decoding.candidates import FREE, TokenRoles, best_next, stable_top, top_tokens
from triptych.errors import ModelFileError, UsageError

ROLES = TokenRoles(start_id=9, eos_id=0, outside_ids=(9,), banned_ids=(4,))


@pytest.mark.parametrize("n_tokens", [10, 64 * 40, 64 * 40 + 17])
@pytest.mark.parametrize("k", [1, 2, 8])
def test_top_tokens_equal_a_full_stable_sort(n_tokens: int, k: int) -> None:
    generator = torch.Generator().manual_seed(n_tokens + k)
    # Few distinct values, so that almost every comparison is a tie.
    logits = torch.randint(-3, 4, (50, n_tokens), generator=generator).float()
    logits[0] = -torch.inf
    logits[0, 5] = 1.0
    values, ids = top_tokens(logits, k)
    expected, order = logits.sort(dim=1, descending=True, stable=True)
    assert torch.equal(values, expected[:, :k])
    chosen = values > -torch.inf
    assert torch.equal(ids[chosen], order[:, :k][chosen])


def test_ties_between_blocks_of_different_maxima() -> None:
    logits = torch.full((1, 64 * 40), -10.0)
    logits[0, 2_000], logits[0, 2_001], logits[0, 70] = 3.0, 2.0, 2.0
    assert top_tokens(logits, 3)[1].tolist() == [[2_000, 70, 2_001]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.float32])
def test_the_likeliest_of_any_type(dtype: torch.dtype) -> None:
    logits = torch.randn(3, 1000, generator=torch.Generator().manual_seed(1)).to(dtype)
    values, ids = top_tokens(logits, 1)
    assert torch.equal(values, logits.amax(1, keepdim=True))
    assert torch.equal(logits.gather(1, ids), values)


def test_top_tokens_of_distinct_logits() -> None:
    logits = torch.randn(20, 9_973, generator=torch.Generator().manual_seed(0))
    values, ids = top_tokens(logits, 8)
    assert torch.equal(values, logits.topk(8).values)
    assert torch.equal(logits.gather(1, ids), values)


def test_stable_top_of_fewer_values_than_asked_for() -> None:
    values, places = stable_top(torch.tensor([[1.0, 3.0, 3.0]]), 3)
    assert values.tolist() == [[3.0, 3.0, 1.0]]
    assert places.tolist() == [[1, 2, 0]]


def test_log_probs_are_a_softmax_without_the_outside_ids() -> None:
    logits = torch.randn(6, 10, generator=torch.Generator().manual_seed(1))
    without_padding = logits.clone()
    without_padding[:, 9] = -torch.inf
    expected = without_padding.double().log_softmax(-1)
    log_probs, ids = best_next(logits, 10, ROLES)
    for row in range(6):
        assert sorted(ids[row, :8].tolist()) == [0, 1, 2, 3, 5, 6, 7, 8]
        assert np.allclose(log_probs[row, :8], expected[row, ids[row, :8]], atol=1e-6)
        assert (log_probs[row, 8:] == -np.inf).all()  # the banned and the outside one


def test_a_banned_id_keeps_its_probability_even_when_it_is_nearly_all() -> None:
    logits = torch.zeros(1, 10)
    logits[0, 4] = 100.0
    log_probs, ids = best_next(logits, 1, ROLES)
    assert ids.tolist() == [[0]]
    assert log_probs[0, 0] == pytest.approx(-100.0)


def test_forced_tokens_cost_what_the_model_says_even_if_banned() -> None:
    logits = torch.randn(3, 10, generator=torch.Generator().manual_seed(2))
    expected = logits.clone()
    expected[:, 9] = -torch.inf
    expected = expected.log_softmax(-1)
    log_probs, ids = best_next(logits, 3, ROLES, np.array([7, FREE, 4]))
    assert ids[0, 0] == 7
    assert ids[2, 0] == 4
    assert log_probs[0].tolist() == [pytest.approx(expected[0, 7].item()), -np.inf, -np.inf]
    assert log_probs[2].tolist() == [pytest.approx(expected[2, 4].item()), -np.inf, -np.inf]
    assert (log_probs[1] > -np.inf).all()


def test_half_precision_logits_are_scored_in_float32() -> None:
    logits = torch.randn(4, 3_000, generator=torch.Generator().manual_seed(3)).bfloat16()
    expected = logits.float()
    expected[:, 9] = -torch.inf
    expected = expected.log_softmax(-1)
    log_probs, ids = best_next(logits, 1, ROLES)
    for row in range(4):
        assert log_probs[row, 0] == pytest.approx(expected[row, ids[row, 0]].item(), abs=1e-6)


def test_a_score_that_is_no_number_is_an_error() -> None:
    logits = torch.zeros(2, 10)
    logits[1, 3] = torch.nan
    with pytest.raises(ModelFileError, match="NaN"):
        best_next(logits, 2, ROLES)


def test_the_end_may_not_be_banned() -> None:
    with pytest.raises(UsageError, match="no text could end"):
        TokenRoles(start_id=9, eos_id=0, banned_ids=(0,))


@pytest.mark.parametrize("n_rows", [2, 7, 40])
def test_a_row_is_scored_as_it_is_alone(n_rows: int) -> None:
    """Bit for bit, over a vocabulary of many pieces."""
    roles = TokenRoles(start_id=0, eos_id=1)
    logits = torch.randn(n_rows, 30_000, generator=torch.Generator().manual_seed(1)) * 4
    together, _ = best_next(logits.clone(), 3, roles)
    for row in range(n_rows):
        alone, _ = best_next(logits[row : row + 1].clone(), 3, roles)
        assert np.array_equal(alone[0], together[row])
