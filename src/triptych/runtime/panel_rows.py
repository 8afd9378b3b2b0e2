"""Products of any number of rows with weights in panels: which instruction takes which rows.

A few rows go by lines, and all where the processor has no AMX; else sixteen or thirty-two at
once by tiles. The weights are read once for a few rows, and the memory is asked ahead.

Shapes: R rows of so many bytes, O outputs; both are filled up to whole tiles.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.runtime.amx import has_amx
from triptych.runtime.instructions import can_compile
from triptych.runtime.panels import (
    DEPTH,
    LINE,
    OUTPUTS,
    TILE_ROWS,
    Kind,
    line_sums,
    set_tiles,
    tile_sums,
    write_tiles,
)
from triptych.runtime.pieces import NONE_LEFT, Some, block_of, number_of_blocks, take
from triptych.runtime.team import Arrays, Scalar, inner

SIDE = 32
"""Outputs that are computed together, two panels, and with AMX as many rows."""
NO_TILES, IN_ROWS, IN_TILES = range(3)
"""How AMX's tiles are used: not, of rows one behind the other, of rows that lie in tiles."""
Sizes = tuple[int, int, int, int]
PIECE = 4096
"""Outputs that are laid out together."""
SUMS = 4 * SIDE * SIDE
"""Bytes of the sums of so many rows and outputs."""


def sums_of(kind: Kind) -> Any:
    """A function (w, row_bytes, x, n_left, y, by_tiles, is_first) -> how many of the rows left it
    took: their sums with two panels, y [32, 32]. By tiles there are rows up to a multiple of
    sixteen, and the first ones ask for the next panels; `IN_TILES` is how they lie then."""
    one, two, four, eight = (line_sums(kind, n, 2) for n in (1, 2, 4, 8))
    block, two_blocks = tile_sums(kind, 1, 2), tile_sums(kind, 2, 2)
    tile, two_tiles = tile_sums(kind, 1, 2, in_tiles=True), tile_sums(kind, 2, 2, in_tiles=True)
    later_tiles = tile_sums(kind, 2, 2, asks=False, in_tiles=True)
    y_row = 4 * SIDE  # bytes

    def some(
        w: int, row_bytes: int, x: int, n_left: int, y: int, by_tiles: int, is_first: bool
    ) -> Scalar:
        panel, n_lines = row_bytes * OUTPUTS, row_bytes // DEPTH
        if by_tiles == IN_TILES:
            if n_left <= TILE_ROWS:
                tile(w, panel, x, row_bytes, n_lines, y, y_row)
            elif is_first:
                two_tiles(w, panel, x, row_bytes, n_lines, y, y_row)
            else:
                later_tiles(w, panel, x, row_bytes, n_lines, y, y_row)
            return min(n_left, SIDE)
        if by_tiles == IN_ROWS:
            if n_left <= TILE_ROWS:
                block(w, panel, x, row_bytes, n_lines, y, y_row)
            else:
                two_blocks(w, panel, x, row_bytes, n_lines, y, y_row)
            return min(n_left, SIDE)
        if n_left >= 8:
            eight(w, panel, x, row_bytes, n_lines, y, y_row)
            return 8
        if n_left >= 4:
            four(w, panel, x, row_bytes, n_lines, y, y_row)
            return 4
        if n_left >= 2:
            two(w, panel, x, row_bytes, n_lines, y, y_row)
            return 2
        one(w, panel, x, row_bytes, n_lines, y, y_row)
        return 1

    return inner(some, sums=False)


def block_multiplier(kind: Kind, finish: Callable[..., None]) -> Any:
    """As `multiplier`, of one block of outputs."""
    sums = sums_of(kind)

    def multiply_block(
        block: int,
        rows_at: int,
        factors_at: int,
        weights: Arrays,
        y_at: int,
        own_at: int,
        sizes: Sizes,
    ) -> None:
        n_rows, n_out, row_bytes, by_tiles = sizes
        start, row = SIDE * block, 0
        w, n_here = weights[0] + start * row_bytes, min(SIDE, n_out - start)
        while row < n_rows:
            x = rows_at + row * row_bytes
            n = sums(w, row_bytes, x, n_rows - row, own_at, by_tiles, row == 0)
            y = y_at + 4 * (row * n_out + start)
            finish(own_at, n, weights, start, n_here, factors_at + 4 * row, y, n_out)
            row += n

    return inner(multiply_block, sums=False)


def multiplier(kind: Kind, finish: Callable[..., None]) -> Any:
    """A function for kernels, which multiplies rows in whatever the kind wants, at `rows_at`, with
    those outputs that this thread takes.

    Of `weights` the first is w's address; others, and `factors_at`, a number a row, are for
    `finish`, which gets the sums of n rows and two panels at `own_at`. sizes are R, O, the bytes of
    a row and how tiles are used; `some` are the blocks of outputs, if not all.
    """
    with_block = block_multiplier(kind, finish)

    def multiply(
        rows_at: int,
        factors_at: int,
        weights: Arrays,
        y_at: int,
        own_at: int,
        taken_at: int,
        sizes: Sizes,
        some: Some,
    ) -> None:
        n_blocks = number_of_blocks(sizes[1], SIDE, some)
        first, last, turn = take(taken_at, 0, n_blocks)
        while turn != NONE_LEFT:
            for n in range(first, last):
                block = block_of(n, some)
                with_block(block, rows_at, factors_at, weights, y_at, own_at, sizes)
            first, last, turn = take(taken_at, turn, n_blocks)

    return inner(multiply, sums=False)


@inner
def use_of_tiles(tiles_at: int, is_prepared: bool) -> int:
    """Who prepares all rows before puts them into tiles, if there are any."""
    if tiles_at == 0:
        return NO_TILES
    return IN_TILES if is_prepared else IN_ROWS


@inner
def begin_tiles(theirs_at: int, tiles_at: int) -> None:
    """Their sizes set, and how the library left them written down, for the library."""
    if tiles_at:
        write_tiles(theirs_at)
        set_tiles(tiles_at)


@inner
def end_tiles(theirs_at: int, tiles_at: int) -> None:
    if tiles_at:
        set_tiles(theirs_at)


@cache
def tiles(kind: Kind) -> Tensor | None:
    """The sizes of AMX's tiles as it wants them, all of 16 rows of 64 bytes; none without AMX."""
    if not can_compile(kind.tile_feature) or not has_amx():
        return None
    if not torch.cpu._init_amx():  # which asks the system for them
        return None
    sizes = torch.zeros(64, dtype=torch.uint8)
    sizes[0] = 1  # which of the tables of sizes that a processor may have
    sizes[16:32:2], sizes[48:56] = LINE, TILE_ROWS
    return sizes


def tiles_for(kind: Kind, n_rows: int) -> int:
    """The address of the tiles' sizes where so many rows go by AMX, else 0."""
    sizes = None if n_rows <= kind.few else tiles(kind)
    return 0 if sizes is None else sizes.data_ptr()


def filled(kind: Kind, n_rows: int) -> int:
    """Rows with those that fill AMX's tiles."""
    return -(-n_rows // TILE_ROWS) * TILE_ROWS if tiles_for(kind, n_rows) else n_rows


def in_panels(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """weight [O, I], as dtype of one or two bytes -> [O / 16, I / D, 16], of D numbers together as
    four bytes; zeros up to whole tiles."""
    n_out, n_in = len(weight), weight.size(1) + missing(weight, dtype)
    n_together = DEPTH // dtype.itemsize
    shape = -(-n_out // SIDE) * SIDE // OUTPUTS, n_in // n_together, OUTPUTS
    panels = torch.empty(shape, dtype=torch.int32, device="cpu")
    for part, held in zip(
        torch.split(weight, PIECE), torch.split(panels, PIECE // OUTPUTS), strict=True
    ):
        w = part.to(dtype).contiguous()  # in pieces, so that there is no second whole one
        if w.size(1) < n_in or len(w) % SIDE:  # else it would be copied all the same
            w = F.pad(w, (0, n_in - w.size(1), 0, -len(w) % SIDE))
        together = w.view(len(held), OUTPUTS, -1, n_together).view(torch.int32)
        held.copy_(together.squeeze(3).transpose(1, 2))
    return panels


def missing(rows: Tensor, dtype: torch.dtype) -> int:
    """Of the columns of rows [N, I], as that type, those up to whole tiles."""
    return -rows.size(1) % (LINE // dtype.itemsize)
