"""softmax(q Kᵀ) V for one query a head: a decoding step's attention, as one loop over the heads.

As torch operations it is five, each over little, so that most of the time is their calls, and two
copies of the keys where these are part of a larger room. Here a thread takes a head of a row from
its scores to its values.

Shapes: R rows, B rows of keys, H heads, S key positions, D head width.
"""

import numpy as np
import torch
from numba import carray
from torch import Tensor

from triptych.runtime.dots import CHUNK, FLOAT, dots, weighted_sum
from triptych.runtime.half_query import attend_halves
from triptych.runtime.instructions import ask_for, for_kernels
from triptych.runtime.row_loops import softmax, weigh
from triptych.runtime.team import Arrays, Kernel, Scalar, address, floats, inner, share

LINE = 64
"""Bytes that come from the memory together."""
dot_1, dot_4 = dots(FLOAT, 1, 1), dots(FLOAT, 1, 4)
sum_1, sum_4 = weighted_sum(FLOAT, 1), weighted_sum(FLOAT, 4)
ask_for_line = for_kernels(1, lambda builder, given: ask_for(builder, *given))


@inner
def dot(a: Arrays, b: Arrays) -> Scalar:
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@inner
def score(q_at: int, k_at: int, n_keys: int, width: int, scores_at: int) -> None:
    """q [D], k [S, D] -> scores [S]."""
    row = 4 * width  # bytes
    if row % CHUNK == 0:
        s = 0
        while s + 4 <= n_keys:
            dot_4(k_at + row * s, row, q_at, row, row // CHUNK, scores_at + 4 * s, 0)
            s += 4
        while s < n_keys:
            dot_1(k_at + row * s, row, q_at, row, row // CHUNK, scores_at + 4 * s, 0)
            s += 1
        return
    q, k = floats(q_at, 0, (width,)), floats(k_at, 0, (n_keys, width))
    scores = floats(scores_at, 0, (n_keys,))
    for s in range(n_keys):
        scores[s] = dot(q, k[s])


@inner
def mix(weights_at: int, v_at: int, n_keys: int, width: int, y_at: int) -> None:
    """weights [S], v [S, D] -> their sum y [D]."""
    row, done = 4 * width, 0  # bytes
    if row % CHUNK == 0:
        while done + 4 * CHUNK <= row:
            sum_4(weights_at, v_at + done, row, n_keys, y_at + done)
            done += 4 * CHUNK
        while done < row:
            sum_1(weights_at, v_at + done, row, n_keys, y_at + done)
            done += CHUNK
        return
    weights, v = floats(weights_at, 0, (n_keys,)), floats(v_at, 0, (n_keys, width))
    y = floats(y_at, 0, (width,))
    y[:] = 0
    for s in range(n_keys):
        add_scaled(y, weights[s], v[s])


@inner
def add_scaled(y: Arrays, weight: Scalar, value: Arrays) -> None:
    for d in range(len(y)):
        y[d] += weight * value[d]


@inner
def ask_for_row(at: int, n_numbers: int) -> None:
    """Let the memory bring a row of so many numbers while something else is computed."""
    for byte in range(0, 4 * n_numbers, LINE):
        ask_for_line(at + byte)


@inner
def attend(
    q_at: int,
    k_at: int,
    v_at: int,
    mask_at: int,
    n_keys: int,
    width: int,
    scores_at: int,
    y_at: int,
) -> None:
    """One head of one query: q [D], k and v [S, D], mask [S], added to the scores unless its
    address is 0 -> y [D]; in scores [S] is what it weighs."""
    score(q_at, k_at, n_keys, width, scores_at)
    weigh(scores_at, mask_at, n_keys)
    mix(scores_at, v_at, n_keys, width, y_at)


@Kernel
def attend_heads(data):  # type: ignore[no-untyped-def]
    (q_at, k_at, v_at, mask_at, scores_at, y_at, q_row, q_head, k_row, k_head, v_row, v_head,
     n_rows, n_heads, n_beams, n_keys, width, is_half) = carray(data, 18)  # fmt: skip
    first, last = share(n_rows * n_heads)
    size = 2 if is_half else 4  # bytes
    for task in range(first, last):
        row, head = task // n_heads, task % n_heads
        text = row // n_beams
        q = q_at + 4 * (row * q_row + head * q_head)
        k = k_at + size * (text * k_row + head * k_head)
        v = v_at + size * (text * v_row + head * v_head)
        at, y = scores_at + 4 * task * (n_keys + width), y_at + 4 * task * width
        mask = mask_at and mask_at + 4 * text * n_keys
        if is_half:
            attend_halves(q, k, v, mask, n_keys, width, at, y)
        else:
            attend(q, k, v, mask, n_keys, width, at, y)


@Kernel
def attend_past_heads(data):  # type: ignore[no-untyped-def]
    (qkv_at, k_at, v_at, places_at, scores_at, y_at,
     n_rows, n_heads, n_keys, width, n_held, room) = carray(data, 12)  # fmt: skip
    places = carray(address(places_at), (n_rows, n_keys), np.int64)
    qkv = floats(qkv_at, 0, (n_rows, 3, n_heads, width))
    k = floats(k_at, 0, (n_held, n_heads, room, width))
    v = floats(v_at, 0, (n_held, n_heads, room, width))
    first, last = share(n_rows * n_heads)
    for task in range(first, last):
        row, head = task // n_heads, task % n_heads
        scores, y = (
            floats(scores_at, task * n_keys, (n_keys,)),
            floats(y_at, task * width, (width,)),
        )
        k[row, head, n_keys - 1] = qkv[row, 1, head]
        v[row, head, n_keys - 1] = qkv[row, 2, head]
        for s in range(n_keys):  # of many rows' pasts little is near
            at = (places[row, s] * n_heads + head) * room + s
            ask_for_row(v_at + 4 * at * width, width)
            scores[s] = dot(qkv[row, 0, head], k[places[row, s], head, s])
        softmax(scores)
        y[:] = 0
        for s in range(n_keys):
            at = (places[row, s] * n_heads + head + 1) * room + s
            ask_for_row(k_at + 4 * at * width, width)
            add_scaled(y, scores[s], v[places[row, s], head, s])


def attend_by_loop(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """q [R, H, D], scaled, k and v [B, H, S, D] of which each serves R / B rows in turn, mask
    [B, S] or of that many numbers, added to the scores -> values [R, H · D]; all in float32, or k
    and v in bfloat16, if D is a multiple of `half_query.py:WIDTHS`.

    Of q the last dimension, of k and v the last two have to be without gaps.
    """
    (n_rows, n_heads, width), n_keys = q.shape, k.size(2)
    room = n_rows * n_heads * (n_keys + width)
    scores = torch.empty(room, dtype=torch.float32, device="cpu")
    y = torch.empty(n_rows, n_heads * width, dtype=torch.float32, device="cpu")
    at = 0 if mask is None else mask.data_ptr()
    attend_heads(
        *(q.data_ptr(), k.data_ptr(), v.data_ptr(), at, scores.data_ptr(), y.data_ptr()),
        *(q.stride(0), q.stride(1), k.stride(0), k.stride(1), v.stride(0), v.stride(1)),
        *(n_rows, n_heads, n_rows // max(len(k), 1), n_keys, width, k.dtype == torch.bfloat16),
    )
    return y


def attend_past(qkv: Tensor, k: Tensor, v: Tensor, places: Tensor) -> Tensor:
    """qkv [R, 1, 3E], the queries scaled; its keys and values are written into k and v
    [most R, H, room, D], the last of the S positions that places [R, S] tells of -> [R, 1, E].
    """
    qkv, places = qkv.contiguous(), places.contiguous()
    (n_held, n_heads, room, width), (n_rows, n_keys) = k.shape, places.shape
    scores = torch.empty(n_rows * n_heads * n_keys, dtype=torch.float32, device="cpu")
    y = torch.empty(n_rows, 1, n_heads * width, dtype=torch.float32, device="cpu")
    given = (qkv, k, v, places, scores, y)
    sizes = (n_rows, n_heads, n_keys, width, n_held, room)
    attend_past_heads(*(tensor.data_ptr() for tensor in given), *sizes)
    return y
