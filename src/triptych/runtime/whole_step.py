"""A decoding step through all blocks at once, by `runtime/step_loop.py`.

Shapes: R rows, S key positions with the new one, E model width, F feed-forward width.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from triptych.core.cache import RaggedCache
from triptych.runtime.few_rows import FewRows
from triptych.runtime.half_rows import HalfRows
from triptych.runtime.packed import Precision, Product
from triptych.runtime.panels import LINE
from triptych.runtime.parts import FastFeedForward, FloatNorm
from triptych.runtime.row_loops import NUMBERS
from triptych.runtime.step_loop import BYTES, FLOATS, HALF_ROWS, HALVES, PER_PRODUCT, step
from triptych.runtime.steps import Rows, most_rows, rows_of

MOST = 64
"""Rows up to which, with weights in panels, each thread may well norm and round them all."""


class Block(Protocol):
    """x + w_o(attention(w_qkv(norm_1(x)))), then x + feed_forward(norm_2(x))."""

    n_heads: int
    norm_1: FloatNorm
    norm_2: FloatNorm
    w_qkv: Product
    w_o: Product
    feed_forward: FastFeedForward


class WholeStep:
    """All blocks for one new position a row, as they would one after the other."""

    def __init__(self, blocks: Sequence[Block], products: list[list[Rows]], most: int) -> None:
        self.blocks, self.products, self.most = blocks, products, most
        _, o, up, _ = products[0]
        self.d_model, self.d_ff, self.n_heads = o.shape[0], up.shape[0], blocks[0].n_heads
        self.activation = NUMBERS[blocks[0].feed_forward.activation]
        self.eps = int(np.float32(blocks[0].norm_1.eps).view(np.int32))
        self.kind = _kind(o)
        self.tables = {tiles: self._table(tiles) for tiles in {0, o.tiles_for(most)}}

    def _table(self, tiles: int) -> Tensor:
        """[N, PER_BLOCK]: addresses of each block's weights."""
        rows = []
        for block, products in zip(self.blocks, self.products, strict=True):
            row = [t.data_ptr() for n in (block.norm_1, block.norm_2) for t in (n.weight, n.bias)]
            for product in products:
                missing = PER_PRODUCT - 1 - len(product.addresses)
                row += [*product.addresses, *[0] * missing, tiles]
            rows.append(row)
        return torch.tensor(rows)

    def takes(self, x: Tensor, cache: RaggedCache) -> bool:
        """Whether x [R, T, E] is one new position of rows that have a past, and few of them."""
        return x.size(1) == 1 and cache.length > 0 and len(x) <= self.most

    def __call__(self, x: Tensor, mask: Tensor | None, cache: RaggedCache) -> Tensor:
        """x [R, 1, E], mask [R, 1, 1, S], added to the scores -> [R, 1, E]. The new keys and values
        are written into the cache."""
        n_rows = len(x)
        new = x.view(n_rows, self.n_heads, 1, -1)
        rooms = [layer.self_attention.grow(new) for layer in cache.layers]
        pasts = torch.tensor([(k.data_ptr(), v.data_ptr(), k.size(2)) for k, v in rooms])
        tiles = self.products[0][0].tiles_for(n_rows)
        shared = torch.empty(n_rows * (7 * self.d_model + self.d_ff), dtype=torch.float32)
        own_size = 4 * (n_rows * self.d_model + cache.length) + LINE + self._scratch_bytes(n_rows)
        own = torch.empty(torch.get_num_threads() * own_size, dtype=torch.uint8)
        result = shared[: x.numel()].view_as(x).copy_(x)
        step(
            *(self.tables[tiles].data_ptr(), pasts.data_ptr(), _address(mask)),
            *(shared.data_ptr(), own.data_ptr(), own_size),
            *(self.kind, self.activation, self.eps, tiles, len(rooms)),
            *(n_rows, self.n_heads, cache.length, self.d_model, self.d_ff),
        )
        return result

    def _scratch_bytes(self, n_rows: int) -> int:
        return max(product.scratch_bytes(n_rows) for product in self.products[0])


def _kind(product: Rows) -> int:
    if isinstance(product, FewRows):
        return HALF_ROWS if product.is_half else FLOATS
    return HALVES if isinstance(product, HalfRows) else BYTES


def _address(mask: Tensor | None) -> int:
    return 0 if mask is None else mask.data_ptr()


def whole_step(blocks: Sequence[Block], precision: Precision) -> WholeStep | None:
    """Of blocks whose products all have our loop, and whose widths are whole pieces of it."""
    found = []
    for block in blocks:
        up_down = block.feed_forward.up, block.feed_forward.down
        rows = [rows_of(product) for product in (block.w_qkv, block.w_o, *up_down)]
        whole = [product for product in rows if product is not None and not product.missing]
        if len(whole) < len(rows):
            return None
        found.append(whole)
    most = most_rows(precision) if isinstance(found[0][0], FewRows) else MOST
    return WholeStep(blocks, found, most)
