"""The encoder's trunk for use and not for training: a fast twin of `Bert.forward`.

Queries, keys and values come from one product, and products are those of `runtime/linear.py`. On a
CPU padding is taken out: real tokens stand in one row [N, E], and attention runs over texts of one
length at a time, without a mask. On a GPU few large kernels are better than many small ones: there
padding stays, under a mask. Weights are the module's own, but for the joined ones, which are made
once from them: a model that is trained further, or moved, needs a new twin.

Shapes: B batch, T positions, N real tokens, E model width, H heads, D head width.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.core.blocks import Block
from triptych.core.feed_forward import FeedForward
from triptych.core.masks import padding_mask
from triptych.models.bert import Bert
from triptych.runtime.linear import fast_linear

Attend = Callable[[Tensor, int], Tensor]
"""From joined queries, keys and values [..., 3E], and a number of heads, to values [..., E]."""


class FastBert:
    """`FastBert(bert)(token_ids, valid, segment_ids)` is `bert(…)`, without gradients.

    What stands where nothing is real means nothing, here as there, but other numbers.
    """

    def __init__(self, bert: Bert) -> None:
        self.bert = bert
        self.blocks = [_FastBlock(block) for block in bert.blocks if isinstance(block, Block)]

    @torch.inference_mode()
    def __call__(self, token_ids: Tensor, valid: Tensor, segment_ids: Tensor) -> Tensor:
        """[B, T] each -> hidden [B, T, E]."""
        x = self.bert.embed(token_ids, segment_ids)
        if not takes_padding_out(x.device):
            mask = None if bool(valid.all()) else padding_mask(valid)
            return self._through(x, lambda qkv, n_heads: _attend(*_split(qkv, n_heads), mask))
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
    def __init__(self, block: Block) -> None:
        given = block.self_attention
        projections = (given.w_q, given.w_k, given.w_v)
        self.n_heads = given.n_heads
        self.w_qkv = torch.cat([part.weight.detach() for part in projections])  # [3E, E]
        self.b_qkv = torch.cat([part.bias.detach() for part in projections])
        self.w_o = given.w_o
        self.norm_1, self.norm_2 = block.residual_1.norm, block.residual_2.norm
        assert isinstance(block.feed_forward, FeedForward)
        self.feed_forward = block.feed_forward

    def __call__(self, x: Tensor, attend: Attend) -> Tensor:
        merged = attend(fast_linear(x, self.w_qkv, self.b_qkv), self.n_heads)
        x = self.norm_1(fast_linear(merged, self.w_o.weight, self.w_o.bias).add_(x))
        up, down = self.feed_forward.w_up, self.feed_forward.w_down
        inner = fast_linear(x, up.weight, up.bias, self.feed_forward.activation)
        return self.norm_2(fast_linear(inner, down.weight, down.bias).add_(x))  # type: ignore[no-any-return]


def _split(qkv: Tensor, n_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    heads = qkv.view(*qkv.shape[:2], 3, n_heads, -1)  # [B, T, 3E] -> [B, T, 3, H, D]
    q, k, v = heads.permute(2, 0, 3, 1, 4)  # [B, H, T, D] each
    return q, k, v


def _attend_within(qkv: Tensor, n_heads: int, runs: list[tuple[int, int]]) -> Tensor:
    """qkv [N, 3E] -> [N, E]; a run is as many texts of one length as stand side by side."""
    merged = qkv.new_empty(len(qkv), qkv.size(1) // 3)
    start = 0
    for length, n_texts in runs:
        run = slice(start, start + n_texts * length)
        if length:
            q, k, v = _split(qkv[run].view(n_texts, length, -1), n_heads)
            merged[run] = _attend(q, k, v).flatten(0, 1)
        start = run.stop
    return merged


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """q, k, v [B, H, T, D] -> [B, T, E]. The fused kernel, but where it is slow (`benchmarks/`):
    in bf16 on a CPU it is two plain products, and a softmax in float32, which is the faster too."""
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or mask is not None:
        values = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    else:
        rows, keys = q.flatten(0, 1), k.flatten(0, 1)  # [B, H, T, D] -> [B · H, T, D]
        scale = 1 / math.sqrt(q.size(-1))
        scores = torch.baddbmm(q.new_empty(1), rows, keys.mT, beta=0, alpha=scale)
        weights = scores.softmax(dim=-1, dtype=torch.float32).to(v.dtype)
        values = torch.bmm(weights, v.flatten(0, 1)).view(v.shape)
    return values.transpose(1, 2).flatten(-2)
