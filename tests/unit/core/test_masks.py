"""True means may attend, and every query sees at least one key."""

import itertools

import pytest
import torch

from triptych.core.masks import (
    causal_mask,
    causal_padding_mask,
    document_mask,
    padding_mask,
)


@pytest.mark.parametrize(("n_queries", "n_keys"), [(1, 1), (5, 5), (1, 6), (3, 8)])
def test_a_query_sees_itself_and_the_past(n_queries, n_keys):
    mask = causal_mask(n_queries, n_keys)
    assert mask.dtype == torch.bool
    assert mask.shape == (n_queries, n_keys)
    for t in range(n_queries):
        position = n_keys - n_queries + t  # with a cache, the queries are the last keys
        assert mask[t].tolist() == [s <= position for s in range(n_keys)]


def test_nobody_looks_at_padding():
    valid = torch.tensor([[True, True, False], [True, True, True]])
    mask = padding_mask(valid)
    assert mask.shape == (2, 1, 1, 3)
    assert torch.equal(mask[:, 0, 0], valid)


def test_a_row_of_padding_alone_still_sees_a_key():
    valid = torch.tensor([[False, False, False], [True, False, False]])
    mask = padding_mask(valid)
    assert mask[0, 0, 0].tolist() == [True, True, True]
    assert mask[1, 0, 0].tolist() == [True, False, False]
    assert mask.any(dim=-1).all()


def test_a_query_sees_its_own_document_and_no_later_position():
    document_ids = torch.tensor([[0, 0, 1, 1, -1], [3, 0, 3, 0, 0]])
    mask = document_mask(document_ids)
    assert mask.shape == (2, 1, 5, 5)
    for b, t, s in itertools.product(range(2), range(5), range(5)):
        expected = s <= t and document_ids[b, t] == document_ids[b, s]
        assert mask[b, 0, t, s] == expected
    assert mask.any(dim=-1).all()
    assert torch.equal(document_mask(torch.zeros(1, 7))[0, 0], causal_mask(7, 7))


@pytest.mark.parametrize("n_queries", [1, 3, 6])
def test_a_query_sees_what_is_real_before_it_and_itself(n_queries):
    valid = torch.tensor([[False, False, True, True, False, True], [True] * 6, [False] * 6])
    mask = causal_padding_mask(valid, n_queries)
    assert mask.shape == (3, 1, n_queries, 6)
    for b, t, s in itertools.product(range(3), range(n_queries), range(6)):
        position = 6 - n_queries + t
        assert mask[b, 0, t, s] == (s == position or (s < position and valid[b, s]))
    assert torch.equal(mask[1, 0], causal_mask(n_queries, 6))
