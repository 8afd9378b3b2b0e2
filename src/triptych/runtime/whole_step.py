"""A decoding step through all blocks at once, by `runtime/step_loop.py`.

Shapes: R rows, S key positions with the new one, E model width, F feed-forward width.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from weakref import ref

import numpy as np
import torch
from torch import Tensor

from triptych.core.cache import RaggedCache, SelfAttentionCache
from triptych.runtime.few_rows import FewRows
from triptych.runtime.packed import Product
from triptych.runtime.parts import FastFeedForward, FloatNorm
from triptych.runtime.pieces import untaken
from triptych.runtime.row_loops import NUMBERS
from triptych.runtime.step_loop import PER_BLOCK, PER_CALL, PER_NORM, filled_up, step
from triptych.runtime.steps import Rows, most_rows, rows_of

MOST = 64
"""Rows up to which, with weights in panels, each thread may well norm and round them all."""


class Block(Protocol):
    """x + w_o(attention(w_qkv(norm_1(x)))), then x + feed_forward(norm_2(x))."""

    n_heads: int
    held: torch.dtype
    norm_1: FloatNorm
    norm_2: FloatNorm
    w_qkv: Product
    w_o: Product
    feed_forward: FastFeedForward


class WholeStep:
    """All blocks for one new position a row, as they would one after the other; then the last norm,
    and the product with the vocabulary if it is wanted."""

    def __init__(
        self, blocks: Sequence[Block], norm: FloatNorm, products: list[list[Rows]], head: Rows
    ) -> None:
        """Of each block its four products."""
        self.blocks, self.norm, self.products, self.head = blocks, norm, products, head
        _, o, up, _ = products[0]
        self.d_model, self.d_ff, self.n_heads = o.shape[0], up.shape[0], blocks[0].n_heads
        self.held = blocks[0].held
        self.activation = NUMBERS[blocks[0].feed_forward.activation]
        self.eps = int(np.float32(norm.eps).view(np.int32))
        self.kernel, self.together = o.kernel, o.together
        few = most_rows("fp32" if o.w.dtype == torch.float32 else "bf16")
        self.most = few if isinstance(o, FewRows) else MOST
        # Those in float32 a module may share with its twin; of copies one tells if all are others.
        own = [head, *(product for some in products for product in some)]
        self.movable = own if isinstance(head, FewRows) else own[:1]
        self.tables: dict[int, Table] = {}
        self.known = Known([], torch.empty(0, device="cpu"), 0)

    def _table(self, n_rows: int) -> "Table":
        """As it was made for so many rows, unless weights have moved since that may."""
        weights = [product.w.data_ptr() for product in self.movable]
        table = self.tables.get(n_rows)
        if table is None or table.weights != weights:
            numbers = [[p.numbers(n_rows) for p in products] for products in self.products]
            last = [*_addresses(self.norm), *filled_up(self.head.numbers(n_rows))]
            table = self.tables[n_rows] = _tell(self.blocks, numbers, last, weights)
        return table

    def takes(self, x: Tensor, cache: RaggedCache) -> bool:
        """Whether x [R, T, E] is one new position of rows that have a past, and few of them; and
        the past is of such a model."""
        if x.size(1) != 1 or not 0 < len(x) <= self.most or cache.length == 0:
            return False
        own, known = [layer.self_attention for layer in cache.layers], self.known
        if known.are(own):
            return known.n_rows == len(x)
        pasts = [past for layer in own for past in (layer.k, layer.v)]
        if len(own) != len(self.blocks) or pasts[0] is None:
            return False
        wanted = (len(x), self.n_heads, pasts[0].size(2), self.width)
        return all(
            past is not None and past.dtype == self.held
            and past.shape == wanted and past.is_contiguous()
            for past in pasts
        )  # fmt: skip

    @property
    def width(self) -> int:
        """Of a head."""
        return self.d_model // self.n_heads

    def _pasts(self, cache: RaggedCache, n_rows: int) -> Tensor:
        """Where the keys and values are, with room for the new ones [N, PER_PAST]."""
        own, known = [layer.self_attention for layer in cache.layers], self.known
        if cache.length < known.room and known.are(own):
            for layer in own:
                layer.length += 1
            return known.pasts
        new = torch.empty(n_rows, self.n_heads, 1, self.width, dtype=self.held, device="cpu")
        rooms = [layer.grow(new) for layer in own]
        pasts = _numbers([(k.data_ptr(), v.data_ptr(), k.size(2)) for k, v in rooms])
        self.known = Known([(ref(k), ref(v)) for k, v in rooms], pasts, rooms[0][0].size(2), n_rows)
        return pasts

    def __call__(self, x: Tensor, mask: Tensor | None, cache: RaggedCache) -> Tensor:
        """x [R, 1, E], mask [R, 1, 1, S], added to the scores -> hidden [R, 1, E], normed. The new
        keys and values are written into the cache."""
        return self._run(x, mask, cache, x.new_empty(x.shape), has_head=False)

    def logits(self, x: Tensor, mask: Tensor | None, cache: RaggedCache) -> Tensor:
        """The same -> logits [R, V]."""
        result = torch.empty(len(x), self.head.shape[0], dtype=torch.float32, device="cpu")
        return self._run(x, mask, cache, result, has_head=True)

    def _run(
        self, x: Tensor, mask: Tensor | None, cache: RaggedCache, result: Tensor, *, has_head: bool
    ) -> Tensor:
        n_rows, n_threads, n_blocks = len(x), torch.get_num_threads(), len(self.blocks)
        pasts, table = self._pasts(cache, n_rows), self._table(n_rows)
        n_shared = n_rows * (6 * self.d_model + self.d_ff)
        shared = torch.empty(n_shared, dtype=torch.float32, device="cpu")
        n_floats = n_rows * self.d_model + cache.length + self.width
        own_size = 8 * (PER_CALL + (n_floats + 1) // 2)
        n_own = n_threads * (own_size + table.scratch_size)
        own = torch.empty(n_own, dtype=torch.uint8, device="cpu")
        scratch, taken = own[n_threads * own_size :], untaken(4 * n_blocks + 1)
        shared[: x.numel()].view_as(x).copy_(x)
        step(
            *(table.blocks.data_ptr(), pasts.data_ptr(), _address(mask), shared.data_ptr()),
            *(own.data_ptr(), own_size, scratch.data_ptr(), taken.data_ptr(), self.kernel.at),
            *(self.together, self.activation, self.eps, n_blocks, n_rows, self.n_heads),
            *(cache.length, self.d_model, self.d_ff, self.held == torch.bfloat16),
            *(table.last.data_ptr(), has_head, result.data_ptr()),
        )
        return result


class Known(NamedTuple):
    """Keys and values that were found good, and where they are."""

    held: list[tuple["ref[Tensor]", "ref[Tensor]"]]
    pasts: Tensor
    room: int
    n_rows: int = 0

    def are(self, layers: Sequence[SelfAttentionCache]) -> bool:
        """Whether these layers hold the very same."""
        return len(self.held) == len(layers) > 0 and all(
            layer.k is not None and k() is layer.k and v() is layer.v
            for (k, v), layer in zip(self.held, layers, strict=True)
        )


class Table(NamedTuple):
    """What the loop is told of the blocks."""

    blocks: Tensor
    """Addresses of norms, and the numbers of each product [N, PER_BLOCK]."""
    last: Tensor
    """Those of the last norm and product."""
    scratch_size: int
    """Bytes that a thread's product needs at most."""
    weights: list[int]
    """Where the weights were."""


def _tell(
    blocks: Sequence[Block],
    numbers: list[list[tuple[int, ...]]],
    last: list[int],
    weights: list[int],
) -> Table:
    rows = []
    for block, products in zip(blocks, numbers, strict=True):
        row = [*_addresses(block.norm_1), *_addresses(block.norm_2)]
        for given in products:
            row += filled_up(given)
        rows.append(row)
    found = _numbers(rows)
    assert found.size(1) == PER_BLOCK
    scratch_size = max(given[0] for given in (*numbers[0], last[PER_NORM:]))
    return Table(found, _numbers(last), scratch_size, weights)


def _addresses(norm: FloatNorm) -> tuple[int, int]:
    return norm.weight.data_ptr(), norm.bias.data_ptr()


def _numbers(rows: Sequence[Sequence[int]] | Sequence[int]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64, device="cpu")


def _address(mask: Tensor | None) -> int:
    return 0 if mask is None else mask.data_ptr()


def whole_step(blocks: Sequence[Block], norm: FloatNorm, head: Product) -> WholeStep | None:
    """Of blocks that are all alike, and of a head of their kind, whose products have our loop and
    whole pieces of it, and whose activation is known to it; else None."""
    if blocks[0].feed_forward.activation not in NUMBERS:
        return None
    products = []
    for block in blocks:
        up_down = block.feed_forward.up, block.feed_forward.down
        rows = [rows_of(product) for product in (block.w_qkv, block.w_o, *up_down)]
        whole = [product for product in rows if product is not None and not product.missing]
        if len(whole) < len(rows):
            return None
        products.append(whole)
    kinds = [_kind(block, own) for block, own in zip(blocks, products, strict=True)]
    eps = {each.eps for block in blocks for each in (block.norm_1, block.norm_2, norm)}
    if len(eps) > 1 or any(kind != kinds[0] for kind in kinds):
        return None
    first, last = products[0][0], rows_of(head)
    if last is None or last.missing or (last.kernel, last.w.dtype) != (first.kernel, first.w.dtype):
        return None
    is_padded = isinstance(last, FewRows) and len(last.w) != last.shape[0]
    return None if is_padded else WholeStep(blocks, norm, products, last)


def _kind(block: Block, products: Sequence[Rows]) -> tuple[object, ...]:
    """What the loop takes to be the same in every block, beside the norms' epsilon."""
    shapes = [(product.kernel, product.shape, product.w.dtype) for product in products]
    return block.n_heads, block.held, block.feed_forward.activation, *shapes
