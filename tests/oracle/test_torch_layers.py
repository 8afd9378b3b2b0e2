"""Our blocks with copied weights against torch's own encoder and decoder layers.

Outputs and all gradients, in both norm orders, in training (dropout 0) and evaluation.
"""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from triptych.core.attention import MultiHeadAttention, attention, fused_attention
from triptych.core.blocks import Block, CrossBlock
from triptych.core.feed_forward import FeedForward
from triptych.core.masks import causal_mask, padding_mask
from triptych.core.residual import PostNorm, PreNorm

B, T, S, E, HEADS, WIDE = 3, 6, 8, 16, 4, 24
EVERY = pytest.mark.parametrize(
    ("norm_first", "training", "attend"),
    [(n, t, a) for n in (False, True) for t in (False, True) for a in (attention, fused_attention)],
)


def ours(block, norm_first, attend):
    return block(
        attention=partial(MultiHeadAttention, E, HEADS, attend=attend),
        feed_forward=partial(FeedForward, E, WIDE, F.relu),
        residual=partial(PreNorm if norm_first else PostNorm, E),
    )


def theirs(layer, norm_first):
    torch.manual_seed(0)
    made = layer(E, HEADS, WIDE, dropout=0.0, batch_first=True, norm_first=norm_first)
    for value in made.parameters():  # their biases and gains begin at 0 and 1, which hides much
        nn.init.normal_(value, std=0.3)
    return made


def names(block):
    """Our module -> theirs; theirs holds q, k and v in one matrix."""
    sublayers = {"self_attention": "self_attn", "residual_1.norm": "norm1"}
    if isinstance(block, CrossBlock):
        sublayers |= {"cross_attention": "multihead_attn", "residual_3.norm": "norm3"}
    plain = {"feed_forward.w_up": "linear1", "feed_forward.w_down": "linear2"}
    return sublayers | plain | {"residual_2.norm": "norm2"}


def pairs(block, tensors):
    """(our name, the tensor of theirs that belongs to it), from a dictionary by their names."""
    for our_name, their_name in names(block).items():
        for kind in ("weight", "bias"):
            if "attention" not in our_name:
                yield f"{our_name}.{kind}", tensors[f"{their_name}.{kind}"]
                continue
            yield f"{our_name}.w_o.{kind}", tensors[f"{their_name}.out_proj.{kind}"]
            thirds = tensors[f"{their_name}.in_proj_{kind}"].chunk(3)
            for letter, part in zip("qkv", thirds, strict=True):
                yield f"{our_name}.w_{letter}.{kind}", part


def copy_weights(block, layer):
    copied = dict(pairs(block, dict(layer.named_parameters())))
    assert set(copied) == {name for name, _ in block.named_parameters()}
    block.load_state_dict(copied)


def valid(length, shortest):
    keep = torch.tensor([length, shortest, length - 1])
    return torch.arange(length) < keep[:, None]


def run(module, given, **masks):
    """The output, and the gradient of each input, after a random upstream gradient."""
    tensors = [x.clone().requires_grad_() for x in given]
    out = module(*tensors, **masks)
    out.backward(torch.randn(out.shape, generator=torch.Generator().manual_seed(5)))
    return out.detach(), [x.grad for x in tensors]


def assert_twins(block, layer, found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    gradients = {name: value.grad for name, value in layer.named_parameters()}
    parameters = dict(block.named_parameters())
    for name, gradient in pairs(block, gradients):
        difference = (parameters[name].grad - gradient).norm()
        # The true gradient of a key's bias is zero; what is left there is rounding.
        assert difference <= 1e-5 * gradient.norm() + 1e-5, name


@EVERY
@pytest.mark.parametrize("causal", [False, True])
def test_block_is_torch_s_encoder_layer(norm_first, training, attend, causal):
    layer = theirs(nn.TransformerEncoderLayer, norm_first).train(training)
    block = ours(Block, norm_first, attend).train(training)
    copy_weights(block, layer)
    x, real = torch.randn(B, T, E), valid(T, 2)
    mask, theirs_mask = padding_mask(real), None
    if causal:
        mask, theirs_mask = mask & causal_mask(T, T), ~causal_mask(T, T)
    found = run(block, [x], mask=mask)
    expected = run(layer, [x], src_mask=theirs_mask, src_key_padding_mask=~real)
    assert_twins(block, layer, found, expected)


@EVERY
def test_cross_block_is_torch_s_decoder_layer(norm_first, training, attend):
    layer = theirs(nn.TransformerDecoderLayer, norm_first).train(training)
    block = ours(CrossBlock, norm_first, attend).train(training)
    copy_weights(block, layer)
    given, real = [torch.randn(B, T, E), torch.randn(B, S, E)], valid(S, 3)
    found = run(block, given, mask=causal_mask(T, T), memory_mask=padding_mask(real))
    expected = run(layer, given, tgt_mask=~causal_mask(T, T), memory_key_padding_mask=~real)
    assert_twins(block, layer, found, expected)


@pytest.mark.parametrize("norm_first", [False, True])
@torch.no_grad()
def test_block_is_their_inference_kernel_too(norm_first):
    """Without gradients torch takes another path, one fused call."""
    layer = theirs(nn.TransformerEncoderLayer, norm_first).eval()
    block = ours(Block, norm_first, fused_attention).eval()
    copy_weights(block, layer)
    x, real = torch.randn(B, T, E), valid(T, 2)
    expected = layer(x, src_key_padding_mask=~real)
    found = block(x, padding_mask(real))
    torch.testing.assert_close(found[real], expected[real], rtol=1e-5, atol=1e-5)
