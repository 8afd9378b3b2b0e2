"""A stack of post-norm blocks without padding: BERT's trunk, and the left half of Figure 1.

Queries, keys and values come from one product. On a CPU padding is taken out: real tokens stand in
one row [N, E], and attention runs over texts of one length at a time, without a mask. On a GPU few
large kernels are better than many small ones: there padding stays, under a mask.

Shapes: B batch, T positions, N real tokens, E model width, H heads, D head width.
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.blocks import Block
from triptych.core.masks import padding_mask
from triptych.runtime.amx import has_amx
from triptych.runtime.parts import FastFeedForward, Kit, affine, joined, merge, split

Attend = Callable[[Tensor, int], Tensor]
"""From joined queries, keys and values [..., 3E], and a number of heads, to values [..., E]."""


class PostNormStack:
    """`PostNormStack(blocks, kit)(x, valid)` is each of the blocks on x, without gradients.

    What stands where nothing is real means nothing, here as there, but other numbers.
    """

    def __init__(self, blocks: Iterable[nn.Module], kit: Kit) -> None:
        self.blocks = [_FastBlock(block, kit) for block in blocks]

    def __call__(self, x: Tensor, valid: Tensor) -> Tensor:
        """x [B, T, E], which is overwritten, valid [B, T] -> [B, T, E]."""
        if not takes_padding_out(x.device):
            mask = None if bool(valid.all()) else padding_mask(valid)
            return self._through(x, lambda qkv, n_heads: _attend(split(qkv, 3, n_heads), mask))
        lengths, counts = torch.unique_consecutive(valid.sum(dim=1), return_counts=True)
        runs = list(zip(lengths.tolist(), counts.tolist(), strict=True))
        hidden = torch.zeros_like(x)
        hidden[valid] = self._through(
            x[valid], lambda qkv, n_heads: _attend_within(qkv, n_heads, runs)
        )
        return hidden

    def _through(self, x: Tensor, attend: Attend) -> Tensor:
        for block in self.blocks:
            x = block(x, attend)
        return x


def takes_padding_out(device: torch.device) -> bool:
    """Whether attention runs over texts of one length at a time."""
    return device.type == "cpu"


class _FastBlock:
    """LayerNorm(x + SelfAttention(x)), then LayerNorm(x + FeedForward(x)), on x [..., E]."""

    def __init__(self, block: nn.Module, kit: Kit) -> None:
        assert isinstance(block, Block)
        given = block.self_attention
        self.n_heads = given.n_heads
        self.w_qkv = joined(kit, affine(given.w_q), affine(given.w_k), affine(given.w_v))  # E -> 3E
        self.w_o = kit.product(*affine(given.w_o), None)
        self.feed_forward = FastFeedForward(kit, block.feed_forward)
        self.norm_1, self.norm_2 = kit.norm(block.residual_1.norm), kit.norm(block.residual_2.norm)

    def __call__(self, x: Tensor, attend: Attend) -> Tensor:
        """x is overwritten."""
        x = self.norm_1(x.add_(self.w_o(attend(self.w_qkv(x), self.n_heads))))
        return self.norm_2(x.add_(self.feed_forward(x)))


def _attend_within(qkv: Tensor, n_heads: int, runs: list[tuple[int, int]]) -> Tensor:
    """qkv [N, 3E] -> [N, E]; a run is as many texts of one length as stand side by side."""
    merged = qkv.new_empty(len(qkv), qkv.size(1) // 3)
    start = 0
    for length, n_texts in runs:
        run = slice(start, start + n_texts * length)
        if length:
            parts = split(qkv[run].view(n_texts, length, -1), 3, n_heads)
            merged[run] = _attend(parts).flatten(0, 1)
        start = run.stop
    return merged


def _attend(parts: list[Tensor], mask: Tensor | None = None) -> Tensor:
    """q, k, v, each [B, H, T, D] -> [B, T, E]. The fused kernel, but where it is slow
    (`benchmarks/`): in bf16 on a CPU without AMX two plain products and a softmax in float32 are
    faster."""
    q, k, v = parts
    is_slow = q.device.type == "cpu" and q.dtype == torch.bfloat16 and not has_amx()
    if not is_slow or mask is not None:
        return merge(F.scaled_dot_product_attention(q, k, v, attn_mask=mask))
    rows, keys = q.flatten(0, 1), k.flatten(0, 1)  # [B, H, T, D] -> [B · H, T, D]
    scale = 1 / math.sqrt(q.size(-1))
    scores = torch.baddbmm(q.new_empty(1), rows, keys.mT, beta=0, alpha=scale)
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(v.dtype)
    return merge(torch.bmm(weights, v.flatten(0, 1)).view(v.shape))
