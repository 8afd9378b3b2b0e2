"""Between which numbers each output of x Wᵀ lies, from a copy of W in bytes.

W less its mean row, which adds the same to all outputs, is kept in bytes, ŵ; and x goes in bytes
twice: x̂ is the sum of its bytes and of those of what they leave. Then

    |w·x − ŵ·x̂| ≤ ‖w − ŵ‖ ‖x̂‖ + ‖w‖ ‖x − x̂‖        (Cauchy and Schwarz)

which is certain, and tight enough to leave some ten of fifty thousand outputs for the largest.

Shapes: R rows, E columns in, V outputs, in G groups.
"""

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from numba import carray
from torch import Tensor

from triptych.runtime.halves import as_float, as_half
from triptych.runtime.instructions import (
    FLOAT,
    FLOATS,
    INT,
    INTS,
    Build,
    Value,
    add,
    call,
    everywhere,
    for_kernels,
    load,
    store,
)
from triptych.runtime.int8 import LEVELS, PIECE, quantize_weight
from triptych.runtime.int8_loops import exact, quantize
from triptych.runtime.int8_rows import Int8Rows
from triptych.runtime.panel_rows import SIDE, multiplier
from triptych.runtime.panels import BYTES, LINE, TILE_ROWS
from triptych.runtime.team import Arrays, Scalar, address, floats, share
from triptych.runtime.tiled import lay_row, place_of
from triptych.runtime.vector_math import fma

ROUNDING = 2.0**-22
"""Of each number of a sum in float32, whatever its order: four times what it can be."""
GROUP = SIDE
"""Outputs that are looked at together."""
Sizes = tuple[int, int, int, bool, bool]


@exact
def leave(x: Arrays, bits: Arrays, levels: Arrays) -> tuple[Scalar, Scalar]:
    """x [E] and its bits -> its largest number, and its bytes in levels [E]; x becomes what these
    leave, whose norm is the second."""
    largest, square = quantize(x, bits, levels), np.float64(0)
    for i in range(len(x)):
        left = np.float64(x[i]) - np.float64(largest) / LEVELS * (np.float64(levels[i]) - 128)
        x[i] = np.float32(left)
        square += left * left
    return largest, np.float32(np.sqrt(square))


@exact
def split_rows(x_at: int, own_at: int, rows_at: int, factors_at: int, sizes: Sizes) -> None:
    """This thread's share of x [R, E] -> bytes [2R, E], filled up, or in tiles; and factors [2, R,
    2]: of each row's bytes, twice, what they are multiplied by, and what their bounds are. sizes
    are R, E, E with what fills it up, whether x is rounded to bfloat16, and whether there are
    tiles; at `own_at` is room for a row."""
    n_rows, n_x, n_in, is_half, has_tiles = sizes
    pairs, levels_at, n_lines = (n_rows, 2), own_at + 4 * n_x, n_in // LINE
    largest, bounds = floats(factors_at, 0, pairs), floats(factors_at, 2 * n_rows, pairs)
    rest, bits = floats(own_at, 0, (n_x,)), carray(address(own_at), n_x, np.int32)
    first, last = share(n_rows)
    for row in range(first, last):
        x, square = floats(x_at, row * n_x, (n_x,)), np.float64(0)
        for i in range(n_x):
            rest[i] = as_float(as_half(x[i])) if is_half else x[i]
            square += np.float64(rest[i]) * np.float64(rest[i])
        for turn in range(2):
            levels = carray(address(levels_at), n_x, np.uint8)
            largest[row, turn], bounds[row, 1] = leave(rest, bits, levels)
            place, step = LINE * n_lines * (2 * row + turn), LINE
            if has_tiles:
                place, step = place_of(2 * row + turn, n_lines), LINE * TILE_ROWS
            lay_row(levels_at, n_lines, rows_at + place, step)
        bounds[row, 0] = np.float32(np.sqrt(square)) + bounds[row, 1]  # at least ‖x̂‖


def _bound_group(builder: Build, given: Any) -> None:
    """(sums, factors, bounds, shift, scale, error, norm, least, most, high): of a row's two sums
    with each output of a group, what the largest is at least and at most, and what each is at most.
    All are addresses."""
    sums, factors, bounds, shift, scale, error, norm, least, most, high = given
    factor, bound = (
        [_everywhere(builder, add(builder, at, place)) for place in (0, 4)]
        for at in (factors, bounds)
    )
    found = []
    for line in range(0, 4 * GROUP, LINE):
        shifts = load(builder, add(builder, shift, line), INTS)
        own = [load(builder, add(builder, sums, line, place), INTS) for place in (0, 4 * GROUP)]
        value, other = (builder.sitofp(builder.sub(part, shifts), FLOATS) for part in own)
        value = fma(builder, value, factor[0], builder.fmul(other, factor[1]))
        value = builder.fmul(value, load(builder, add(builder, scale, line), FLOATS))
        errors, norms = (load(builder, add(builder, at, line), FLOATS) for at in (error, norm))
        margin = fma(builder, errors, bound[0], builder.fmul(norms, bound[1]))
        found.append((builder.fsub(value, margin), builder.fadd(value, margin)))
        store(builder, found[-1][1], add(builder, high, line))
    for at, values in zip((least, most), zip(*found, strict=True), strict=True):
        larger = reduce(partial(call, builder, "llvm.maxnum.v16f32", FLOATS), values)
        store(builder, call(builder, "llvm.vector.reduce.fmax.v16f32", FLOAT, larger), at)


def _everywhere(builder: Build, at: Value) -> Value:
    return builder.bitcast(everywhere(builder, load(builder, at, INT)), FLOATS)


bound_group = for_kernels(10, _bound_group)


WEIGHTS = 15
"""What bounds are made of: w, shift, scale, bias and tiles, the factors, 0, how many rows of bytes,
V and E; then ‖w − ŵ‖ and ‖w‖; and where least, most and high belong."""


@exact
def finish_bounds(
    sums_at: int,
    n: int,
    weights: Arrays,
    start: int,
    _n_here: int,
    factors_at: int,
    _y_at: int,
    n_out: int,
) -> None:
    """Of n rows of bytes, n / 2 rows, and a group of outputs; see `WEIGHTS`."""
    shift, scale, all_factors, n_rows = weights[1], weights[2], weights[5], weights[7]
    error, norm, least, most, high = weights[10], weights[11], weights[12], weights[13], weights[14]
    place, group, n_groups = 4 * start, start // GROUP, n_out // GROUP
    for i in range(0, n, 2):
        sums, factors = sums_at + 4 * GROUP * i, factors_at + 4 * i
        row = (factors - all_factors) // 8
        each = sums if high == 0 else high + 4 * (row * n_out + start)  # sums: they are read
        to = 4 * (row * n_groups + group)
        bound_group(sums, factors, factors + 4 * n_rows, shift + place, scale + place,
                    error + place, norm + place, least + to, most + to, each)  # fmt: skip


bound_bytes = multiplier(BYTES, finish_bounds)
"""Rows in bytes, two for each, and their factors."""


class InBytes:
    """Of weight [V, E] less its mean row, in float32."""

    def __init__(self, weight: Tensor) -> None:
        self.rows, self.error, self.norm = _in_bytes(weight)
        self.is_sound = bool(torch.isfinite(self.error + self.norm).all())

    def weights(self, n_rows: int, factors: Tensor, found: Sequence[int]) -> tuple[int, ...]:
        """What `finish_bounds` is told, for so many rows: `WEIGHTS` numbers. `found` are addresses:
        of each group of outputs what its largest is at least, and at most; and what each output is
        at most, or 0."""
        numbers = self.rows.numbers(2 * n_rows, factors)[1:]
        return *numbers, self.error.data_ptr(), self.norm.data_ptr(), *found


def _in_bytes(weight: Tensor) -> tuple[Int8Rows, Tensor, Tensor]:
    """The product of weight [V, E] less its mean row in bytes; of each row ‖w − ŵ‖, with what
    float32 rounds by anywhere, and ‖w‖, both [V]. The last one fills up its group, as often as
    needed: what is true of it stays true."""
    n_out, mean = len(weight), weight.mean(0)
    n_filled = -(-n_out // GROUP) * GROUP
    w = torch.empty(n_filled, weight.size(1), dtype=torch.int8, device="cpu")
    scale, error, norm = (weight.new_empty(n_filled) for _ in range(3))
    for first in range(0, n_out, PIECE):
        rows = slice(first, min(first + PIECE, n_out))
        some = weight[rows] - mean
        w[rows], scale[rows] = quantize_weight(some)
        rest = some - scale[rows, None] * w[rows]
        # In float64, where small numbers have squares.
        error[rows], norm[rows] = (each.norm(dim=1, dtype=torch.float64) for each in (rest, some))
    for held in (w, scale, error, norm):
        held[n_out:] = held[n_out - 1]
    rounding = ROUNDING * weight.size(1) * (norm + mean.norm())
    return Int8Rows(w, scale, None), error + rounding, norm
