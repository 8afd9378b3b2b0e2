"""The two blocks every family is stacked from — Vaswani et al. 2017, Figure 1, left and right.

Shapes: B batch, T positions, S memory positions, E model width.
"""

from collections.abc import Callable

from torch import Tensor, nn

from triptych.core.attention import MultiHeadAttention
from triptych.core.cache import LayerCache
from triptych.core.residual import PostNorm, PreNorm


class Block(nn.Module):
    """Self-attention, then feed-forward. BERT, GPT and the encoder stack this one."""

    def __init__(
        self,
        *,
        attention: Callable[[], MultiHeadAttention],
        feed_forward: Callable[[], nn.Module],
        residual: Callable[[], PostNorm | PreNorm],
    ) -> None:
        super().__init__()
        self.self_attention = attention()
        self.feed_forward = feed_forward()
        self.residual_1 = residual()
        self.residual_2 = residual()

    def forward(
        self, x: Tensor, mask: Tensor | None = None, cache: LayerCache | None = None
    ) -> Tensor:
        """x [B, T, E] -> [B, T, E]."""
        past = cache.self_attention if cache is not None else None
        x = self.residual_1(x, lambda x: self.self_attention(x, x, mask, past))
        return self.residual_2(x, self.feed_forward)  # type: ignore[no-any-return]


class CrossBlock(nn.Module):
    """Self-attention, attention over the encoder's memory, feed-forward. The decoder's block."""

    def __init__(
        self,
        *,
        attention: Callable[[], MultiHeadAttention],
        feed_forward: Callable[[], nn.Module],
        residual: Callable[[], PostNorm | PreNorm],
    ) -> None:
        super().__init__()
        self.self_attention = attention()
        self.cross_attention = attention()
        self.feed_forward = feed_forward()
        self.residual_1 = residual()
        self.residual_2 = residual()
        self.residual_3 = residual()

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """x [B, T, E], memory [B, S, E] -> [B, T, E]."""
        past = cache.self_attention if cache is not None else None
        seen = cache.cross_attention if cache is not None else None
        x = self.residual_1(x, lambda x: self.self_attention(x, x, mask, past))
        x = self.residual_2(x, lambda x: self.cross_attention(x, memory, memory_mask, seen))
        return self.residual_3(x, self.feed_forward)  # type: ignore[no-any-return]
