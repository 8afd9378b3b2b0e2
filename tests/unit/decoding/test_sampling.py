"""Penalties, cuts and the draw, against sets and sums made the slow way."""

import math

import numpy as np
import pytest
import torch

from triptych.data import counter_random
from triptych.decoding.sampling import (
    Sampling,
    choose,
    draw,
    greedy,
    logit_bias,
    min_p,
    presence_penalty,
    random_bits,
    repetition_penalty,
    temperature,
    top_k,
    top_p,
    uniform,
)
from triptych.errors import UsageError

B = 3


def scores(seed: int, n_tokens: int, ties: bool = False) -> torch.Tensor:
    logits = torch.randn(B, n_tokens, generator=torch.Generator().manual_seed(seed)) * 2
    return logits.round() if ties else logits


def kept(logits: torch.Tensor) -> list[set[int]]:
    return [{i for i, value in enumerate(row) if value > -math.inf} for row in logits.tolist()]


def ranked(row: torch.Tensor) -> list[int]:
    """All ids, the best first, equal ones by id."""
    return sorted(range(len(row)), key=lambda i: (-row[i].item(), i))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n_tokens", [7, 700])
@pytest.mark.parametrize("k", [1, 2, 5, 7, 90, 1000])
def test_top_k_keeps_the_k_best(ties, n_tokens, k):
    logits = scores(k, n_tokens, ties)
    cut = top_k(logits, k)
    assert kept(cut) == [set(ranked(row)[:k]) for row in logits]
    assert torch.equal(cut[cut > -torch.inf], logits[cut > -torch.inf])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n_tokens", [7, 300, 2000])
@pytest.mark.parametrize("p", [1e-9, 0.3, 0.9, 0.999, 1.0])
def test_top_p_keeps_the_smallest_set_that_is_enough(ties, n_tokens, p):
    logits = scores(5, n_tokens, ties)
    found = kept(top_p(logits, p))
    for row, ids in zip(logits.double(), found, strict=True):
        probabilities, expected, total = row.softmax(0), set(), 0.0
        for token_id in ranked(row):
            if p < 1 and total >= p:
                break
            expected.add(token_id)
            total += probabilities[token_id].item()
        assert ids == expected


def test_top_p_of_tokens_that_are_all_alike():
    flat = torch.zeros(B, 1000)
    assert kept(top_p(flat, 0.49999)) == [set(range(500))] * B  # the lower ids


@pytest.mark.parametrize("share", [0.0, 0.02, 0.4, 1.0])
def test_min_p_keeps_what_is_probable_beside_the_best(share):
    logits = scores(6, 40)
    for row, ids in zip(logits.double(), kept(min_p(logits, share)), strict=True):
        probabilities = row.softmax(0)
        assert ids == {i for i in range(40) if probabilities[i] >= share * probabilities.max()}


def test_penalties_and_bias_by_their_formulas():
    logits = torch.tensor([[2.0, -2.0, 3.0, 0.0]])
    held = torch.tensor([[True, True, False, False]])
    assert repetition_penalty(logits, held, 4.0).tolist() == [[0.5, -8.0, 3.0, 0.0]]
    assert presence_penalty(logits, held, 0.5).tolist() == [[1.5, -2.5, 3.0, 0.0]]
    bias = torch.tensor([0.0, 1.0, -torch.inf, 0.0])
    assert logit_bias(logits, bias).tolist() == [[2.0, -1.0, -math.inf, 0.0]]
    assert logits.tolist() == [[2.0, -2.0, 3.0, 0.0]]  # as they were


@pytest.mark.parametrize("value", [1e-45, 1e-6, 0.5, 1.0, 3.0])
def test_temperature_divides_and_never_overflows(value):
    logits = scores(7, 20) * 1e4
    found = temperature(logits, value).softmax(1)
    assert torch.isfinite(found).all()
    if value >= 0.5:
        assert torch.allclose(found.double(), (logits.double() / value).softmax(1), atol=1e-4)
    else:
        assert torch.equal(found.argmax(1), greedy(logits))


def test_temperature_zero_is_greedy_whatever_else_is_asked():
    logits = scores(8, 300, ties=True)
    sampling = Sampling(temperature=0, top_k=5, top_p=0.5, min_p=0.1)
    found = choose(logits, sampling, [0.99] * B).tolist()
    assert found == [ranked(row)[0] for row in logits]
    assert found == choose(logits, Sampling(top_k=1), [0.99] * B).tolist()


def test_draw_takes_each_token_as_often_as_it_is_probable():
    """Every u of a fine grid: the share of each token is its probability, to a grid's step."""
    logits = torch.tensor([[0.3, -torch.inf, 2.0, -1.0, 0.3]])
    n = 10_000
    grid = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    ids = draw(logits.expand(n, -1), grid)
    shares = torch.bincount(ids, minlength=5).double() / n
    assert torch.allclose(shares, logits.double().softmax(1)[0], atol=1.5 / n)
    assert ids.tolist() == sorted(ids.tolist())  # by inversion, the lowest id that reaches u


@pytest.mark.parametrize("u", [0.0, 1 - 2**-53])
def test_draw_at_the_ends_takes_what_may_be_drawn(u):
    forbidden = torch.full((1, 2), -torch.inf)
    for seed in range(20):
        logits = torch.cat([forbidden, scores(seed, 50)[:1], forbidden], dim=1)
        (found,) = draw(logits, torch.tensor([u], dtype=torch.float64)).tolist()
        assert found == (2 if u == 0 else 51)


def test_choose_applies_the_temperature_before_the_cuts():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    grid = (torch.arange(1000) + 0.5) / 1000

    def drawn(sampling):
        return set(choose(logits.expand(1000, -1), sampling, grid.tolist()).tolist())

    assert drawn(Sampling(top_p=0.8)) == {0, 1}
    assert drawn(Sampling(top_p=0.8, temperature=5)) == {0, 1, 2}
    assert drawn(Sampling(top_p=0.8, temperature=0.2)) == {0}
    assert drawn(Sampling(top_k=3, top_p=0.999)) == {0, 1, 2}
    assert drawn(Sampling(min_p=0.2)) == {0, 1}


def test_random_numbers_are_those_of_the_data():
    for numbers in [(0,), (1, 2), (2**64 - 1, 5), (-1, 0, 7), (2**70 + 3,)]:
        assert random_bits(*numbers) == int(counter_random.random_bits(*numbers)[0])
        assert uniform(*numbers) == float(counter_random.uniform(*numbers)[0])


def test_random_numbers_are_uniform():
    values = np.array([uniform(seed, place) for seed in range(100) for place in range(100)])
    counts = np.histogram(values, bins=20, range=(0, 1))[0]
    assert ((counts - 500) ** 2 / 500).sum() < 43.8  # χ², 19 degrees of freedom, p = 0.001


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"temperature": -0.1}, "temperature is -0.1; it must be 0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"top_k": 0}, "top_k is 0; it must be at least 1"),
        ({"top_p": 0.0}, "top_p is 0.0; it must be above 0 and at most 1"),
        ({"top_p": 2.0}, "top_p is 2.0; it must be above 0 and at most 1"),
        ({"min_p": -0.1}, "min_p is -0.1; it must be from 0"),
        ({"min_p": 1.1}, "min_p is 1.1; it must be from 0"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0; it must be above 0"),
        ({"presence_penalty": math.nan}, "presence_penalty is nan"),
        ({"logit_bias": {-1: 1.0}}, "logit_bias gives 1.0 to id -1"),
        ({"logit_bias": {1: math.inf}}, "logit_bias gives inf to id 1"),
        ({"logit_bias": {1: math.nan}}, "logit_bias gives nan to id 1"),
    ],
)
def test_options_out_of_range_get_a_sentence(wrong, words):
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        Sampling(**wrong)
