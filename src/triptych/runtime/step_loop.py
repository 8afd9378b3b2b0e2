"""All blocks of a decoder for one new position a row, as one compiled loop.

Called one by one, the dozen operations of a block cost as much time again as reading its weights
in int8: each is a call from Python, and the start and end of a parallel loop. Here the threads
run through all blocks together, and wait for one another five times a block.

Shapes: R rows, H heads, S key positions with the new one, D head width, E = H · D, F feed-forward.
"""

from typing import Any

import numpy as np
from numba import carray

from triptych.runtime.few_rows import multiply_floats
from triptych.runtime.half_rows import multiply_halves
from triptych.runtime.halves import as_half
from triptych.runtime.int8_rows import multiply_bytes, quantize_all
from triptych.runtime.one_query import attend
from triptych.runtime.panel_rows import SUMS, begin_tiles, end_tiles
from triptych.runtime.panels import LINE
from triptych.runtime.row_loops import activate_rows, add_rows, norm_rows
from triptych.runtime.team import (
    Arrays,
    Kernel,
    address,
    floats,
    inner,
    share,
    thread_number,
    wait_for_all,
)

FLOATS, HALF_ROWS, HALVES, BYTES = range(4)
"""What the weights are: of `FewRows` in float32 and in bfloat16, `HalfRows`, and `Int8Rows`."""
PER_PRODUCT, PER_NORM = 5, 2
"""Addresses of a product's weights, the tiles' sizes last, and of a norm's."""
PER_BLOCK = 4 * PER_PRODUCT + 2 * PER_NORM
"""Query-key-value, output, up and down; before attention and before feed-forward."""
PER_PAST = 3
"""Where a block's keys and values are, and the positions that have room there."""


@inner
def halve_all(x_at: int, n: int, halves_at: int) -> None:
    """n floats, rounded to bfloat16."""
    x, halves = floats(x_at, 0, (n,)), carray(address(halves_at), n, np.uint16)
    for i in range(n):
        halves[i] = as_half(x[i])


@inner
def multiply(
    kind: int,
    weights: Arrays,
    x_at: int,
    y_at: int,
    own_at: int,
    n_rows: int,
    n_out: int,
    n_in: int,
) -> Any:
    """x [R, I] -> y [R, O], those outputs that are this thread's: from where to where.

    Rows of bytes and of bfloat16 each thread makes for itself: sooner done than waited for.
    """
    if kind == BYTES:
        largest_at = own_at + SUMS
        rows_at = largest_at + 4 * n_rows
        quantize_all(x_at, n_rows, n_in, rows_at, n_in, largest_at)
        return multiply_bytes(rows_at, largest_at, weights, y_at, own_at, n_rows, n_out, n_in)
    if kind == HALVES:
        rows_at = own_at + SUMS
        halve_all(x_at, n_rows * n_in, rows_at)
        return multiply_halves(rows_at, 0, weights, y_at, own_at, n_rows, n_out, 2 * n_in)
    is_half = kind == HALF_ROWS
    return multiply_floats(x_at, weights, y_at, own_at, is_half, n_rows, n_out, n_in)


@inner
def attend_new(
    qkv_at: int,
    past: Arrays,
    mask_at: int,
    values_at: int,
    scores_at: int,
    n_rows: int,
    n_heads: int,
    n_keys: int,
    width: int,
) -> None:
    """qkv [R, 3, H, D] -> values [R, H, D]; keys and values are written where the past ends.

    mask [R, S] is added to the scores, unless its address is 0; at `scores_at` is room for S.
    """
    room = past[2]
    qkv = floats(qkv_at, 0, (n_rows, 3, n_heads, width))
    k = floats(past[0], 0, (n_rows, n_heads, room, width))
    v = floats(past[1], 0, (n_rows, n_heads, room, width))
    first, last = share(n_rows * n_heads)
    for task in range(first, last):
        row, head = task // n_heads, task % n_heads
        k[row, head, n_keys - 1] = qkv[row, 1, head]
        v[row, head, n_keys - 1] = qkv[row, 2, head]
        q = qkv_at + 4 * (3 * row * n_heads + head) * width
        k_at, v_at = past[0] + 4 * task * room * width, past[1] + 4 * task * room * width
        y = values_at + 4 * task * width
        mask = mask_at and mask_at + 4 * row * n_keys
        attend(q, k_at, v_at, mask, n_keys, width, scores_at, y)


@Kernel
def step(data):  # type: ignore[no-untyped-def]
    (blocks_at, pasts_at, mask_at, shared_at, own_at, own_size, kind, activation, eps, tiles_at,
     n_blocks, n_rows, n_heads, n_keys, d_model, d_ff) = carray(data, 16)  # fmt: skip
    blocks = carray(address(blocks_at), (n_blocks, PER_BLOCK), np.int64)
    pasts = carray(address(pasts_at), (n_blocks, PER_PAST), np.int64)
    eps, width = np.int32(eps).view(np.float32), d_model // n_heads
    rows = 4 * n_rows * d_model  # bytes
    x_at, y_at, values_at = shared_at, shared_at + rows, shared_at + 2 * rows
    qkv_at, hidden_at = shared_at + 3 * rows, shared_at + 6 * rows
    normed_at = own_at + thread_number() * own_size
    scores_at = normed_at + rows
    theirs_at = scores_at + 4 * n_keys
    work_at = theirs_at + LINE
    begin_tiles(theirs_at, tiles_at)
    for i in range(n_blocks):
        norm_1, norm_2 = blocks[i, :2], blocks[i, 2:4]
        qkv, o, up, down = blocks[i, 4:9], blocks[i, 9:14], blocks[i, 14:19], blocks[i, 19:]

        norm_rows(x_at, norm_1, eps, normed_at, n_rows, d_model)
        multiply(kind, qkv, normed_at, qkv_at, work_at, n_rows, 3 * d_model, d_model)
        wait_for_all()
        attend_new(qkv_at, pasts[i], mask_at, values_at, scores_at,
                   n_rows, n_heads, n_keys, width)  # fmt: skip
        wait_for_all()
        first, last = multiply(kind, o, values_at, y_at, work_at, n_rows, d_model, d_model)
        add_rows(x_at, y_at, n_rows, d_model, first, last)
        wait_for_all()

        norm_rows(x_at, norm_2, eps, normed_at, n_rows, d_model)
        first, last = multiply(kind, up, normed_at, hidden_at, work_at, n_rows, d_ff, d_model)
        activate_rows(activation, hidden_at, n_rows, d_ff, first, last)
        wait_for_all()
        first, last = multiply(kind, down, hidden_at, y_at, work_at, n_rows, d_model, d_ff)
        add_rows(x_at, y_at, n_rows, d_model, first, last)
        wait_for_all()
    end_tiles(theirs_at, tiles_at)
