"""What the fast twins of all three families are made of.

Shapes: B batch, T positions, S key positions, E model width, H heads, D head width.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.attention import MultiHeadAttention
from triptych.core.feed_forward import FeedForward
from triptych.runtime.half_query import WIDTHS
from triptych.runtime.linear import Activation, fast_linear
from triptych.runtime.one_query import attend_by_loop
from triptych.runtime.openmp import has_team
from triptych.runtime.packed import Precision, Product, packed
from triptych.runtime.steps import for_steps

MakeProduct = Callable[[Tensor, Tensor, Activation | None], Product]
"""weight [O, I], bias [O], activation -> act(x Wᵀ + b)."""


class Kit(NamedTuple):
    """How a twin's parts are made from a module's."""

    product: MakeProduct
    norm: Callable[[nn.LayerNorm], Product]


def packed_kit(precision: Precision) -> Kit:
    """Copies laid out for the product, in this precision; norms, and all between, in float32."""

    def product(weight: Tensor, bias: Tensor, activation: Activation | None) -> Product:
        return packed(weight, bias, precision, activation)

    return Kit(product, FloatNorm)


def steps_kit(precision: Precision) -> Kit:
    """As `packed_kit`, for what decodes: by `runtime/steps.py`."""

    def product(weight: Tensor, bias: Tensor, activation: Activation | None) -> Product:
        return for_steps(weight, bias, precision, activation)

    return Kit(product, FloatNorm)


def plain_kit() -> Kit:
    """The module's own weights, in the precision that they have."""

    def product(weight: Tensor, bias: Tensor, activation: Activation | None) -> Product:
        return partial(fast_linear, weight=weight, bias=bias, activation=activation)

    return Kit(product, lambda norm: norm)


class FloatNorm:
    """The same in float32, whatever precision the module has."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        self.shape, self.eps = norm.normalized_shape, norm.eps
        # Copies: a loop has their addresses, and a module's weights may move.
        self.weight = norm.weight.detach().float().clone()
        self.bias = norm.bias.detach().float().clone()

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


Affine = tuple[Tensor, Tensor]
"""weight [O, I] and bias [O] of a projection."""


def affine(projection: nn.Linear) -> Affine:
    return projection.weight.detach(), projection.bias.detach()


def scaled_queries(attention: MultiHeadAttention) -> Affine:
    """w_q with the 1 / √D of equation 1 within, once for all steps."""
    weight, bias = affine(attention.w_q)
    scale = 1 / math.sqrt(len(bias) / attention.n_heads)
    return weight * scale, bias * scale


def joined(kit: Kit, *projections: Affine) -> Product:
    """Several projections of one input as one product: [..., I] -> [..., all their outputs]."""
    weights, biases = zip(*projections, strict=True)
    return kit.product(torch.cat(weights), torch.cat(biases), None)


class FastFeedForward:
    """act(x W_up + b_up) W_down + b_down: x [..., E] -> [..., E]."""

    def __init__(self, kit: Kit, given: nn.Module) -> None:
        assert isinstance(given, FeedForward)
        self.activation = given.activation
        self.up = kit.product(*affine(given.w_up), given.activation)
        self.down = kit.product(*affine(given.w_down), None)

    def __call__(self, x: Tensor) -> Tensor:
        return self.down(self.up(x))


def split(joint: Tensor, n_parts: int, n_heads: int) -> list[Tensor]:
    """A joined product [B, T, n_parts · E] -> its parts, each [B, H, T, D]."""
    width = joint.size(-1) // (n_parts * n_heads)
    heads = joint.view(*joint.shape[:2], n_parts, n_heads, width)  # [B, T, parts, H, D]
    return list(heads.permute(2, 0, 3, 1, 4).unbind())


def merge(values: Tensor) -> Tensor:
    """[B, H, T, D] -> [B, T, E]."""
    return values.transpose(1, 2).flatten(-2)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of few queries, scaled already, in three operations: faster there than the fused
    kernel. q [B, H, T, D], k and v [B, H, S, D], mask broadcastable to [B, H, T, S] and added to
    the scores -> [B, H, T, D]."""
    scores = q @ k.mT
    weights = (scores if mask is None else scores.add_(mask)).softmax(dim=-1)
    return weights @ v


def attend_one(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """The same for one query a row, where k and v may each serve several rows that follow one
    another: q [R, H, 1, D], k and v [B, H, S, D], mask [B, 1, 1, S] -> merged values [R, 1, E]."""
    if has_team():
        if k.dtype != torch.bfloat16 or v.dtype != k.dtype or k.size(-1) % WIDTHS:
            k, v = k.float(), v.float()
        return attend_by_loop(q.squeeze(2).float(), k, v, mask).unsqueeze(1)
    k, v = k.to(q.dtype), v.to(q.dtype)
    n_rows, n_heads, _, width = q.shape
    together = q.view(len(k), -1, n_heads, width).transpose(1, 2)
    return merge(attend(together, k, v, mask)).view(n_rows, 1, -1)


def additive(allowed: Tensor) -> Tensor:
    """A boolean mask as numbers to add, once for all blocks: each would turn it into them again."""
    return torch.zeros(allowed.shape, dtype=torch.float32).masked_fill_(~allowed, float("-inf"))
