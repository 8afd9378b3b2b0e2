"""The formula against torch's and against sums by hand; the chunked twin against the formula."""

import math

import pytest
import torch
import torch.nn.functional as F

from triptych.core import loss
from triptych.core.loss import IGNORE, chunk_rows, chunked_cross_entropy, smoothed_cross_entropy
from triptych.data import batching

N, E, V = 23, 6, 17
BANNED = [None, 0, 8, V - 1]


def given(banned=None, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    hidden, weight, bias = draw(N, E), draw(V, E), draw(V)
    targets = torch.randint(0, V, (N,), generator=generator)
    if banned is not None:
        targets[targets == banned] = (banned + 1) % V
    return hidden.requires_grad_(), weight.requires_grad_(), bias, targets


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_the_formula_is_torch_s_label_smoothing(smoothing):
    hidden, weight, bias, targets = given()
    found = smoothed_cross_entropy(hidden, weight, bias, targets, smoothing)
    logits = F.linear(hidden, weight, bias)
    expected = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(found.smoothed, expected)
    torch.testing.assert_close(found.nll, F.cross_entropy(logits, targets, reduction="sum"))
    assert found.n_tokens == N
    assert not found.nll.requires_grad


@pytest.mark.parametrize("function", [smoothed_cross_entropy, chunked_cross_entropy])
@pytest.mark.parametrize("banned", BANNED)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_both_are_the_sum_by_hand(function, banned, smoothing):
    hidden, weight, bias, targets = given(banned)
    h, w = hidden.double().tolist(), weight.double().tolist()
    allowed = [c for c in range(V) if c != banned]
    expected_nll = expected = 0.0
    for n in range(N):
        scores = {
            c: sum(a * b for a, b in zip(h[n], w[c], strict=True)) + bias[c].item() for c in allowed
        }
        log_z = math.log(sum(math.exp(x) for x in scores.values()))
        nll = log_z - scores[int(targets[n])]
        uniform = sum(log_z - x for x in scores.values()) / len(allowed)
        expected_nll += nll
        expected += (1 - smoothing) * nll + smoothing * uniform
    found = function(hidden, weight, bias, targets, smoothing, banned)
    assert found.nll.item() == pytest.approx(expected_nll, rel=1e-6)
    assert found.smoothed.item() == pytest.approx(expected, rel=1e-6)
    assert found.n_tokens == N


@pytest.mark.parametrize("rows", [1, 2, 5, N - 1, N, 1000])
@pytest.mark.parametrize("banned", BANNED)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_chunks_change_nothing_in_values_or_gradients(rows, banned, smoothing, monkeypatch):
    monkeypatch.setattr(loss, "chunk_rows", lambda weight: rows)
    slow, fast = given(banned), given(banned)
    expected = smoothed_cross_entropy(*slow, smoothing, banned)
    found = chunked_cross_entropy(*fast, smoothing, banned)
    torch.testing.assert_close(found.smoothed, expected.smoothed, rtol=1e-5, atol=0)
    torch.testing.assert_close(found.nll, expected.nll, rtol=1e-5, atol=0)
    (expected.smoothed / 7).backward()  # the trainer divides by the number of tokens
    (found.smoothed / 7).backward()
    for a, b in zip(slow[:2], fast[:2], strict=True):
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("banned", BANNED)
def test_a_learned_bias_has_the_formula_s_gradient(banned, monkeypatch):
    monkeypatch.setattr(loss, "chunk_rows", lambda weight: 3)
    slow, fast = given(banned), given(banned)
    slow[2].requires_grad_(), fast[2].requires_grad_()
    smoothed_cross_entropy(*slow, 0.1, banned).smoothed.backward()
    chunked_cross_entropy(*fast, 0.1, banned).smoothed.backward()
    for a, b in zip(slow[:3], fast[:3], strict=True):
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-5, atol=1e-5)


def test_a_chunk_has_as_many_rows_as_the_model_is_wide_or_more():
    assert chunk_rows(torch.empty(10_000, 64)) == 100
    assert chunk_rows(torch.empty(10_000, 256)) == 256
    assert chunk_rows(torch.empty(2_000_000, 1)) == 1  # a vocabulary larger than a chunk


def test_no_target_is_no_gradient():
    hidden, weight, bias, targets = given()
    bias.requires_grad_()
    chunked_cross_entropy(hidden[:0], weight, bias, targets[:0]).smoothed.backward()
    assert not weight.grad.any()
    assert not bias.grad.any()


@pytest.mark.parametrize("banned", BANNED)
def test_a_banned_class_gets_no_gradient(banned):
    for function in (smoothed_cross_entropy, chunked_cross_entropy):
        hidden, weight, bias, targets = given(banned)
        function(hidden, weight, bias, targets, 0.1, banned).smoothed.backward()
        silent = (weight.grad == 0).all(dim=1)
        assert silent.tolist() == [c == banned for c in range(V)], function.__name__


@pytest.mark.parametrize("banned", [None, 8])
def test_under_bf16_autocast_the_chunked_twin_stays_near_float32(banned):
    """Stated bounds: 1 % of the loss, 2 % of a gradient's norm (bf16 has 8 bits)."""
    slow, fast = given(banned), given(banned)
    expected = smoothed_cross_entropy(*slow, 0.1, banned)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = chunked_cross_entropy(*fast, 0.1, banned)
    assert found.smoothed.dtype == torch.float32
    expected.smoothed.backward()
    found.smoothed.backward()
    assert found.smoothed.item() == pytest.approx(expected.smoothed.item(), rel=0.01)
    for a, b in zip(slow[:2], fast[:2], strict=True):
        assert b.grad.dtype == torch.float32
        distance = (a.grad - b.grad).norm() / a.grad.norm()
        assert 1e-4 < distance <= 0.02  # so it did run in bf16


def test_huge_logits_do_not_overflow():
    hidden, weight, bias, targets = given()
    found = chunked_cross_entropy(hidden * 300, weight, bias, targets, 0.1, None)
    expected = smoothed_cross_entropy(hidden * 300, weight, bias, targets, 0.1, None)
    assert found.smoothed.isfinite()
    torch.testing.assert_close(found.smoothed, expected.smoothed, rtol=1e-5, atol=0)


@pytest.mark.parametrize("function", [smoothed_cross_entropy, chunked_cross_entropy])
def test_no_position_is_a_loss_of_zero(function):
    hidden, weight, bias, targets = given()
    found = function(hidden[:0], weight, bias, targets[:0], 0.1, 8)
    assert (found.smoothed.item(), found.nll.item(), found.n_tokens) == (0, 0, 0)


def test_without_gradients_the_values_are_the_same(monkeypatch):
    """And none is formed: two of three products."""
    expected = chunked_cross_entropy(*given(8), 0.1, 8)
    monkeypatch.setattr(loss, "_Gradients", None)
    with torch.no_grad():
        found = chunked_cross_entropy(*given(8), 0.1, 8)
    assert found.smoothed.item() == expected.smoothed.item()
    assert not found.smoothed.requires_grad


def test_the_ignored_label_is_one_number():
    assert IGNORE == batching.IGNORE == -100
