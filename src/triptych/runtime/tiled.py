"""Rows as AMX's tiles, sixteen rows of 64 bytes that lie together, in one pass over them.

As torch's operations it is three, to round them, to fill them up and to bring them into another
order, and a sixth of a prompt of 512 tokens.

Shapes: R rows, I columns in.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numba import carray
from torch import Tensor

from triptych.runtime.panel_rows import filled, missing, tiles_for
from triptych.runtime.panels import LINE, TILE_ROWS, Kind, round_lines
from triptych.runtime.team import Kernel, address, inner, share

WORDS = LINE // 8


@inner
def place_of(row: int, n_lines: int) -> int:
    """Of a row's first line, in bytes; each further one is a whole tile after it."""
    return LINE * (row // TILE_ROWS * TILE_ROWS * n_lines + row % TILE_ROWS)


@inner
def lay_row(x_at: int, n_lines: int, y_at: int, step: int) -> None:
    """A row's lines, so many bytes from one to the next."""
    x = carray(address(x_at), (n_lines, WORDS), np.int64)
    for line in range(n_lines):
        y = carray(address(y_at + step * line), WORDS, np.int64)
        for i in range(WORDS):
            y[i] = x[line, i]


@Kernel
def lay_lines(data):  # type: ignore[no-untyped-def]
    x_at, n_rows, n_lines, y_at = carray(data, 4)
    first, last = share(n_rows)
    for row in range(first, last):
        at = y_at + place_of(row, n_lines)
        lay_row(x_at + LINE * n_lines * row, n_lines, at, LINE * TILE_ROWS)


@Kernel
def lay_floats(data):  # type: ignore[no-untyped-def]
    x_at, n_rows, n_lines, y_at = carray(data, 4)
    first, last = share(n_rows)
    for row in range(first, last):
        at = y_at + place_of(row, n_lines)
        round_lines(x_at + 2 * LINE * n_lines * row, n_lines, at, LINE * TILE_ROWS)


def in_tiles(kind: Kind, rows: Tensor, dtype: torch.dtype) -> Tensor:
    """rows [R, I], as dtype of one or two bytes, zeros up to whole lines; where so many rows go by
    AMX they lie as its tiles, [R / 16, I / K, 16, K], K of them 64 bytes, with anything in what
    fills the last ones. Rows in float32 become bfloat16."""
    n_missing = missing(rows, dtype)
    rows = F.pad(rows, (0, n_missing)) if n_missing else rows.contiguous()
    if not tiles_for(kind, len(rows)):
        return rows.to(dtype)
    width = LINE // dtype.itemsize
    n_tiles, n_lines = filled(kind, len(rows)) // TILE_ROWS, rows.size(1) // width
    laid = torch.empty(n_tiles, n_lines, TILE_ROWS, width, dtype=dtype, device="cpu")
    lay = lay_lines if rows.dtype == dtype else lay_floats
    lay(rows.data_ptr(), len(rows), n_lines, laid.data_ptr())
    return laid
