"""R-Drop's formula against torch's own divergence; the chunked twin against the formula."""

import pytest
import torch
import torch.nn.functional as F

from triptych.core import loss
from triptych.core.loss import chunked_cross_entropy
from triptych.core.regularized_dropout import (
    chunked_regularized_dropout_loss,
    regularized_dropout_loss,
)

N, E, V = 11, 6, 17
FUNCTIONS = [regularized_dropout_loss, chunked_regularized_dropout_loss]


def given(banned=None):
    generator = torch.Generator().manual_seed(5)
    hidden = torch.randn(2, N, E, generator=generator)
    weight = torch.randn(V, E, generator=generator)
    bias = torch.randn(V, generator=generator)
    targets = torch.randint(0, V, (N,), generator=generator)
    if banned is not None:
        targets[targets == banned] = (banned + 1) % V
    return hidden.requires_grad_(), weight.requires_grad_(), bias, targets


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("banned", [None, 8])
def test_it_is_half_of_two_losses_and_torch_s_divergences(function, banned):
    hidden, weight, bias, targets = given(banned)
    kept = [c for c in range(V) if c != banned]
    log_p = F.linear(hidden, weight, bias)[..., kept].log_softmax(dim=-1)
    kl = [F.kl_div(log_p[1 - i], log_p[i], log_target=True, reduction="sum") for i in (0, 1)]
    ce = [chunked_cross_entropy(hidden[i], weight, bias, targets, 0.1, banned) for i in (0, 1)]
    found = function(hidden, weight, bias, targets, 3.0, 0.1, banned)
    expected = (ce[0].smoothed + ce[1].smoothed) / 2 + 3.0 / 4 * (kl[0] + kl[1])
    torch.testing.assert_close(found.smoothed, expected)
    torch.testing.assert_close(found.nll, (ce[0].nll + ce[1].nll) / 2)
    assert found.n_tokens == N


@pytest.mark.parametrize("function", FUNCTIONS)
def test_two_equal_passes_cost_what_one_does(function):
    hidden, weight, bias, targets = given()
    twice = hidden[:1].expand(2, -1, -1)
    found = function(twice, weight, bias, targets, 5.0, 0.1)
    one = chunked_cross_entropy(hidden[0], weight, bias, targets, 0.1)
    torch.testing.assert_close(found.smoothed, one.smoothed)


@pytest.mark.parametrize("rows", [1, 3, N, 1000])
@pytest.mark.parametrize("banned", [None, 0, V - 1])
def test_chunks_change_nothing_in_values_or_gradients(rows, banned, monkeypatch):
    monkeypatch.setattr(loss, "CHUNK_ELEMENTS", 2 * rows * V)
    slow, fast = given(banned), given(banned)
    expected = regularized_dropout_loss(*slow, 3.0, 0.1, banned)
    found = chunked_regularized_dropout_loss(*fast, 3.0, 0.1, banned)
    torch.testing.assert_close(found.smoothed, expected.smoothed, rtol=1e-5, atol=0)
    torch.testing.assert_close(found.nll, expected.nll, rtol=1e-5, atol=0)
    (expected.smoothed / 7).backward()
    (found.smoothed / 7).backward()
    for a, b in zip(slow[:2], fast[:2], strict=True):
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-5, atol=1e-5)


def test_under_bf16_autocast_the_chunked_twin_stays_near_float32():
    """Stated bounds: 1 % of the loss, 2 % of a gradient's norm."""
    slow, fast = given(8), given(8)
    expected = regularized_dropout_loss(*slow, 3.0, 0.1, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = chunked_regularized_dropout_loss(*fast, 3.0, 0.1, 8)
    expected.smoothed.backward()
    found.smoothed.backward()
    assert found.smoothed.item() == pytest.approx(expected.smoothed.item(), rel=0.01)
    for a, b in zip(slow[:2], fast[:2], strict=True):
        distance = (a.grad - b.grad).norm() / a.grad.norm()
        assert 1e-4 < distance <= 0.02  # so it did run in bf16


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_banned_class_gets_no_gradient(function):
    hidden, weight, bias, targets = given(8)
    function(hidden, weight, bias, targets, 3.0, 0.1, 8).smoothed.backward()
    assert (weight.grad == 0).all(dim=1).tolist() == [c == 8 for c in range(V)]
