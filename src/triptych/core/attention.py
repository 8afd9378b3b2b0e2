"""Attention: the equation, its fused twin, then the module that projects into and out of it.

Shapes: B batch, T query positions, S key positions, H heads, D head width, E model width.
"""

import math
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.cache import KeyValueCache
from triptych.core.dropout import dropout

AttentionFunction = Callable[
    [Tensor, Tensor, Tensor, Tensor | None, float], tuple[Tensor, Tensor | None]
]


def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, p_drop: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Attention(Q, K, V) = softmax(QKᵀ / √D) V  — Vaswani et al. 2017, equation 1.

    q [B, H, T, D], k and v [B, H, S, D]; mask is boolean, broadcastable to
    [B, H, T, S], True where the query may attend; p_drop is the probability of
    dropping a weight. Returns the mixed values [B, H, T, D] and the weights
    [B, H, T, S] before any was dropped.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))  # [B, H, T, S]
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = scores.softmax(dim=-1)
    return dropout(weights, p_drop) @ v, weights


def fused_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, p_drop: float = 0.0
) -> tuple[Tensor, None]:
    """The same function in one kernel, which never materializes the weights."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p_drop), None


class MultiHeadAttention(nn.Module):
    """MultiHead(Q, K, V) = Concat(head_1 … head_H) W_O  — Vaswani et al. 2017, §3.2.2.

    Each head is one `attention` over D = E / H columns of the projections
    `w_q`, `w_k`, `w_v` (the paper's W^Q, W^K, W^V; here with biases).
    `weights` is a tap: an identity that receives [B, H, T, S] whenever `attend`
    returns weights, for tools that look in from outside.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        dropout: float = 0.0,
        attend: AttentionFunction = fused_attention,
    ) -> None:
        super().__init__()
        if d_model % n_heads != 0:
            raise ValueError(f"d_model ({d_model}) must be a multiple of n_heads ({n_heads})")
        self.n_heads = n_heads
        self.dropout = dropout
        self.attend = attend
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)
        self.weights = nn.Identity()

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """x [B, T, E] asks, memory [B, S, E] answers; self-attention passes x twice."""

        def keys_and_values() -> tuple[Tensor, Tensor]:
            return self.split(self.w_k(memory)), self.split(self.w_v(memory))

        q = self.split(self.w_q(x))
        k, v = keys_and_values() if cache is None else cache.extend(keys_and_values)
        values, weights = self.attend(q, k, v, mask, self.dropout if self.training else 0.0)
        if weights is not None:
            self.weights(weights)
        return self.w_o(self.merge(values))  # type: ignore[no-any-return]

    def split(self, x: Tensor) -> Tensor:
        heads = x.view(*x.shape[:-1], self.n_heads, -1)  # [B, T, E] -> [B, T, H, D]
        return heads.transpose(1, 2)  # [B, H, T, D]

    def merge(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(-2)  # [B, H, T, D] -> [B, T, E]
