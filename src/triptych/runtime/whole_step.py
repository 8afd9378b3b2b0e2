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
from triptych.runtime.packed import Precision, Product
from triptych.runtime.parts import FastFeedForward, FloatNorm
from triptych.runtime.row_loops import NUMBERS
from triptych.runtime.step_loop import PER_BLOCK, PER_CALL, PER_NORM, PER_PRODUCT, step
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
        self.kernel, self.together = o.kernel, o.together
        self.tables: dict[int, tuple[Tensor, int]] = {}

    def _table(self, n_rows: int) -> tuple[Tensor, int]:
        """What the kernels are told [N, PER_BLOCK], and the scratch that a thread needs."""
        if n_rows not in self.tables:
            numbers = [[p.numbers(n_rows) for p in products] for products in self.products]
            blocks = torch.zeros(len(numbers), PER_BLOCK, dtype=torch.int64)
            for row, block, products in zip(blocks, self.blocks, numbers, strict=True):
                norms, rest = row[: 2 * PER_NORM], row[2 * PER_NORM :].view(4, PER_PRODUCT)
                held = [(n.weight, n.bias) for n in (block.norm_1, block.norm_2)]
                norms.copy_(torch.tensor([t.data_ptr() for pair in held for t in pair]))
                for product, given in zip(rest, products, strict=True):
                    product[3 : 3 + len(given)] = torch.tensor(given)
            self.tables[n_rows] = blocks, max(given[0] for given in numbers[0])
        return self.tables[n_rows]

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
        shared = torch.empty(n_rows * (6 * self.d_model + self.d_ff), dtype=torch.float32)
        blocks, scratch_size = self._table(n_rows)
        own_size = 8 * (PER_CALL + (n_rows * self.d_model + cache.length + 1) // 2)
        own = torch.empty(torch.get_num_threads() * (own_size + scratch_size), dtype=torch.uint8)
        scratch = own[torch.get_num_threads() * own_size :]
        result = shared[: x.numel()].view_as(x).copy_(x)
        step(
            *(blocks.data_ptr(), pasts.data_ptr(), _address(mask), shared.data_ptr()),
            *(own.data_ptr(), own_size, scratch.data_ptr(), self.kernel.at, self.together),
            *(self.activation, self.eps, len(blocks), n_rows, self.n_heads, cache.length),
            *(self.d_model, self.d_ff),
        )
        return result


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
