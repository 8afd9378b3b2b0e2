"""The kernel chosen by a table: which one, and that it computes the same."""

import pytest
import torch

from triptych.core.attention import MultiHeadAttention, attention, fused_attention
from triptych.core.loss import chunked_cross_entropy, smoothed_cross_entropy
from triptych.core.masks import causal_mask, padding_mask
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.runtime import attention as runtime
from triptych.runtime.attention import fast_attention, use_fast_attention
from triptych.runtime.causal import causal_attention

B, H, T, S, D = 3, 2, 9, 9, 16


def drawn(dtype, length=S):
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(B, H, length, D, generator=generator) for _ in range(3)]
    return [x.to(torch.bfloat16).to(dtype).requires_grad_() for x in made]


def some_padding():
    valid = torch.ones(B, S, dtype=torch.bool)
    valid[0, 4:] = False
    valid[2] = False
    return padding_mask(valid)


MASKS = {"none": None, "causal": causal_mask(T, S), "padding": some_padding()}


@pytest.mark.parametrize("limit", [0, 768], ids=["fused", "plain"])
@pytest.mark.parametrize("name", MASKS)
def test_bf16_attention_is_the_equation(name, limit, monkeypatch):
    """Stated bound: 1.5 % of the norm, values and gradients (bf16 has 8 bits)."""
    monkeypatch.setattr(runtime, "LONGEST_PLAIN", limit)
    slow, fast = drawn(torch.float32), drawn(torch.bfloat16)
    expected, _ = attention(*slow, MASKS[name])
    found, weights = fast_attention(*fast, MASKS[name])
    assert weights is None
    assert found.dtype == torch.bfloat16
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    expected.backward(upstream)
    found.backward(upstream.bfloat16())
    pairs = [(expected, found), *((a.grad, b.grad) for a, b in zip(slow, fast, strict=True))]
    for a, b in pairs:
        assert b.isfinite().all()
        assert (a - b.float()).norm() <= 0.015 * a.norm()


@pytest.mark.parametrize("name", MASKS)
def test_in_float32_it_is_the_fused_kernel_to_the_bit(name):
    given = drawn(torch.float32)
    assert torch.equal(
        fast_attention(*given, MASKS[name])[0], fused_attention(*given, MASKS[name])[0]
    )


def kernels_used(monkeypatch, *given):
    used = []
    for kernel in (attention, fused_attention, causal_attention):
        name = kernel.__name__

        def spy(*args, name=name, kernel=kernel):
            used.append(name)
            return kernel(*args)

        monkeypatch.setattr(runtime, name, spy)
    fast_attention(*given)
    return used


def test_the_table_of_kernels(monkeypatch):
    def used(*given):
        return kernels_used(monkeypatch, *given)

    assert used(*drawn(torch.bfloat16)) == ["attention"]
    assert used(*drawn(torch.float32)) == ["fused_attention"]
    assert used(*drawn(torch.bfloat16, 768)) == ["attention"]
    assert used(*drawn(torch.bfloat16, 769)) == ["fused_attention"]
    for length in (9, 769):
        causal = causal_mask(length, length)
        assert used(*drawn(torch.bfloat16, length), causal) == ["causal_attention"]
        assert used(*drawn(torch.float32, length), causal) == ["fused_attention"]
        assert used(*drawn(torch.float32, length), causal, 0.1) == ["causal_attention"]
    assert used(*drawn(torch.float32), None, 0.1) == ["attention"]
    frozen = [x.detach() for x in drawn(torch.bfloat16)]
    assert used(*frozen) == ["fused_attention"]


def test_under_autocast_it_stays_in_bf16(monkeypatch):
    """The weights [B, H, T, S] too: in float32 they would take twice the bytes."""
    seen = []

    def spy(*given):
        values, weights = attention(*given)
        seen.append(weights.dtype)
        return values, weights

    monkeypatch.setattr(runtime, "attention", spy)
    q, k, v = drawn(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = fast_attention(q, k, v)
        assert torch.is_autocast_enabled("cpu")
    assert seen == [torch.bfloat16]
    assert torch.equal(found, attention(q, k, v)[0])


def model():
    torch.manual_seed(0)
    config = EncoderDecoderConfig(
        vocab_size=40, d_model=32, d_ff=64, n_heads=4, n_encoder_layers=2, n_decoder_layers=2,
        dropout=0.0, pad_id=39, eos_id=0, start_id=39,
    )  # fmt: skip
    return EncoderDecoder(config)


def gradients(model, loss_function, precision):
    generator = torch.Generator().manual_seed(2)
    source = torch.randint(0, 39, (4, 8), generator=generator)
    target = torch.randint(0, 39, (4, 9), generator=generator)
    valid = torch.arange(8) < torch.tensor([8, 5, 3, 1])[:, None]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        hidden = model(source, valid, target[:, :-1]).flatten(0, 1)
        labels = target[:, 1:].flatten()
        loss = loss_function(hidden, *model.output_projection, labels, 0.1, 39)
    (loss.smoothed / loss.n_tokens).backward()
    mean = loss.smoothed.item() / loss.n_tokens
    return mean, {name: value.grad for name, value in model.named_parameters()}


def test_every_attention_of_a_model_is_switched():
    fast = model()
    assert use_fast_attention(fast) is fast
    parts = [part for part in fast.modules() if isinstance(part, MultiHeadAttention)]
    assert len(parts) == 6
    assert all(part.attend is fast_attention for part in parts)


def test_the_fast_path_of_training_is_the_slow_one_in_float32():
    slow = model()
    for part in slow.modules():
        if isinstance(part, MultiHeadAttention):
            part.attend = attention
    expected = gradients(slow, smoothed_cross_entropy, "fp32")
    found = gradients(use_fast_attention(model()), chunked_cross_entropy, "fp32")
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    for name, gradient in expected[1].items():
        assert (found[1][name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-7, name


def test_the_fast_path_of_training_in_bf16_stays_near_float32():
    """Stated bounds: 0.5 % of the loss, 5 % of the whole gradient's norm."""
    expected = gradients(model(), smoothed_cross_entropy, "fp32")
    found = gradients(use_fast_attention(model()), chunked_cross_entropy, "bf16")
    assert found[0] == pytest.approx(expected[0], rel=0.005)
    whole, near = (torch.cat([g.flatten() for g in x[1].values()]) for x in (expected, found))
    assert 0 < (near - whole).norm() <= 0.05 * whole.norm()
