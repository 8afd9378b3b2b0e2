"""Penalties and cuts against transformers' processors of logits, on scores without ties."""

import pytest
import torch

from triptych.decoding.sampling import (
    Sampling,
    choose,
    logit_bias,
    min_p,
    repetition_penalty,
    temperature,
    top_k,
    top_p,
)

process = pytest.importorskip("transformers.generation.logits_process")

B, V = 4, 1000
IDS = torch.arange(B * 6).view(B, 6) * 7


def scores(seed: int) -> torch.Tensor:
    return torch.randn(B, V, generator=torch.Generator().manual_seed(seed)) * 3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "values", "ours"),
    [
        ("TopKLogitsWarper", (1, 2, 50, 999, 1000), top_k),
        ("TopPLogitsWarper", (0.01, 0.5, 0.9, 0.99), top_p),
        ("MinPLogitsWarper", (0.01, 0.1, 0.5, 1.0), min_p),
    ],
)
def test_cuts(name, values, ours, seed):
    logits = scores(seed)
    for value in values:
        theirs = getattr(process, name)(value)(None, logits.clone())
        assert torch.equal(ours(logits, value), theirs), value


@pytest.mark.parametrize("seed", range(3))
def test_what_changes_scores(seed):
    logits = scores(seed)
    for value in (0.5, 1.3, 2.0):
        theirs = process.RepetitionPenaltyLogitsProcessor(value)(IDS, logits.clone())
        seen = torch.zeros(B, V, dtype=torch.bool).scatter_(1, IDS, True)
        assert torch.equal(repetition_penalty(logits, seen, value), theirs)

        theirs = process.TemperatureLogitsWarper(value)(IDS, logits.clone())
        ours = temperature(logits, value)
        assert torch.allclose(ours.log_softmax(1), theirs.log_softmax(1), atol=1e-5)

    biases = {3: 2.5, 500: -10.0, 999: 0.125}
    theirs = process.SequenceBiasLogitsProcessor([[[i], b] for i, b in biases.items()])
    bias = torch.zeros(V)
    bias[list(biases)] = torch.tensor(list(biases.values()))
    assert torch.equal(logit_bias(logits, bias), theirs(IDS, logits.clone()))


def test_all_together_in_their_order():
    """The share of each token over a grid of u is its probability after their chain."""
    logits, n = scores(9)[:1], 4000
    warpers = process.LogitsProcessorList(
        [process.TemperatureLogitsWarper(1.5), process.TopKLogitsWarper(40),
         process.TopPLogitsWarper(0.8), process.MinPLogitsWarper(0.1)]
    )  # fmt: skip
    expected = warpers(IDS[:1], logits.clone()).softmax(1)[0]
    grid = ((torch.arange(n) + 0.5) / n).tolist()
    sampling = Sampling(temperature=1.5, top_k=40, top_p=0.8, min_p=0.1)
    ids = choose(logits.expand(n, -1), sampling, grid)
    shares = torch.bincount(ids, minlength=V) / n
    assert torch.equal(shares > 0, expected > 0)
    assert torch.allclose(shares, expected, atol=1.5 / n)
