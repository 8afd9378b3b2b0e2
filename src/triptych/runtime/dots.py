"""Dot products of a few rows with a few rows of weights, as instructions: the inside of
`runtime/few_rows.py`.

A weight is read once, 64 bytes at a time, and meets every row while it is in a register. What
Python's loop over numbers becomes depends on the compiler's luck: of sums of bytes it makes the
processor's own product (VNNI) on one machine and on another not, three times as slow. So this
loop is written in the compiler's own language, in vectors of 64 bytes; on a processor with
narrower ones it makes two or four of each.

Shapes: X rows of x, W rows of weights; a chunk is 64 bytes of a row of weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from triptych.runtime.instructions import (
    FLOATS,
    INT,
    INTS,
    LONG,
    Value,
    ask_for,
    call,
    load,
    pointer,
)

CHUNK = 64
"""Bytes of weights that are taken at once."""
AHEAD = 8
"""Rows of weights from what is read now to what the memory is asked for."""


@dataclass(frozen=True)
class Kind:
    """What stands in the rows, and how a chunk of each is multiplied."""

    sums: ir.VectorType
    """Of these a dot product is added up."""
    x_bytes: int
    """Of a row of x, for one chunk of weights."""
    weights: Callable[[ir.IRBuilder, Value], list[Value]]
    """The address of a chunk -> what it holds."""
    add: Callable[[ir.IRBuilder, Value, list[Value], Value], Value]
    """A sum, a chunk of weights and the address of one of x -> the sum with their product."""


def _float_weights(builder: ir.IRBuilder, at: Value) -> list[Value]:
    return [load(builder, at, FLOATS)]


def _half_weights(builder: ir.IRBuilder, at: Value) -> list[Value]:
    """32 bfloat16, the upper halves of float32: those at even places, then those at odd ones."""
    pairs = load(builder, at, INTS)
    sixteen, upper = (ir.Constant(INTS, [n] * 16) for n in (16, 0xFFFF0000))
    even, odd = builder.shl(pairs, sixteen), builder.and_(pairs, upper)
    return [builder.bitcast(part, FLOATS) for part in (even, odd)]


def _add_floats(builder: ir.IRBuilder, total: Value, weights: list[Value], x: Value) -> Value:
    for number, weight in enumerate(weights):
        row = load(builder, builder.add(x, LONG(CHUNK * number)), FLOATS)
        total = call(builder, "llvm.fma.v16f32", FLOATS, weight, row, total)
    return total


FLOAT = Kind(FLOATS, CHUNK, _float_weights, _add_floats)
HALF = Kind(FLOATS, 2 * CHUNK, _half_weights, _add_floats)
"""Weights in bfloat16; x in float32, of each 32 the 16 at even places first."""


def _sum(builder: ir.IRBuilder, total: Value) -> Value:
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

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> Any:
        w, w_row, x, x_row, n_chunks, y, y_row = given
        ahead = builder.mul(LONG(AHEAD), w_row)
        w_rows = [builder.add(w, builder.mul(LONG(i), w_row)) for i in range(n_weights)]
        x_rows = [builder.add(x, builder.mul(LONG(i), x_row)) for i in range(n_x)]
        before = builder.block
        loop, after = (builder.append_basic_block(name) for name in ("chunk", "sums"))
        builder.branch(loop)
        builder.position_at_end(loop)
        chunk = builder.phi(LONG)
        totals = [[builder.phi(kind.sums) for _ in w_rows] for _ in x_rows]
        w_at, x_at = (builder.mul(chunk, LONG(size)) for size in (CHUNK, kind.x_bytes))
        held = []
        for row in w_rows:
            at = builder.add(row, w_at)
            ask_for(builder, builder.add(at, ahead))
            held.append(kind.weights(builder, at))
        zero = ir.Constant(kind.sums, [0] * 16)
        following = builder.add(chunk, LONG(1))
        for row, sums in zip(x_rows, totals, strict=True):
            at = builder.add(row, x_at)
            for total, weights in zip(sums, held, strict=True):
                total.add_incoming(zero, before)
                total.add_incoming(kind.add(builder, total, weights, at), loop)
        chunk.add_incoming(LONG(0), before)
        chunk.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, n_chunks), loop, after)
        builder.position_at_end(after)
        for i, sums in enumerate(totals):
            row = builder.add(y, builder.mul(LONG(i), y_row))
            for j, total in enumerate(sums):
                found = _sum(builder, total.incomings[1][0])
                place = pointer(builder, builder.add(row, LONG(4 * j)), found.type)
                builder.store(found, place, align=4)
        return _context.get_dummy_value()

    def typed(_typing: Any, w, w_row, x, x_row, n_chunks, y, y_row) -> Any:  # type: ignore[no-untyped-def]
        return types.void(*[types.int64] * 7), generate

    return intrinsic(typed)
