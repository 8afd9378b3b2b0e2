"""Causal attention in strips: the equation, its gradient, and what a strip may see."""

import pytest
import torch

from triptych.core.attention import attention
from triptych.core.dropout import drop_threshold
from triptych.core.masks import causal_mask, causal_padding_mask, document_mask, padding_mask
from triptych.runtime import causal
from triptych.runtime.attention import fast_attention
from triptych.runtime.causal import ROWS, causal_attention, is_causal, n_weights, strips

B, H, D = 2, 3, 8
LENGTHS = [1, 2, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS + 5]


def drawn(n_positions, dtype=torch.float32):
    generator = torch.Generator().manual_seed(n_positions)
    size = (B, n_positions, H, D)  # as the projections leave them
    made = [torch.randn(size, generator=generator, dtype=dtype) for _ in range(3)]
    return [x.transpose(1, 2).requires_grad_() for x in made]


def documents(n_positions):
    ids = torch.arange(n_positions).expand(B, -1) // torch.tensor([[3], [70]])
    return document_mask(ids)


def padded(n_positions):
    valid = torch.ones(B, n_positions, dtype=torch.bool)
    valid[1, n_positions // 2 :] = False
    return causal_padding_mask(valid, n_positions)


MASKS = {"causal": lambda n: causal_mask(n, n), "documents": documents, "padded": padded}


@pytest.mark.parametrize("n_positions", LENGTHS)
@pytest.mark.parametrize("name", MASKS)
def test_values_and_gradients_are_those_of_the_equation(n_positions, name):
    mask = MASKS[name](n_positions)
    assert is_causal(mask, n_positions, n_positions)
    ours, theirs = drawn(n_positions), drawn(n_positions)
    found, (expected, _) = causal_attention(*ours, mask, 0.0), attention(*theirs, mask)
    upstream = torch.randn(expected.shape)
    found.backward(upstream)
    expected.backward(upstream)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("p_drop", [0.0, 0.3])
def test_the_gradient_is_that_of_differences(p_drop, monkeypatch):
    """In double precision, with the same weights dropped each time."""
    monkeypatch.setattr(causal, "ROWS", 3)
    mask = causal_mask(7, 7)

    def values(q, k, v):
        torch.manual_seed(5)
        return causal_attention(q, k, v, mask, p_drop)

    torch.autograd.gradcheck(values, drawn(7, torch.float64))


def test_dropout_drops_weights():
    """The share that was asked for, scaled so that the mean stays."""
    n, p = 4 * ROWS, 0.25
    q, k, v = (torch.zeros(4, 8, n, 2), torch.zeros(4, 8, n, 2), torch.ones(4, 8, n, 2))
    found = causal_attention(q, k, v, causal_mask(n, n), p)
    first, last = found[:, :, 0, 0], found[:, :, -1, 0]
    kept = float(torch.tensor(256 / (256 - drop_threshold(p))))
    assert set(first.unique().tolist()) <= {0.0, kept}
    assert last.mean() == pytest.approx(1, abs=0.03)
    assert last.std() > 0.01
    torch.testing.assert_close(found[..., 0], found[..., 1])


def test_strips_are_all_of_the_triangle_and_little_more():
    for n in LENGTHS:
        queries = [i for rows, _ in strips(n) for i in range(rows.start, rows.stop)]
        assert queries == list(range(n))
        for rows, seen in strips(n):
            assert (seen.start, seen.stop) == (0, rows.stop)
        assert n * (n + 1) / 2 <= n_weights(n) <= n * (n + ROWS) / 2
    assert n_weights(4 * ROWS) == 10 * ROWS**2


def test_a_mask_that_looks_ahead_is_not_causal():
    ahead = causal_mask(5, 5).clone()
    ahead[1, 2] = True
    assert not is_causal(ahead, 5, 5)
    assert not is_causal(causal_mask(2, 5), 2, 5)  # new queries after a past
    assert not is_causal(padding_mask(torch.ones(2, 5, dtype=torch.bool)), 5, 5)


def test_a_mask_of_one_key_for_all_queries_is_not_causal():
    """As of a source of one token, beside a target longer than a strip."""
    mask = padding_mask(torch.ones(B, 1, dtype=torch.bool))  # [B, 1, 1, 1]
    assert not is_causal(mask, 1 + ROWS, 1)
    q, (k, v) = torch.randn(B, H, 1 + ROWS, D), torch.randn(2, B, H, 1, D)
    found, _ = fast_attention(q, k, v, mask, 0.1)
    assert found.shape == q.shape
