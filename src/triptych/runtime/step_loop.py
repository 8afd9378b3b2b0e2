"""All blocks of a decoder for one new position a row, and its last norm and product, as one
compiled loop.

Called one by one, the dozen operations of a block cost as much time again as reading its weights
in int8: each is a call from Python, and the start and end of a parallel loop. Here the threads
run through all blocks together, and wait for one another five times a block. The products are the
kernels of `few_rows.py`, `half_rows.py` and `int8_rows.py` themselves.

Shapes: R rows, H heads, S key positions with the new one, D head width, E = H · D, F feed-forward.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray

from triptych.runtime.half_query import WIDTHS, attend_halves
from triptych.runtime.one_query import attend
from triptych.runtime.panels import LINE, round_lines
from triptych.runtime.pieces import NONE_LEFT, PIECES, taken_from
from triptych.runtime.row_loops import activate_rows, add_rows, copy_row, norm_rows
from triptych.runtime.team import (
    Arrays,
    Kernel,
    Scalar,
    address,
    inner,
    run,
    share,
    thread_number,
    threads,
    wait_for_all,
)

Sizes = tuple[int, int, int, int, int]
PER_PRODUCT, PER_NORM = 11, 2
"""Numbers of a product, as its kernel wants them after four addresses, and addresses of a norm."""
PER_BLOCK = 4 * PER_PRODUCT + 2 * PER_NORM
"""Query-key-value, output, up and down; before attention and before feed-forward."""
QKV, OUTPUT, UP, DOWN = (2 * PER_NORM + n * PER_PRODUCT for n in range(4))
"""Where in a block's numbers those of each product begin; the norms' are first."""
PER_CALL = 6 + PER_PRODUCT
"""Numbers of a thread's call of a product."""
PER_PAST = 3
"""Where a block's keys and values are, and the positions that have room there."""


def filled_up(numbers: tuple[int, ...]) -> list[int]:
    """Those of a product, as many as the largest has."""
    return [*numbers, *[0] * (PER_PRODUCT - len(numbers))]


@inner
def multiply(product: Arrays, x_at: int, y_at: int, taken_at: int, call: Arrays) -> None:
    """x -> y, those outputs that this thread takes. `call` is what it calls the kernel by: where
    its code is, its scratch, and room for all its numbers, which `product` has but for those of x,
    y, scratch and who takes what."""
    call[2], call[3], call[4], call[5] = x_at, y_at, call[1], taken_at
    for i in range(PER_CALL - PER_PRODUCT, PER_CALL):
        call[i] = product[i - PER_CALL + PER_PRODUCT]
    run(call[0], call[2:].ctypes.data)


def on_taken(compute: Callable[..., None]) -> Any:
    """A function (a, b, taken_at, sizes): compute(a, b, R, O, first, last) for those of O
    outputs that this thread took. sizes are R, O and how many outputs are computed together."""

    def each(a: int, b: int, taken_at: int, sizes: tuple[int, int, int]) -> None:
        n_rows, width, together = sizes
        n_blocks = (width + together - 1) // together
        first, last, piece = taken_from(taken_at, 0, n_blocks)
        while piece != NONE_LEFT:
            compute(a, b, n_rows, width, together * first, min(together * last, width))
            first, last, piece = taken_from(taken_at, piece, n_blocks)

    return inner(each)


add_taken, activate_taken = on_taken(add_rows), on_taken(activate_rows)


@inner
def attend_new(
    qkv_at: int, past: Arrays, mask_at: int, values_at: int, scores_at: int, sizes: Sizes
) -> None:
    """qkv [R, 3, H, D] -> values [R, H, D]; keys and values are written where the past ends.

    mask [R, S] is added to the scores, unless its address is 0; at `scores_at` is room for S + D.
    sizes are R, H, S, D, and whether the past is in bfloat16.
    """
    n_rows, n_heads, n_keys, width, is_half = sizes
    size, room = 4 * width, past[2]  # bytes of a head's row, and rows
    held = size // 2 if is_half else size
    first, last = share(n_rows * n_heads)
    for task in range(first, last):
        row, head = task // n_heads, task % n_heads
        q_at = qkv_at + (3 * row * n_heads + head) * size
        k_at, v_at = q_at + n_heads * size, q_at + 2 * n_heads * size
        past_k_at, past_v_at = past[0] + task * room * held, past[1] + task * room * held
        new_k_at, new_v_at = past_k_at + (n_keys - 1) * held, past_v_at + (n_keys - 1) * held
        mask = mask_at and mask_at + 4 * row * n_keys
        y_at = values_at + task * size
        if is_half:
            round_lines(k_at, width // WIDTHS, new_k_at, LINE)
            round_lines(v_at, width // WIDTHS, new_v_at, LINE)
            attend_halves(q_at, past_k_at, past_v_at, mask, n_keys, width, scores_at, y_at)
        else:
            copy_row(k_at, new_k_at, width)
            copy_row(v_at, new_v_at, width)
            attend(q_at, past_k_at, past_v_at, mask, n_keys, width, scores_at, y_at)


@inner
def conclude(
    last_at: int,
    has_head: bool,
    x_at: int,
    normed_at: int,
    result_at: int,
    taken_at: int,
    call: Arrays,
    sizes: tuple[int, int, Scalar],
) -> None:
    """The last norm of x, and of that, if wanted, the last product, as the result. sizes are R, E
    and epsilon."""
    n_rows, d_model, eps = sizes
    last = carray(address(last_at), PER_NORM + PER_PRODUCT, np.int64)
    norm, head = last[:PER_NORM], last[PER_NORM:]
    norm_rows(x_at, norm, eps, normed_at, n_rows, d_model)
    if has_head:
        multiply(head, normed_at, result_at, taken_at, call)
    elif thread_number() == 0:
        copy_row(normed_at, result_at, n_rows * d_model)


@Kernel
def step(data):  # type: ignore[no-untyped-def]
    (blocks_at, pasts_at, mask_at, shared_at, own_at, own_size, scratch_at, taken_at, kernel_at,
     together, activation, eps, n_blocks, n_rows, n_heads, n_keys, d_model, d_ff, is_half,
     last_at, has_head, result_at) = carray(data, 22)  # fmt: skip
    blocks = carray(address(blocks_at), (n_blocks, PER_BLOCK), np.int64)
    pasts = carray(address(pasts_at), (n_blocks, PER_PAST), np.int64)
    eps = np.int32(eps).view(np.float32)
    sizes = (n_rows, n_heads, n_keys, d_model // n_heads, is_half)
    of_model, of_ff = (n_rows, d_model, together), (n_rows, d_ff, together)
    rows, taken = 4 * n_rows * d_model, 8 * PIECES * threads()  # bytes
    x_at, y_at, values_at = shared_at, shared_at + rows, shared_at + 2 * rows
    qkv_at, hidden_at = shared_at + 3 * rows, shared_at + 6 * rows
    own_at += thread_number() * own_size
    call = carray(address(own_at), PER_CALL, np.int64)
    call[0], call[1] = kernel_at, scratch_at
    normed_at, scores_at = own_at + 8 * PER_CALL, own_at + 8 * PER_CALL + rows
    for i in range(n_blocks):
        block = blocks[i]
        qkv, o, up, down = block[QKV:OUTPUT], block[OUTPUT:UP], block[UP:DOWN], block[DOWN:]

        norm_rows(x_at, block[:PER_NORM], eps, normed_at, n_rows, d_model)
        multiply(qkv, normed_at, qkv_at, taken_at, call)
        taken_at += taken
        wait_for_all()
        attend_new(qkv_at, pasts[i], mask_at, values_at, scores_at, sizes)
        wait_for_all()
        multiply(o, values_at, y_at, taken_at, call)
        add_taken(x_at, y_at, taken_at, of_model)
        taken_at += taken
        wait_for_all()

        norm_rows(x_at, block[PER_NORM:QKV], eps, normed_at, n_rows, d_model)
        multiply(up, normed_at, hidden_at, taken_at, call)
        activate_taken(activation, hidden_at, taken_at, of_ff)
        taken_at += taken
        wait_for_all()
        multiply(down, hidden_at, y_at, taken_at, call)
        add_taken(x_at, y_at, taken_at, of_model)
        taken_at += taken
        wait_for_all()
    conclude(last_at, has_head, x_at, normed_at, result_at, taken_at, call, (n_rows, d_model, eps))
