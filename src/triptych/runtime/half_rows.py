"""x Wᵀ + b in bfloat16 with weights in panels, as `runtime/int8_rows.py` in bytes.

Pairs of bfloat16 are multiplied and added in float32 by one instruction; of a few rows the product
takes the memory's time, of sixteen and more AMX's tiles do it (`benchmarks/kernels.py`).

Shapes: R rows, I columns in, O columns out; I and O are filled up to whole tiles.
"""

import torch
import torch.nn.functional as F
from numba import carray
from torch import Tensor

from triptych.runtime.instructions import can_compile
from triptych.runtime.int8_loops import exact
from triptych.runtime.openmp import has_team
from triptych.runtime.panel_rows import (
    SIDE,
    SUMS,
    begin_tiles,
    end_tiles,
    filled,
    in_panels,
    missing,
    multiplier,
    tiles_for,
)
from triptych.runtime.panels import HALVES, LINE
from triptych.runtime.team import Arrays, Kernel, floats, thread_number


@exact
def finish_halves(
    sums_at: int,
    n: int,
    weights: Arrays,
    start: int,
    n_out: int,
    _factors_at: int,
    y_at: int,
    y_row: int,
) -> None:
    """y = sums + b for n rows and the outputs from `start` on."""
    sums, bias = floats(sums_at, 0, (n, SIDE)), floats(weights[1], start, (n_out,))
    for i in range(n):
        y = floats(y_at, i * y_row, (n_out,))
        for j in range(n_out):
            y[j] = sums[i, j] + bias[j]


multiply_halves = multiplier(HALVES, finish_halves)
"""Rows in bfloat16, weights (w, bias, tiles)."""


@Kernel
def half_rows(data):  # type: ignore[no-untyped-def]
    (x_at, y_at, scratch_at, own_size, n_rows, n_out, row_bytes,
     _w, _bias, tiles_at) = carray(data, 10)  # fmt: skip
    weights, own_at = carray(data, 10)[7:], scratch_at + thread_number() * own_size
    begin_tiles(own_at + SUMS, tiles_at)
    multiply_halves(x_at, 0, weights, y_at, own_at, n_rows, n_out, row_bytes)
    end_tiles(own_at + SUMS, tiles_at)


def has_halves() -> bool:
    """Whether these products can be had: threads, and the processor's instruction."""
    return has_team() and can_compile(HALVES.feature)


class HalfRows:
    """x [..., I], rounded to bfloat16 -> x Wᵀ + b [..., O] in float32, of any number of rows:
    weight [O, I], bias [O]."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.n_out, self.n_in = self.shape = weight.shape
        w = weight.detach().bfloat16()
        self.missing, self.w = missing(w), in_panels(w)
        self.bias = torch.zeros(len(w), dtype=torch.float32)
        if bias is not None:
            self.bias.copy_(bias.detach())
        self.addresses = self.w.data_ptr(), self.bias.data_ptr()

    def tiles_for(self, n_rows: int) -> int:
        """The address of the tiles' sizes where so many rows go by AMX, else 0."""
        return tiles_for(HALVES, n_rows)

    def scratch_bytes(self, n_rows: int) -> int:
        """That each thread needs where it rounds the rows for itself."""
        return SUMS + LINE + 2 * filled(HALVES, n_rows) * (self.n_in + self.missing)

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.size(-1)).bfloat16()
        n_rows = len(rows)
        n_more = filled(HALVES, n_rows) - n_rows
        if n_more or self.missing:
            rows = F.pad(rows, (0, self.missing, 0, n_more))
        rows = rows.contiguous()
        y = torch.empty(n_rows, self.n_out, dtype=torch.float32)
        own_size = SUMS + LINE
        scratch = torch.empty(torch.get_num_threads() * own_size, dtype=torch.uint8)
        at = (tensor.data_ptr() for tensor in (rows, y, scratch))
        sizes = (own_size, n_rows, self.n_out, 2 * rows.size(1))
        half_rows(*at, *sizes, *self.addresses, self.tiles_for(n_rows))
        return y.view(*x.shape[:-1], self.n_out)
