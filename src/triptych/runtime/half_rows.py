"""x Wᵀ + b in bfloat16 with weights in panels, as `runtime/int8_rows.py` in bytes.

Pairs of bfloat16 are multiplied and added in float32 by one instruction; of a few rows the product
takes the memory's time, of sixteen and more AMX's tiles do it (`benchmarks/kernels.py`).

Shapes: R rows, I columns in, O columns out; I and O are filled up to whole tiles.
"""

import numpy as np
import torch
from numba import carray
from torch import Tensor

from triptych.runtime.halves import as_half
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
    use_of_tiles,
)
from triptych.runtime.panels import HALVES, LINE, add_bias, round_lines
from triptych.runtime.pieces import ALL, untaken
from triptych.runtime.team import (
    Arrays,
    Kernel,
    address,
    floats,
    inner,
    scratch_for,
    thread_number,
)
from triptych.runtime.tiled import in_tiles

HALVES_OF_LINE = LINE // 2
SMALL = 32_768
"""Numbers of all rows up to which each thread rounds them for itself."""


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
    if n_out == SIDE:
        add_bias(sums_at, n, weights[1] + 4 * start, y_at, 4 * y_row)
        return
    sums, bias = floats(sums_at, 0, (n, SIDE)), floats(weights[1], start, (n_out,))
    for i in range(n):
        y = floats(y_at, i * y_row, (n_out,))
        for j in range(n_out):
            y[j] = sums[i, j] + bias[j]


multiply_halves = multiplier(HALVES, finish_halves)
"""Rows in bfloat16, weights (w, bias, tiles)."""


@inner
def halve_all(x_at: int, n_rows: int, n_x: int, rows_at: int, n_in: int) -> None:
    """x [R, n_x], floats -> bfloat16 [R, n_in], zeros in what is filled up."""
    for row in range(n_rows):
        x = floats(x_at, row * n_x, (n_x,))
        halves = carray(address(rows_at + 2 * row * n_in), n_in, np.uint16)
        n_lines = n_x // HALVES_OF_LINE
        if n_lines:
            round_lines(x_at + 4 * row * n_x, n_lines, rows_at + 2 * row * n_in, LINE)
        for i in range(n_lines * HALVES_OF_LINE, n_x):
            halves[i] = as_half(x[i])
        halves[n_x:] = 0


@Kernel
def half_rows(data):  # type: ignore[no-untyped-def]
    (x_at, y_at, scratch_at, taken_at, own_size, _w, _bias, tiles_at,
     n_x, n_rows, n_out, n_in, blocks_at, n_some) = carray(data, 14)  # fmt: skip
    weights, own_at = carray(data, 14)[5:8], scratch_at + thread_number() * own_size
    if n_x:  # few: by each thread for itself, which is sooner done than waited for
        given_at, x_at = x_at, own_at + SUMS + LINE
        halve_all(given_at, n_rows, n_x, x_at, n_in)
    begin_tiles(own_at + SUMS, tiles_at)
    sizes = (n_rows, n_out, 2 * n_in, use_of_tiles(tiles_at, n_x == 0))
    multiply_halves(x_at, 0, weights, y_at, own_at, taken_at, sizes, (blocks_at, n_some))
    end_tiles(own_at + SUMS, tiles_at)


def has_halves() -> bool:
    """Whether these products can be had: threads, and the processor's instruction."""
    return has_team() and can_compile(HALVES.feature)


class HalfRows:
    """x [..., I], rounded to bfloat16 -> x Wᵀ + b [..., O] in float32, of any number of rows:
    weight [O, I], bias [O]."""

    kernel, together = half_rows, SIDE

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.n_out, self.n_in = self.shape = weight.shape
        self.missing = missing(weight, torch.bfloat16)
        self.w = in_panels(weight.detach(), torch.bfloat16)
        self.bias = torch.zeros(self.n_out, dtype=torch.float32, device="cpu")
        if bias is not None:
            self.bias.copy_(bias.detach())

    def numbers(self, n_rows: int, is_rounded: bool = False) -> tuple[int, ...]:
        """What the kernel is told after where x [R, I], y [R, O], its scratch and who takes what
        are: first, how many bytes of scratch are a thread's, and last, that it is all blocks."""
        at, tiles = (self.w.data_ptr(), self.bias.data_ptr()), tiles_for(HALVES, n_rows)
        n_in = self.n_in + self.missing
        own_size = SUMS + LINE + (0 if is_rounded else 2 * filled(HALVES, n_rows) * n_in)
        rows = 0 if is_rounded else self.n_in, n_rows, self.n_out, n_in
        return own_size, *at, tiles, *rows, *ALL

    def __call__(self, x: Tensor) -> Tensor:
        shape, x = x.shape[:-1], x.reshape(-1, x.size(-1))
        n_rows, n_filled = len(x), filled(HALVES, len(x))
        is_rounded = n_filled * (self.n_in + self.missing) > SMALL
        if is_rounded:
            x = in_tiles(HALVES, x if x.dtype == torch.bfloat16 else x.float(), torch.bfloat16)
        else:
            x = x.float().contiguous()
        y = torch.empty(n_rows, self.n_out, dtype=torch.float32, device="cpu")
        numbers = self.numbers(n_rows, is_rounded)
        given = (x, y, scratch_for(numbers), untaken())
        self.kernel(*(tensor.data_ptr() for tensor in given), *numbers)
        return y.view(*shape, self.n_out)
