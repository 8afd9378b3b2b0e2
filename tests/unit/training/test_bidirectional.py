"""The loss of both directions: against torch's own, and the drawn softmax against the whole one."""

import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.loss import IGNORE, chunked_cross_entropy
from triptych.training.bidirectional import (
    BidirectionalObjective,
    log_expected_count,
    predictions,
    sampled_cross_entropy,
)

B, T, P, V = 3, 5, 4, 30


@dataclass
class Batch:
    character_ids: Tensor
    valid: Tensor
    targets: Tensor


class Given(nn.Module):
    """Hidden states that are there already."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.randn(B, T, 2 * P))
        self.scores = nn.Linear(P, V)

    def forward(self, character_ids: Tensor, valid: Tensor) -> Tensor:
        return self.hidden

    @property
    def output_projection(self) -> tuple[Tensor, Tensor]:
        return self.scores.weight, self.scores.bias


@pytest.fixture
def batch() -> Batch:
    torch.manual_seed(0)
    lengths = torch.tensor([5, 2, 4])
    valid = torch.arange(T) < lengths[:, None]
    targets = torch.where(valid, torch.randint(V, (B, T)), IGNORE)
    return Batch(torch.zeros(B, T, 3), valid, targets)


def test_both_directions_are_torchs_own(batch: Batch) -> None:
    model = Given().train()
    forward, backward = BidirectionalObjective()(model, batch)
    left = right = torch.zeros((), dtype=torch.float64)
    for b in range(B):
        n = int(batch.valid[b].sum())
        logits_left = model.scores(model.hidden[b, : n - 1, :P])
        left = left + F.cross_entropy(logits_left, batch.targets[b, 1:n], reduction="sum")
        logits_right = model.scores(model.hidden[b, 1:n, P:])
        right = right + F.cross_entropy(logits_right, batch.targets[b, : n - 1], reduction="sum")
    torch.testing.assert_close(forward.nll.double(), left.detach())
    torch.testing.assert_close(backward.nll.double(), right.detach())
    assert forward.n_tokens == backward.n_tokens == int(batch.valid[:, 1:].sum())
    ours = torch.autograd.grad(forward.smoothed + backward.smoothed, model.scores.weight)[0]
    (theirs,) = torch.autograd.grad(left + right, model.scores.weight)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_words_are_drawn_in_training_alone(batch: Batch) -> None:
    model, objective = Given(), BidirectionalObjective(n_samples=5)
    torch.manual_seed(1)
    one, two = (objective(model.train(), batch)[0].nll for _ in "ab")
    assert one != two
    whole = BidirectionalObjective()(model, batch)[0].nll
    assert objective(model.eval(), batch)[0].nll == whole
    assert BidirectionalObjective(n_samples=V)(model.train(), batch)[0].nll == whole


def test_expected_counts_are_those_of_the_draw() -> None:
    n_samples, n_draws = 12, 40_000
    torch.manual_seed(2)
    drawn = (torch.rand(n_draws, n_samples, dtype=torch.float64) * math.log(V + 1)).exp() - 1
    ids = drawn.long()
    assert 0 <= int(ids.min()) <= int(ids.max()) < V
    found = torch.stack([(ids == k).any(dim=1).double().mean() for k in range(V)])
    expected = log_expected_count(torch.arange(V), V, n_samples).exp()
    torch.testing.assert_close(found.float(), expected, atol=0.01, rtol=0)


def test_the_gradient_of_the_drawn_softmax_is_near_the_whole_ones() -> None:
    torch.manual_seed(3)
    hidden, weight = torch.randn(6, P), torch.randn(V, P, requires_grad=True)
    bias, targets = torch.randn(V, requires_grad=True), torch.randint(V, (6,))
    whole = chunked_cross_entropy(hidden, weight, bias, targets).smoothed
    (expected,) = torch.autograd.grad(whole, weight)
    mean = torch.zeros_like(expected)
    for _ in range(400):
        loss = sampled_cross_entropy(hidden, weight, bias, targets, 60).smoothed
        mean += torch.autograd.grad(loss, weight)[0] / 400
    off = (mean - expected).norm() / expected.norm()
    assert float(off.detach()) < 0.1


def test_the_target_does_not_stand_against_itself() -> None:
    """With every word drawn for sure, the loss is that of the whole softmax."""
    torch.manual_seed(4)
    hidden, weight, bias = torch.randn(6, P), torch.randn(V, P), torch.randn(V)
    targets = torch.randint(V, (6,))
    drawn = sampled_cross_entropy(hidden, weight, bias, targets, 20_000)
    assert drawn.n_tokens == len(targets)  # and not of what is filled up
    whole = chunked_cross_entropy(hidden, weight, bias, targets)
    torch.testing.assert_close(drawn.nll, whole.nll, rtol=1e-4, atol=0)


def test_a_sentence_without_neighbors_predicts_nothing() -> None:
    hidden, targets = torch.randn(1, 1, 2 * P), torch.tensor([[3]])
    assert all(len(ids) == 0 for _, ids in predictions(hidden, targets))
