"""The encoder's trunk for use and not for training: a fast twin of `Bert.forward`.

Queries, keys and values come from one product; a batch without padding has no mask; products are
those of `runtime/linear.py`; bf16 attention on a CPU is three plain products. Weights are the
module's own, but for the joined ones, which are made once from them: a model that is trained
further, or moved, needs a new twin.

Shapes: B batch, T positions, E model width, H heads, D head width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.core.attention import attention
from triptych.core.blocks import Block
from triptych.core.feed_forward import FeedForward
from triptych.core.masks import padding_mask
from triptych.models.bert import Bert
from triptych.runtime.linear import fast_linear


class FastBert:
    """`FastBert(bert)(token_ids, valid, segment_ids)` is `bert(…)`, without gradients."""

    def __init__(self, bert: Bert) -> None:
        self.bert = bert
        self.blocks = [_FastBlock(block) for block in bert.blocks if isinstance(block, Block)]

    @torch.inference_mode()
    def __call__(self, token_ids: Tensor, valid: Tensor, segment_ids: Tensor) -> Tensor:
        """[B, T] each -> hidden [B, T, E]."""
        mask = None if bool(valid.all()) else padding_mask(valid)
        x = self.bert.embed(token_ids, segment_ids)
        for block in self.blocks:
            x = block(x, mask)
        return x


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

    def __call__(self, x: Tensor, mask: Tensor | None) -> Tensor:
        n_rows, length, width = x.shape
        qkv = fast_linear(x, self.w_qkv, self.b_qkv)
        heads = qkv.view(n_rows, length, 3, self.n_heads, width // self.n_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # [B, H, T, D] each
        merged = _attend(q, k, v, mask).transpose(1, 2).reshape(n_rows, length, width)
        x = self.norm_1(fast_linear(merged, self.w_o.weight, self.w_o.bias).add_(x))
        up, down = self.feed_forward.w_up, self.feed_forward.w_down
        inner = fast_linear(x, up.weight, up.bias, self.feed_forward.activation)
        return self.norm_2(fast_linear(inner, down.weight, down.bias).add_(x))  # type: ignore[no-any-return]


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """The fused kernel; on a CPU in bf16 it is behind three plain products (`benchmarks/`)."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        return attention(q, k, v, mask)[0]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
