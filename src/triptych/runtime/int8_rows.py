"""x Wᵀ + b in 8-bit integers with weights in panels: `runtime/int8.py`'s, to the bit, and faster.

Of a few rows it takes the memory's time; of many the processor's own products of bytes, VNNI's or
AMX's, do one and a half to several times what the library makes of them
(`benchmarks/kernels.py`).

Shapes: R rows, I columns in, O columns out; I and O are filled up to whole tiles.
"""

import numpy as np
import torch
from numba import carray
from torch import Tensor

from triptych.runtime.instructions import can_compile
from triptych.runtime.int8 import LEVELS, PIECE, has_int8
from triptych.runtime.int8_loops import exact, quantize, quantize_by_loop
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
from triptych.runtime.panels import BYTES, LINE, finish_rows
from triptych.runtime.pieces import ALL, untaken
from triptych.runtime.team import Arrays, Kernel, address, floats, inner, scratch_for, thread_number
from triptych.runtime.tiled import in_tiles

SMALL = 65_536
"""Bytes of all rows up to which each thread makes them for itself."""


@exact
def finish_bytes(
    sums_at: int,
    n: int,
    weights: Arrays,
    start: int,
    n_out: int,
    largest_at: int,
    y_at: int,
    y_row: int,
) -> None:
    """y = (sums − shift) · scale · a + b for n rows and the outputs from `start` on."""
    shift_at, scale_at, bias_at = weights[1], weights[2], weights[3]
    if n_out == SIDE:
        finish_rows(sums_at, n, shift_at + 4 * start, scale_at + 4 * start, bias_at + 4 * start,
                    largest_at, y_at, 4 * y_row)  # fmt: skip
        return
    sums = carray(address(sums_at), (n, SIDE), np.int32)
    shift = carray(address(shift_at + 4 * start), n_out, np.int32)
    scale, bias = floats(scale_at, start, (n_out,)), floats(bias_at, start, (n_out,))
    largest = floats(largest_at, 0, (n,))
    for i in range(n):
        y = floats(y_at, i * y_row, (n_out,))
        for j in range(n_out):
            y[j] = np.float32(sums[i, j] - shift[j]) * scale[j] * largest[i] + bias[j]


multiply_bytes = multiplier(BYTES, finish_bytes)
"""Rows in bytes and their largest numbers, weights (w, shift, scale, bias, tiles)."""


@inner
def quantize_all(
    x_at: int, n_rows: int, n_x: int, rows_at: int, n_in: int, largest_at: int
) -> None:
    """x [R, n_x], floats -> bytes [R, n_in] with anything in what is filled up, and a [R]."""
    largest = floats(largest_at, 0, (n_rows,))
    for row in range(n_rows):
        x, bits = floats(x_at, row * n_x, (n_x,)), address(x_at + 4 * row * n_x)
        rows = carray(address(rows_at + row * n_in), n_x, np.uint8)
        largest[row] = quantize(x, carray(bits, n_x, np.int32), rows)


@Kernel
def byte_rows(data):  # type: ignore[no-untyped-def]
    (x_at, y_at, scratch_at, taken_at, own_size, _w, _shift, _scale, _bias, tiles_at,
     largest_at, n_x, n_rows, n_out, n_in) = carray(data, 15)  # fmt: skip
    weights, own_at = carray(data, 15)[5:10], scratch_at + thread_number() * own_size
    if n_x:  # few: by each thread for itself, which is sooner done than waited for
        given_at, largest_at = x_at, own_at + SUMS + LINE
        x_at = largest_at + 4 * n_rows
        quantize_all(given_at, n_rows, n_x, x_at, n_in, largest_at)
    begin_tiles(own_at + SUMS, tiles_at)
    sizes = (n_rows, n_out, n_in, use_of_tiles(tiles_at, n_x == 0))
    multiply_bytes(x_at, largest_at, weights, y_at, own_at, taken_at, sizes, ALL)
    end_tiles(own_at + SUMS, tiles_at)


def has_bytes() -> bool:
    """Whether these products can be had: threads, the processor's instruction, and its compiler."""
    return has_team() and has_int8() and can_compile(BYTES.feature)


class Int8Rows:
    """`runtime/int8.py:Int8Linear` for float32 x [..., I] of any number of rows, to the bit, where
    there is VNNI: w [O, I], S [O], bias [O]."""

    kernel, together = byte_rows, SIDE

    def __init__(self, w: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        self.n_out, self.n_in = self.shape = w.shape
        self.missing, self.w = missing(w, torch.int8), in_panels(w, torch.int8)
        self.scale = scale / LEVELS
        self.shift = torch.empty(len(w), dtype=torch.int32, device="cpu")
        for some, sums in zip(torch.split(w, PIECE), torch.split(self.shift, PIECE), strict=True):
            torch.sum(some, 1, dtype=torch.int32, out=sums)  # by way of a copy of it in 32 bits
        self.shift *= 128
        self.bias = torch.zeros(len(w), dtype=torch.float32, device="cpu")
        if bias is not None:
            self.bias.copy_(bias.detach())

    def numbers(self, n_rows: int, largest: Tensor | None = None) -> tuple[int, ...]:
        """What the kernel is told after where x [R, I], y [R, O], its scratch and who takes what
        are: first, how many bytes of scratch are a thread's. With `largest` x is in bytes already.
        """
        given = (self.w, self.shift, self.scale, self.bias)
        weights, tiles = (tensor.data_ptr() for tensor in given), tiles_for(BYTES, n_rows)
        n_in = self.n_in + self.missing
        rows = n_rows, self.n_out, n_in
        if largest is not None:
            return SUMS + LINE, *weights, tiles, largest.data_ptr(), 0, *rows
        own_size = SUMS + LINE + 4 * n_rows + filled(BYTES, n_rows) * n_in
        return own_size, *weights, tiles, 0, self.n_in, *rows

    def __call__(self, x: Tensor) -> Tensor:
        shape, x = x.shape[:-1], x.reshape(-1, x.size(-1)).float().contiguous()
        n_rows, n_filled, largest = len(x), filled(BYTES, len(x)), None
        if n_filled * (self.n_in + self.missing) > SMALL:
            x, largest = quantize_by_loop(x)
            x = in_tiles(BYTES, x, x.dtype)
        y = torch.empty(n_rows, self.n_out, dtype=torch.float32, device="cpu")
        numbers = self.numbers(n_rows, largest)
        given = (x, y, scratch_for(numbers), untaken())
        self.kernel(*(tensor.data_ptr() for tensor in given), *numbers)
        return y.view(*shape, self.n_out)
