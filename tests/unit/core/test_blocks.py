"""The blocks of Figure 1: which sub-layers, in which order, with which masks."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from triptych.core.attention import MultiHeadAttention, attention, fused_attention
from triptych.core.blocks import Block, CrossBlock
from triptych.core.feed_forward import FeedForward
from triptych.core.masks import causal_mask, padding_mask
from triptych.core.residual import PostNorm, PreNorm

B, T, S, E = 3, 5, 7, 8


def made(block, residual=PostNorm, attend=fused_attention):
    torch.manual_seed(0)
    return block(
        attention=partial(MultiHeadAttention, E, 2, attend=attend),
        feed_forward=partial(FeedForward, E, 12, F.relu),
        residual=partial(residual, E),
    )


def some_valid():
    valid = torch.ones(B, S, dtype=torch.bool)
    valid[0, 4:] = False
    valid[2] = False
    return valid


@pytest.mark.parametrize("residual", [PostNorm, PreNorm])
def test_the_left_block_is_self_attention_then_feed_forward(residual):
    block, x, mask = made(Block, residual), torch.randn(B, T, E), causal_mask(T, T)
    middle = block.residual_1(x, lambda x: block.self_attention(x, x, mask))
    expected = block.residual_2(middle, block.feed_forward)
    torch.testing.assert_close(block(x, mask), expected)


@pytest.mark.parametrize("residual", [PostNorm, PreNorm])
def test_the_right_block_looks_at_the_memory_in_between(residual):
    block, x, memory = made(CrossBlock, residual), torch.randn(B, T, E), torch.randn(B, S, E)
    mask, memory_mask = causal_mask(T, T), padding_mask(some_valid())
    first = block.residual_1(x, lambda x: block.self_attention(x, x, mask))
    second = block.residual_2(first, lambda x: block.cross_attention(x, memory, memory_mask))
    expected = block.residual_3(second, block.feed_forward)
    torch.testing.assert_close(block(x, memory, mask, memory_mask), expected)


def gradients(block, given, masks, training):
    block.train(training)
    tensors = [x.clone().requires_grad_() for x in given]
    out = block(*tensors, *masks)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(7))
    out.backward(upstream)
    parameters = {name: value.grad for name, value in block.named_parameters()}
    return out.detach(), [x.grad for x in tensors], parameters


@pytest.mark.parametrize("residual", [PostNorm, PreNorm])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [Block, CrossBlock])
def test_the_kernel_makes_no_difference(kind, training, residual):
    """Values and gradients of all weights and inputs, a row without any key among them."""
    torch.manual_seed(1)
    x, memory = torch.randn(B, S, E), torch.randn(B, S, E)
    mask = padding_mask(some_valid())
    given, masks = ([x], [mask]) if kind is Block else ([x, memory], [causal_mask(S, S), mask])
    slow = gradients(made(kind, residual, attention), given, masks, training)
    fast = gradients(made(kind, residual, fused_attention), given, masks, training)
    assert all(value.isfinite().all() for value in slow[2].values())
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=2e-6)


def test_what_is_padded_changes_nothing():
    block, x, memory = made(CrossBlock), torch.randn(B, T, E), torch.randn(B, S, E)
    valid = some_valid()
    other = torch.where(valid[..., None], memory, 100 * torch.randn(B, S, E))
    mask = padding_mask(valid)
    real = valid.any(dim=1)
    found = block(x, memory, None, mask)[real], block(x, other, None, mask)[real]
    torch.testing.assert_close(*found, rtol=0, atol=1e-6)
