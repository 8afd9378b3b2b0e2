"""Dot products of a few rows with a few rows of weights, and sums of rows, as instructions: the
inside of `runtime/few_rows.py` and `one_query.py`.

A weight is read once, 64 bytes at a time, and meets every row while it is in a register. It
is written in the compiler's own language, in vectors of 64 bytes; on a processor with narrower ones
each becomes two or four.

Shapes: X rows of x, W rows of weights; a chunk is 64 bytes of a row of weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

from llvmlite import ir

from triptych.runtime.instructions import (
    FLOATS,
    INT,
    INTS,
    Build,
    Loop,
    Value,
    add,
    ask_for,
    call,
    everywhere,
    for_kernels,
    load,
    store,
    times,
)

CHUNK = 64
"""Bytes of weights that are taken at once."""
AHEAD = 8
"""Rows of weights from what is read now to what the memory is asked for."""


@dataclass(frozen=True)
class Kind:
    """What stands in the rows, and how a chunk of each is multiplied."""

    x_bytes: int
    """Of a row of x, for one chunk of weights."""
    weights: Callable[[Build, Value], list[Value]]
    """The address of a chunk -> what it holds."""
    add: Callable[[Build, Value, list[Value], Value], Value]
    """A sum, a chunk of weights and the address of one of x -> the sum with their product."""


def _float_weights(builder: Build, at: Value) -> list[Value]:
    return [load(builder, at, FLOATS)]


def _half_weights(builder: Build, at: Value) -> list[Value]:
    """32 bfloat16, the upper halves of float32: those at even places, then those at odd ones."""
    pairs = load(builder, at, INTS)
    sixteen, upper = (ir.Constant(INTS, [n] * 16) for n in (16, 0xFFFF0000))
    even, odd = builder.shl(pairs, sixteen), builder.and_(pairs, upper)
    return [builder.bitcast(part, FLOATS) for part in (even, odd)]


def _add_floats(builder: Build, total: Value, weights: list[Value], x: Value) -> Value:
    for number, weight in enumerate(weights):
        row = load(builder, add(builder, x, CHUNK * number), FLOATS)
        total = call(builder, "llvm.fma.v16f32", FLOATS, weight, row, total)
    return total


FLOAT = Kind(CHUNK, _float_weights, _add_floats)
HALF = Kind(2 * CHUNK, _half_weights, _add_floats)
"""Weights in bfloat16; x in float32, of each 32 the 16 at even places first."""


def _sum(builder: Build, total: Value) -> Value:
    """Of the sixteen numbers of a sum, two halves at a time: the same order in each dot product."""
    width = total.type.count
    while width > 1:
        width //= 2
        halves = [
            builder.shuffle_vector(total, total, ir.Constant(ir.VectorType(INT, width), places))
            for places in (list(range(width)), list(range(width, 2 * width)))
        ]
        total = builder.fadd(*halves)
    return builder.extract_element(total, INT(0))


def dots(kind: Kind, n_x: int, n_weights: int) -> Any:
    """A function for kernels, (w, w_row, x, x_row, n_chunks, y, y_row) -> nothing: dot products of
    X rows of x with W of weights, y[X, W]. All but `n_chunks` are addresses, or bytes from one row
    to the next."""

    def build(builder: Build, given: Any) -> None:
        w, w_row, x, x_row, n_chunks, y, y_row = given
        loop = Loop(builder, n_chunks)
        zero = ir.Constant(FLOATS, [0] * 16)
        totals = [[loop.carried(zero) for _ in range(n_weights)] for _ in range(n_x)]
        held = []
        for i in range(n_weights):
            at = add(builder, w, times(builder, w_row, i), times(builder, loop.index, CHUNK))
            ask_for(builder, add(builder, at, times(builder, w_row, AHEAD)))
            held.append(kind.weights(builder, at))
        sums = []
        for i, own in enumerate(totals):
            at = add(builder, x, times(builder, x_row, i), times(builder, loop.index, kind.x_bytes))
            sums.append([kind.add(builder, *pair, at) for pair in zip(own, held, strict=True)])
        loop.end(*zip(chain(*totals), chain(*sums), strict=True))
        for i, own in enumerate(sums):
            for j, total in enumerate(own):
                at = add(builder, y, times(builder, y_row, i), 4 * j)
                store(builder, _sum(builder, total), at)

    return for_kernels(7, build)


def weighted_sum(kind: Kind, n_chunks: int) -> Any:
    """A function for kernels, (weights, v, v_row, n_rows, y) -> nothing: Σ weights[i] · v[i] of
    n_rows ≥ 1 rows of so many chunks, y in float32 and in the order that x has in `dots`. All but
    `n_rows` are addresses, or bytes from one row to the next."""
    n_vectors = n_chunks * kind.x_bytes // CHUNK

    def build(builder: Build, given: Any) -> None:
        weights, v, v_row, n_rows, y = given
        loop = Loop(builder, n_rows)
        totals = [loop.carried(ir.Constant(FLOATS, [0] * 16)) for _ in range(n_vectors)]
        weight = load(builder, add(builder, weights, times(builder, loop.index, 4)), INT)
        weight = builder.bitcast(everywhere(builder, weight), FLOATS)
        row, ahead = add(builder, v, builder.mul(v_row, loop.index)), times(builder, v_row, AHEAD)
        held: list[Value] = []
        for chunk in range(n_chunks):
            at = add(builder, row, CHUNK * chunk)
            ask_for(builder, add(builder, at, ahead))
            held += kind.weights(builder, at)
        sums = [
            call(builder, "llvm.fma.v16f32", FLOATS, value, weight, total)
            for value, total in zip(held, totals, strict=True)
        ]
        loop.end(*zip(totals, sums, strict=True))
        for number, total in enumerate(sums):
            store(builder, total, add(builder, y, CHUNK * number))

    return for_kernels(5, build)
