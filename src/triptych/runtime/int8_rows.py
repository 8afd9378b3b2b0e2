"""x Wᵀ + b in 8-bit integers with weights in panels: `runtime/int8.py`'s, to the bit, and faster.

Of a few rows it takes the memory's time, since each weight is read once and the memory is asked
ahead; of many the processor's own products of bytes, VNNI's or, sixteen rows at once, AMX's, do
one and a half to several times what the library makes of them (`benchmarks/kernels.py`).

Shapes: R rows, I columns in, O columns out; I and O are filled up to whole tiles.
"""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numba import carray
from torch import Tensor

from triptych.runtime.amx import has_amx
from triptych.runtime.instructions import can_compile
from triptych.runtime.int8 import LEVELS, PIECE, has_int8
from triptych.runtime.int8_loops import exact, quantize, quantize_by_loop
from triptych.runtime.openmp import has_team
from triptych.runtime.panels import (
    AMX,
    DEPTH,
    LINE,
    OUTPUTS,
    TILE_ROWS,
    VNNI,
    amx_sums,
    finish_rows,
    set_tiles,
    vnni_sums,
    write_tiles,
)
from triptych.runtime.team import (
    Arrays,
    Kernel,
    Scalar,
    address,
    floats,
    inner,
    share,
    thread_number,
)

SIDE = 32
"""Outputs that are computed together, two panels, and with AMX as many rows."""
SUMS = 4 * SIDE * SIDE
"""Bytes of the sums of so many rows and outputs."""
SMALL = 65_536
"""Bytes of all rows up to which each thread makes them for itself."""
FEW = 4
"""Rows up to which AMX's tiles would be mostly empty."""
vnni_1, vnni_2, vnni_4, vnni_8 = (vnni_sums(n, 2) for n in (1, 2, 4, 8))
amx_16, amx_32 = amx_sums(1, 2), amx_sums(2, 2)


@inner
def some_by_vnni(w: int, panel: int, x: int, x_row: int, n_left: int, y: int) -> Scalar:
    """Sums [8, 32] of two panels and the next rows -> how many of these it took."""
    n_lines = panel // LINE
    if n_left >= 8:
        vnni_8(w, panel, x, x_row, n_lines, y, 4 * SIDE)
        return 8
    if n_left >= 4:
        vnni_4(w, panel, x, x_row, n_lines, y, 4 * SIDE)
        return 4
    if n_left >= 2:
        vnni_2(w, panel, x, x_row, n_lines, y, 4 * SIDE)
        return 2
    vnni_1(w, panel, x, x_row, n_lines, y, 4 * SIDE)
    return 1


@inner
def some_by_amx(w: int, panel: int, x: int, x_row: int, n_left: int, y: int) -> Scalar:
    """The same, sums [32, 32]; there are rows up to a multiple of sixteen."""
    n_lines = panel // LINE
    if n_left > TILE_ROWS:
        amx_32(w, panel, x, x_row, n_lines, y, 4 * SIDE)
        return min(n_left, SIDE)
    amx_16(w, panel, x, x_row, n_lines, y, 4 * SIDE)
    return n_left


@exact
def finish(
    sums: Arrays, shift: Arrays, scale: Arrays, bias: Arrays, largest: Scalar, y: Arrays
) -> None:
    """`finish_rows` of one row, for the last outputs, which may be fewer."""
    for j in range(len(y)):
        y[j] = np.float32(sums[j] - shift[j]) * scale[j] * largest + bias[j]


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
    (x_at, w_at, shift_at, scale_at, bias_at, largest_at, y_at, scratch_at, tiles_at,
     own_size, n_x, n_rows, n_out, n_in) = carray(data, 14)  # fmt: skip
    own_at, panel = scratch_at + thread_number() * own_size, n_in * OUTPUTS
    if n_x:  # few: by each thread for itself, which is sooner done than waited for
        given_at, largest_at = x_at, own_at + SUMS + LINE
        x_at = largest_at + 4 * n_rows
        quantize_all(given_at, n_rows, n_x, x_at, n_in, largest_at)
    shift, scale = carray(address(shift_at), n_out, np.int32), floats(scale_at, 0, (n_out,))
    bias, largest = floats(bias_at, 0, (n_out,)), floats(largest_at, 0, (n_rows,))
    sums = carray(address(own_at), (SIDE, SIDE), np.int32)
    if tiles_at:
        write_tiles(own_at + SUMS)  # as the library left them, for the library
        set_tiles(tiles_at)
    first, last = share((n_out + SIDE - 1) // SIDE)
    for block in range(first, last):
        start, end, row = SIDE * block, min(SIDE * block + SIDE, n_out), 0
        while row < n_rows:
            w, x, left = w_at + start * n_in, x_at + row * n_in, n_rows - row
            if tiles_at:
                n = some_by_amx(w, panel, x, n_in, left, own_at)
            else:
                n = some_by_vnni(w, panel, x, n_in, left, own_at)
            y = y_at + 4 * (row * n_out + start)
            if end - start == SIDE:
                finish_rows(own_at, n, shift_at + 4 * start, scale_at + 4 * start,
                            bias_at + 4 * start, largest_at + 4 * row, y, 4 * n_out)  # fmt: skip
            else:
                for i in range(n):
                    finish(sums[i], shift[start:], scale[start:], bias[start:], largest[row + i],
                           floats(y, i * n_out, (end - start,)))  # fmt: skip
            row += n
    if tiles_at:
        set_tiles(own_at + SUMS)


def has_panels() -> bool:
    """Whether these products can be had: threads, the processor's instruction, and its compiler."""
    return has_team() and has_int8() and can_compile(VNNI)


@cache
def tiles() -> Tensor | None:
    """The sizes of AMX's tiles as it wants them, all of 16 rows of 64 bytes; none without AMX."""
    if not can_compile(AMX) or not has_amx():
        return None
    if not torch.cpu._init_amx():  # which asks the system for them
        return None
    sizes = torch.zeros(64, dtype=torch.uint8)
    sizes[0] = 1  # which of the tables of sizes that a processor may have
    sizes[16:32:2], sizes[48:56] = LINE, TILE_ROWS
    return sizes


def in_panels(w: Tensor) -> Tensor:
    """w [O, I] int8 -> [O / 16, I / 4, 16, 4 bytes as one], zeros up to whole tiles."""
    n_out, n_in = w.shape
    w = F.pad(w, (0, -n_in % LINE, 0, -n_out % SIDE))
    panels = w.view(len(w) // OUTPUTS, OUTPUTS, -1, DEPTH).view(torch.int32)  # four bytes as one
    return panels.transpose(1, 2).contiguous()


class Int8Rows:
    """`runtime/int8.py:Int8Linear` for float32 x [..., I] of any number of rows, to the bit, where
    there is VNNI: w [O, I], S [O], bias [O]."""

    def __init__(self, w: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        self.n_out = len(w)
        self.missing = -w.size(1) % LINE
        self.w = in_panels(w)
        self.scale, self.shift = scale / LEVELS, torch.empty(len(w), dtype=torch.int32)
        for some, sums in zip(torch.split(w, PIECE), torch.split(self.shift, PIECE), strict=True):
            torch.sum(some, 1, dtype=torch.int32, out=sums)  # by way of a copy of it in 32 bits
        self.shift *= 128
        self.bias = torch.zeros(len(w), dtype=torch.float32)
        if bias is not None:
            self.bias.copy_(bias.detach())

    def __call__(self, x: Tensor) -> Tensor:
        shape, x = x.shape[:-1], x.reshape(-1, x.size(-1)).float().contiguous()
        n_rows, n_in = len(x), x.size(1) + self.missing
        by_amx = None if n_rows <= FEW else tiles()
        n_filled = n_rows if by_amx is None else -(-n_rows // TILE_ROWS) * TILE_ROWS
        own_size, n_x, largest = SUMS + LINE, 0, x
        if n_filled * n_in <= SMALL:
            own_size, n_x = own_size + 4 * n_rows + n_filled * n_in, x.size(1)
        else:
            x, largest = quantize_by_loop(x)
            x = F.pad(x, (0, self.missing, 0, n_filled - n_rows))
        y = torch.empty(n_rows, self.n_out, dtype=torch.float32)
        scratch = torch.empty(torch.get_num_threads() * own_size, dtype=torch.uint8)
        given = (x, self.w, self.shift, self.scale, self.bias, largest, y, scratch)
        at = 0 if by_amx is None else by_amx.data_ptr()
        byte_rows(*(t.data_ptr() for t in given), at, own_size, n_x, n_rows, self.n_out, n_in)
        return y.view(*shape, self.n_out)
