"""Greedy search: the argmax, step by step."""

import pytest
import torch

from triptych.decoding.candidates import TokenRoles
from triptych.decoding.greedy import greedy_search

EOS, START = 0, 3
ROLES = TokenRoles(start_id=START, eos_id=EOS, outside_ids=(START,))


@pytest.mark.parametrize("seed", range(10))
def test_it_takes_the_best_token_at_every_step(fake_model, fake_cache, seed):
    model, limits = fake_model(seed), [8, 3, 5]
    found = greedy_search(model.next_logits, fake_cache(3), ROLES, limits)
    for row, h in enumerate(found):
        past: tuple[int, ...] = ()
        while len(past) < limits[row] - 1 and (not past or past[-1] != EOS):
            past += (int(model.logits(row, past)[:START].argmax()),)
        expected = past if past[-1] == EOS else (*past, EOS)
        assert h.token_ids == expected
        assert h.log_prob == pytest.approx(model.log_prob(row, expected), abs=1e-5)
        assert h.score == pytest.approx(h.log_prob / len(expected), abs=1e-6)


def test_finished_rows_leave_the_batch(fake_model, fake_cache):
    cache = fake_cache(3)
    found = greedy_search(fake_model(2).next_logits, cache, ROLES, [1, 4, 9])
    lengths = sorted(len(h.token_ids) for h in found)
    alive = [sum(length > step for length in lengths) for step in range(lengths[-1])]
    assert cache.batch_sizes == alive


def test_unfinished_texts_are_marked(fake_cache):
    def endless(token_ids, cache):
        return torch.tensor([[0.0, 5.0, 4.0, 9.0]]).repeat(len(token_ids), 1)

    (h,) = greedy_search(endless, fake_cache(1), ROLES, [4], at_limit="unfinished")
    assert h.token_ids == (1, 1, 1, 1)
    assert not h.finished
    (h,) = greedy_search(endless, fake_cache(1), ROLES, [4])
    assert h.token_ids == (1, 1, 1, EOS)
    assert h.finished
