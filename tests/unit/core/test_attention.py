"""The equation against the equation by hand, then each fast form against the equation."""

import math

import numpy as np
import pytest
import torch

from triptych.core.attention import MultiHeadAttention, attention, fused_attention
from triptych.core.masks import causal_mask, padding_mask

B, H, T, S, D = 3, 2, 5, 7, 4


def by_hand(q, k, v, visible):
    """softmax(q kᵀ / √D) v for one head, one query at a time, in float64."""
    mixed, weights = np.zeros((len(q), v.shape[1])), np.zeros((len(q), len(k)))
    for t in range(len(q)):
        seen = [s for s in range(len(k)) if visible[t, s]]
        scores = [sum(q[t] * k[s]) / math.sqrt(q.shape[1]) for s in seen]
        z = sum(math.exp(x) for x in scores)
        for s, score in zip(seen, scores, strict=True):
            weights[t, s] = math.exp(score) / z
            mixed[t] += weights[t, s] * v[s]
    return mixed, weights


def qkv(dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(B, H, T, D), (B, H, S, D), (B, H, S, D)]
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [x.to(dtype).requires_grad_() for x in drawn]


def one_row_of_padding():
    valid = torch.ones(B, S, dtype=torch.bool)
    valid[0, 4:] = False
    valid[2] = False  # no real token at all
    return padding_mask(valid)


MASKS = {
    "none": None,
    "causal": causal_mask(T, S),
    "padding": one_row_of_padding(),
    "both": causal_mask(T, S) & one_row_of_padding(),
}


@pytest.mark.parametrize("name", MASKS)
def test_attention_is_the_equation(name):
    q, k, v = qkv(torch.float64)
    mask = MASKS[name]
    values, weights = attention(q, k, v, mask)
    full = torch.ones(B, H, T, S, dtype=torch.bool)
    visible = (full if mask is None else full & mask).numpy()
    for b in range(B):
        for h in range(H):
            heads = [x[b, h].detach().numpy() for x in (q, k, v)]
            mixed, shares = by_hand(*heads, visible[b, h])
            np.testing.assert_allclose(values[b, h].detach(), mixed, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(weights[b, h].detach(), shares, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", MASKS)
def test_weights_are_shares_and_nothing_goes_where_the_mask_says_no(name):
    mask = MASKS[name]
    _, weights = attention(*qkv(), mask)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, H, T))
    if mask is not None:
        assert (weights[~mask.expand(B, H, T, S)] == 0).all()


@pytest.mark.parametrize("name", MASKS)
def test_fused_attention_is_attention_in_values_and_gradients(name):
    slow, fast = qkv(), qkv()
    expected, _ = attention(*slow, MASKS[name])
    found, no_weights = fused_attention(*fast, MASKS[name])
    assert no_weights is None
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)

    upstream = torch.randn(B, H, T, D, generator=torch.Generator().manual_seed(1))
    expected.backward(upstream)
    found.backward(upstream)
    for a, b in zip(slow, fast, strict=True):
        assert a.grad.isfinite().all()
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("attend", [attention, fused_attention])
def test_dropped_weights_keep_their_expectation(attend):
    q, k, _ = qkv()
    ones = torch.ones(B, H, S, 1)  # a sum of weights, so 1 without dropout
    torch.manual_seed(0)
    draws = torch.stack([attend(q, k, ones, None, 0.3)[0].detach() for _ in range(400)])
    # Of one draw the variance is p / (1 − p) · Σ w² ≤ 0.43; here are 400 · B · H · T of them.
    assert draws.std() > 0.1
    assert abs(draws.mean() - 1) < 5 * math.sqrt(0.43 / draws.numel())


def heads_by_hand(module, x, memory):
    """Concat(head_1 … head_H) W_O in float64, each head on its own columns."""
    project = {
        name: (layer.weight.detach().numpy(), layer.bias.detach().numpy())
        for name, layer in module.named_children()
        if name.startswith("w_")
    }

    def linear(name, rows):
        weight, bias = project[name]
        return rows @ weight.T + bias

    q, k, v = linear("w_q", x), linear("w_k", memory), linear("w_v", memory)
    width = q.shape[1] // module.n_heads
    parts = [slice(h * width, (h + 1) * width) for h in range(module.n_heads)]
    visible = np.ones((len(x), len(memory)), dtype=bool)
    heads = [by_hand(q[:, part], k[:, part], v[:, part], visible)[0] for part in parts]
    return linear("w_o", np.concatenate(heads, axis=1))


@pytest.mark.parametrize("attend", [attention, fused_attention])
@pytest.mark.parametrize("training", [True, False])
def test_multi_head_attention_is_the_paper_s(attend, training):
    torch.manual_seed(0)
    module = MultiHeadAttention(12, 3, attend=attend).double().train(training)
    x, memory = torch.randn(2, T, 12).double(), torch.randn(2, S, 12).double()
    found = module(x, memory).detach()
    for b in range(2):
        expected = heads_by_hand(module, x[b].numpy(), memory[b].numpy())
        np.testing.assert_allclose(found[b], expected, rtol=1e-11, atol=1e-13)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    module = MultiHeadAttention(12, 3, dropout=0.5)
    x = torch.randn(2, T, 12)
    assert not torch.equal(module(x, x), module(x, x))
    module.eval()
    assert torch.equal(module(x, x), module(x, x))


def test_the_tap_receives_weights_when_there_are_any():
    module = MultiHeadAttention(12, 3, attend=attention)
    seen = []
    module.weights.register_forward_hook(lambda part, given, out: seen.append(out))
    x, memory = torch.randn(2, T, 12), torch.randn(2, S, 12)
    module(x, memory)
    (weights,) = seen
    assert weights.shape == (2, 3, T, S)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, T))

    module.attend = fused_attention
    module(x, memory)
    assert len(seen) == 1


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match=r"d_model \(10\) must be a multiple of n_heads \(3\)"):
        MultiHeadAttention(10, 3)
