"""A decoder-only model for use and not for training: a fast twin of `Gpt`, on a CPU.

A step reads every weight once, and that is nearly all of its time. So weights are packed for
their product (`runtime/packed.py`), queries, keys and values come from one, and what is left is a
dozen small operations a block. Sums along the stack, norms and a step's attention are in float32
whatever the weights are: they cost little there. Where the weights are in bfloat16, the processor
multiplies it and heads are a multiple of 32 wide, keys and values are kept in it, and a prompt's
attention is in it too.

Shapes: B batch, T new positions, S all positions seen, E model width, H heads, D head width.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.blocks import Block
from triptych.core.cache import RaggedCache, SelfAttentionCache
from triptych.core.masks import causal_mask, causal_padding_mask
from triptych.models.gpt import Gpt, last_real
from triptych.runtime.freed import give_back, one_by_one
from triptych.runtime.head import Head
from triptych.runtime.packed import Precision
from triptych.runtime.parts import (
    FastFeedForward,
    FloatNorm,
    Kit,
    additive,
    affine,
    attend_one,
    joined,
    merge,
    scaled_queries,
    split,
    steps_kit,
)
from triptych.runtime.steps import type_of_past
from triptych.runtime.whole_step import whole_step


class _View(NamedTuple):
    """What the new positions may see."""

    mask: Tensor | None
    """[B, 1, T, S] or [T, S], added to the scores; None: all, or what came before."""
    is_causal: bool
    """Whether the kernel itself hides what comes after, which spares half of the products."""


class FastGpt:
    """`FastGpt(gpt)` decodes and scores as `gpt` does, in evaluation and without gradients.

    It keeps packed copies of the weights: a module that is trained further, or moved, needs a
    new twin. Embeddings are the module's own.
    """

    def __init__(self, gpt: Gpt, precision: Precision = "fp32") -> None:
        self.gpt, self.config, self.precision = gpt, gpt.config, precision
        kit = steps_kit(precision)
        held = type_of_past(precision, gpt.config.d_model // gpt.config.n_heads)
        self.blocks = one_by_one(lambda block: _FastBlock(block, kit, held), gpt.blocks)
        self.norm = FloatNorm(gpt.norm)
        self.head = Head(gpt.token_embedding.weight, precision)
        self.step = whole_step(self.blocks, self.norm, self.head.product)
        give_back()

    @torch.inference_mode()
    def __call__(
        self, token_ids: Tensor, *, valid: Tensor | None = None, cache: RaggedCache | None = None
    ) -> Tensor:
        """token_ids [B, T] -> hidden [B, T, E]; see `Gpt.forward`."""
        x, view = self._embed(token_ids, valid, cache)
        return self._hidden(x, view, cache)

    def _embed(
        self, token_ids: Tensor, valid: Tensor | None, cache: RaggedCache | None
    ) -> tuple[Tensor, _View]:
        n_past = 0 if cache is None else cache.length
        seen = valid if cache is None else cache.see(token_ids, valid)  # [B, S], or all are real
        n_all = n_past + token_ids.size(1)
        if seen is None and n_all <= self.config.max_seq_len:  # the same, and four modules fewer
            x = F.embedding(token_ids, self.gpt.token_embedding.weight)
            x = (x + self.gpt.positions.weight[n_past:n_all]).float()
        else:
            x = self.gpt.embed(token_ids, n_past, seen).float()
        return x, _view(seen, n_past, token_ids.size(1))

    def _hidden(self, x: Tensor, view: _View, cache: RaggedCache | None) -> Tensor:
        """x [B, T, E], which may be changed -> [B, T, E]."""
        if self.step is not None and cache is not None and self.step.takes(x, cache):
            return self.step(x, view.mask, cache)
        for number, block in enumerate(self.blocks):
            x = block(x, view, None if cache is None else cache.layers[number].self_attention)
        return self.norm(x)

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        """hidden [..., E] -> logits [..., V], in float32."""
        return self.head(hidden)

    def new_cache(self, batch: int, length: int) -> RaggedCache:
        """For so many rows, with room for `length` positions each; it grows if they are more. What
        this model keeps in bfloat16 is not for the module itself, which has float32."""
        return self.gpt.new_cache(batch, length)

    @torch.inference_mode()
    def next_logits(
        self,
        token_ids: Tensor,
        cache: RaggedCache,
        valid: Tensor | None = None,
        *,
        likeliest: int | None = None,
    ) -> Tensor:
        """token_ids [B, T] new tokens -> [B, V], scores of what follows the last real one. With
        `likeliest` those that are not among so many highest of a row may be -inf."""
        x, view = self._embed(token_ids, valid, cache)
        looks_first = likeliest is not None and self.head.looks_first(len(x), likeliest)
        if not looks_first and self.step is not None and self.step.takes(x, cache):
            return self.step.logits(x, view.mask, cache)
        hidden = last_real(self._hidden(x, view, cache), valid)
        if looks_first and likeliest is not None:
            return self.head.likeliest(hidden, likeliest)
        return self.head(hidden)


class _FastBlock:
    """x + SelfAttention(LayerNorm(x)), then x + FeedForward(LayerNorm(x)), on x [B, T, E]."""

    def __init__(self, block: nn.Module, kit: Kit, held: torch.dtype) -> None:
        """Keys and values are kept in `held`."""
        assert isinstance(block, Block)
        given = block.self_attention
        self.n_heads, self.held = given.n_heads, held
        self.w_qkv = joined(kit, scaled_queries(given), affine(given.w_k), affine(given.w_v))
        self.w_o = kit.product(*affine(given.w_o), None)
        self.feed_forward = FastFeedForward(kit, block.feed_forward)
        self.norm_1, self.norm_2 = kit.norm(block.residual_1.norm), kit.norm(block.residual_2.norm)

    def __call__(self, x: Tensor, view: _View, past: SelfAttentionCache | None) -> Tensor:
        """x is changed in place."""
        x += self.w_o(self._attend(self.w_qkv(self.norm_1(x)).float(), view, past))
        x += self.feed_forward(self.norm_2(x))
        return x

    def _attend(self, qkv: Tensor, view: _View, past: SelfAttentionCache | None) -> Tensor:
        q, k, v = split(qkv, 3, self.n_heads)
        k, v = k.to(self.held), v.to(self.held)
        if past is not None:
            kept = past.extend(lambda: (k, v))
            k, v = kept if past.length > k.size(2) else (k, v)  # of a prompt: as they lie
        if q.size(2) == 1:
            return attend_one(q, k, v, view.mask)
        values = F.scaled_dot_product_attention(
            q.to(k.dtype), k, v, attn_mask=view.mask, is_causal=view.is_causal, scale=1.0
        )
        return merge(values)


def _view(seen: Tensor | None, n_past: int, n_new: int) -> _View:
    if seen is not None:
        allowed = causal_padding_mask(seen, n_new)
    elif n_past and n_new > 1:
        allowed = causal_mask(n_new, n_past + n_new)
    else:
        return _View(None, n_new > 1)
    return _View(additive(allowed), False)
