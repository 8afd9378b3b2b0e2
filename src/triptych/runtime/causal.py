"""Causal attention for training on a CPU, in strips of queries: what no query sees is left out.

Three plain products compute all T · T scores, and the mask throws half of them away. A strip of
queries needs the keys up to its own last position alone: at 256 positions in strips of 64 that is
five eighths of the work, at 1,024 little more than half. The gradient is written out, so that the
strips add into one gradient of keys and values instead of making one each.

Shapes: B batch, H heads, T positions, R queries of a strip, S keys that it sees, D head width.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from triptych.core.dropout import scaled_keep_mask

ROWS = 64
"""Queries of a strip; half and twice as many were within a third of it (docs/log.md)."""


def causal_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, p_drop: float) -> Tensor:
    """The values of `core/attention.py`'s `attention` under a mask without a key after its query.

    q, k, v [B, H, T, D]; mask broadcastable to [B, H, T, T], True where a query may attend.
    """
    found: Tensor = _CausalAttention.apply(q, k, v, mask, p_drop)  # type: ignore[no-untyped-call]
    return found


def is_causal(mask: Tensor, n_queries: int, n_keys: int) -> bool:
    """Whether a mask of as many queries as keys hides from each query all keys that come after."""
    return n_queries == n_keys and mask.shape[-2:] == (n_queries, n_keys) and not mask.triu(1).any()


def strips(n_positions: int) -> Iterator[tuple[slice, slice]]:
    """The queries of each strip, and the keys that they see."""
    for start in range(0, n_positions, ROWS):
        end = min(start + ROWS, n_positions)
        yield slice(start, end), slice(0, end)


def n_weights(n_positions: int) -> int:
    """The weights that the strips of one head hold, of n_positions²."""
    return sum((rows.stop - rows.start) * seen.stop for rows, seen in strips(n_positions))


class _CausalAttention(torch.autograd.Function):
    """P = softmax(QKᵀ / √D), O = drop(P) V; and with G = dO Vᵀ, dropped as P was:

    dV = drop(P)ᵀ dO, dS = P ∘ (G − rowsum(G ∘ P)), dQ = dS K / √D, dK = dSᵀ Q / √D.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, p_drop: float) -> Tensor:
        q, k, v = (x.contiguous() for x in (q / math.sqrt(q.size(-1)), k, v))
        out, saved = torch.empty_like(q), []
        for rows, seen in strips(q.size(2)):
            scores = q[:, :, rows] @ k[:, :, seen].transpose(-2, -1)  # [B, H, R, S]
            weights = scores.masked_fill_(~mask[..., rows, seen], -math.inf).softmax(dim=-1)
            kept = scaled_keep_mask(weights, p_drop) if p_drop else None
            out[:, :, rows] = (weights if kept is None else weights * kept) @ v[:, :, seen]
            saved += [weights] if kept is None else [weights, kept]
        ctx.save_for_backward(q, k, v, *saved)
        ctx.n_saved = 2 if p_drop else 1
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, *saved = ctx.saved_tensors
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        d_out = d_out.contiguous()
        for i, (rows, seen) in enumerate(strips(q.size(2))):
            weights, *drawn = saved[ctx.n_saved * i : ctx.n_saved * (i + 1)]
            d_strip = d_out[:, :, rows]
            d_weights = d_strip @ v[:, :, seen].transpose(-2, -1)  # [B, H, R, S]
            mixing = weights
            for kept in drawn:
                d_weights *= kept
                mixing = weights * kept
            dv[:, :, seen] += mixing.transpose(-2, -1) @ d_strip
            d_scores = torch.ops.aten._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            dq[:, :, rows] = d_scores @ k[:, :, seen]
            dk[:, :, seen] += d_scores.transpose(-2, -1) @ q[:, :, rows]
        return dq / math.sqrt(q.size(-1)), dk, dv, None, None
