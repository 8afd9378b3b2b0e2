"""Products of bytes, or of bfloat16, with weights in panels of sixteen outputs, as instructions:
the inside of `runtime/int8_rows.py` and `half_rows.py`.

A panel holds of each four bytes of inputs, four or two, the weights of sixteen outputs side by
side, a line of 64 bytes. One instruction multiplies a line by four bytes of a row and adds to
sixteen sums, which are outputs already; AMX's takes sixteen lines and sixteen rows at once. What a
loop over numbers would become depends on the compiler's luck, so these are written in its own
language.

Shapes: X rows, W panels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

from llvmlite import binding, ir

from triptych.runtime.instructions import (
    BYTE,
    FLOATS,
    INT,
    INTS,
    LONG,
    Build,
    Loop,
    Value,
    add,
    ask_for,
    call,
    can_compile,
    everywhere,
    for_kernels,
    load,
    pointer,
    store,
    times,
)
from triptych.runtime.vector_math import BFLOAT, HalfType, store_halves

LINE, OUTPUTS, DEPTH = 64, 16, 4
"""Bytes of a line, the outputs in it, and the bytes of each."""
VNNI, AMX = "avx512vnni", "amx-int8"
HALF_TILES = "amx-bf16"
TILE_ROWS = 16
"""Rows of a tile: of rows [16, 64 bytes], of a panel's lines [16, 64], of sums [16, 16]."""


@dataclass(frozen=True)
class Kind:
    """What stands in the lines, and the two instructions that multiply it."""

    feature: str
    """What the processor must have for lines, and for tiles."""
    tile_feature: str
    sums: ir.Type
    """Of a line: sixteen integers or floats."""
    add: Callable[[Build, Value, Value, Value], Value]
    """Sums, a line of weights and four bytes of a row, sixteen times -> the new sums."""
    tile: str
    """The name of AMX's."""
    few: int
    """Rows up to which its tiles, mostly empty, are no faster than lines."""


def _given(since: int, kind: ir.Type) -> ir.Type:
    """What an instruction is given: before that version of the compiler four bytes as one."""
    return kind if binding.llvm_version_info[0] >= since else INTS


def _add_bytes(builder: Build, total: Value, line: Value, row: Value) -> Value:
    kind = _given(22, ir.VectorType(BYTE, LINE))
    given = (builder.bitcast(part, kind) for part in (row, line))
    return call(builder, "llvm.x86.avx512.vpdpbusd.512", INTS, total, *given)


def _add_halves(builder: Build, total: Value, line: Value, row: Value) -> Value:
    kind = _given(16, ir.VectorType(HalfType(), LINE // 2))
    given = (builder.bitcast(part, kind) for part in (row, line))
    return call(builder, "llvm.x86.avx512bf16.dpbf16ps.512", FLOATS, total, *given)


BYTES = Kind(VNNI, AMX, INTS, _add_bytes, "llvm.x86.tdpbusd", 4)
HALVES = Kind(BFLOAT, HALF_TILES, FLOATS, _add_halves, "llvm.x86.tdpbf16ps", 2)


def line_sums(kind: Kind, n_x: int, n_panels: int) -> Any:
    """A function for kernels, (w, panel, x, x_row, n_lines, y, y_row) -> nothing: sums y[X, 16 · W]
    over n_lines lines. All but `n_lines` are addresses, or bytes from one to the next.

    Where the processor has no instruction for it, it is empty, and must not be called.
    """

    def build(builder: Build, given: Any) -> None:
        if not can_compile(kind.feature):
            return
        w, panel, x, x_row, n_lines, y, y_row = given
        loop = Loop(builder, n_lines)
        zero = ir.Constant(kind.sums, [0] * OUTPUTS)
        totals = [[loop.carried(zero) for _ in range(n_panels)] for _ in range(n_x)]
        lines = _lines(builder, w, panel, n_panels, times(builder, loop.index, LINE))
        sums = []
        for i, own in enumerate(totals):
            at = add(builder, x, times(builder, x_row, i), times(builder, loop.index, DEPTH))
            row = everywhere(builder, load(builder, at, INT))
            sums.append([kind.add(builder, *pair, row) for pair in zip(own, lines, strict=True)])
        loop.end(*zip(chain(*totals), chain(*sums), strict=True))
        for i, own in enumerate(sums):
            for p, total in enumerate(own):
                store(builder, total, add(builder, y, times(builder, y_row, i), LINE * p))

    return for_kernels(7, build)


def _lines(builder: Build, w: Value, panel: Value, n_panels: int, offset: Value) -> list[Value]:
    """Of each panel a line; those of the panels after these are asked for."""
    found = []
    for p in range(n_panels):
        at = add(builder, w, times(builder, panel, p), offset)
        ask_for(builder, add(builder, at, times(builder, panel, n_panels)))
        found.append(load(builder, at, INTS))
    return found


def tile_sums(
    kind: Kind, n_blocks: int, n_panels: int, *, asks: bool = True, in_tiles: bool = False
) -> Any:
    """As `line_sums` for sixteen rows a block: X = 16 · blocks. n_lines is a multiple of 16.

    `asks` for the panels after these: once for all rows is enough, and costs a fifth of the rest.
    `in_tiles`: each tile of the rows lies in one piece, where rows that are a power of two apart
    would drive one another out of the processor's nearest memory.
    """
    first = n_blocks * n_panels  # of the tiles, which are numbers: those before it hold sums
    rows = [first + b for b in range(n_blocks)]
    weights = [first + n_blocks + p for p in range(n_panels)]

    def build(builder: Build, given: Any) -> None:
        if not can_compile(kind.tile_feature):
            return
        w, panel, x, x_row, n_lines, y, y_row = given
        for tile in range(first):
            call(builder, "llvm.x86.tilezero", None, BYTE(tile))
        loop = Loop(builder, n_lines, TILE_ROWS)
        for p, tile in enumerate(weights):
            at = add(builder, w, times(builder, panel, p), times(builder, loop.index, LINE))
            if asks:
                _ask_for_tile(builder, add(builder, at, times(builder, panel, n_panels)))
            _move(builder, "llvm.x86.tileloadd64", tile, at, LONG(LINE))
        for b, tile in enumerate(rows):
            at = add(builder, x, times(builder, x_row, TILE_ROWS * b))
            at = add(builder, at, times(builder, loop.index, LINE if in_tiles else DEPTH))
            _move(builder, "llvm.x86.tileloadd64", tile, at, LONG(LINE) if in_tiles else x_row)
            for p, weight in enumerate(weights):
                tiles = (n_panels * b + p, tile, weight)
                call(builder, kind.tile, None, *(BYTE(n) for n in tiles))
        loop.end()
        for b in range(n_blocks):
            for p in range(n_panels):
                at = add(builder, y, times(builder, y_row, TILE_ROWS * b), LINE * p)
                _move(builder, "llvm.x86.tilestored64", n_panels * b + p, at, y_row)

    return for_kernels(7, build)


def _ask_for_tile(builder: Build, at: Value) -> None:
    for i in range(TILE_ROWS):
        ask_for(builder, add(builder, at, LINE * i))


def _move(builder: Build, name: str, tile: int, at: Value, row: Value) -> None:
    """A tile from or to memory, so many bytes from a row to the next."""
    call(builder, name, None, BYTE(tile), pointer(builder, at, BYTE), row)


def _tile_setting(name: str) -> Any:
    """A function for kernels, (at) -> nothing: sets the tiles' sizes, or writes them down."""

    def build(builder: Build, given: Any) -> None:
        if can_compile(AMX):
            call(builder, name, None, pointer(builder, given[0], BYTE))

    return for_kernels(1, build)


set_tiles, write_tiles = _tile_setting("llvm.x86.ldtilecfg"), _tile_setting("llvm.x86.sttilecfg")


def _finish_rows(builder: Build, given: Any) -> None:
    """(sums, n, shift, scale, bias, largest, y, y_row): y = (sums − shift) · scale · a + b for n
    rows of two lines of sums, a of each row and the others of each output; all but `n` are
    addresses, or bytes from a row to the next."""
    sums, n, shift, scale, bias, largest, y, y_row = given
    kinds = ((shift, INTS), (scale, FLOATS), (bias, FLOATS))
    of_outputs = [
        [load(builder, add(builder, at, place), kind) for at, kind in kinds] for place in (0, LINE)
    ]
    loop = Loop(builder, n)
    at = add(builder, largest, times(builder, loop.index, 4))
    a = builder.bitcast(everywhere(builder, load(builder, at, INT)), FLOATS)
    own = add(builder, sums, times(builder, loop.index, 2 * LINE))
    to = add(builder, y, builder.mul(loop.index, y_row))
    for place, (shifts, scales, biases) in zip((0, LINE), of_outputs, strict=True):
        total = builder.sub(load(builder, add(builder, own, place), INTS), shifts)
        scaled = builder.fmul(builder.fmul(builder.sitofp(total, FLOATS), scales), a)
        store(builder, builder.fadd(scaled, biases), add(builder, to, place))
    loop.end()


finish_rows = for_kernels(8, _finish_rows)


def _add_bias(builder: Build, given: Any) -> None:
    """(sums, n, bias, y, y_row): y = sums + b for n rows of two lines of sums, b of each output;
    all but `n` are addresses, or bytes from a row to the next."""
    sums, n, bias, y, y_row = given
    biases = [load(builder, add(builder, bias, place), FLOATS) for place in (0, LINE)]
    loop = Loop(builder, n)
    own = add(builder, sums, times(builder, loop.index, 2 * LINE))
    to = add(builder, y, builder.mul(loop.index, y_row))
    for place, held in zip((0, LINE), biases, strict=True):
        total = load(builder, add(builder, own, place), FLOATS)
        store(builder, builder.fadd(total, held), add(builder, to, place))
    loop.end()


add_bias = for_kernels(5, _add_bias)


def _round_lines(builder: Build, given: Any) -> None:
    """(x, n, y, step): n ≥ 1 times thirty-two floats, one behind the other at x, as lines of
    bfloat16, so many bytes from one to the next, at y. Where the processor has no instruction for
    it, nothing, and must not be called."""
    if not can_compile(BFLOAT):
        return
    x, n, y, step = given
    loop = Loop(builder, n)
    own, to = times(builder, loop.index, 2 * LINE), builder.mul(loop.index, step)
    for half in (0, 1):
        row = load(builder, add(builder, x, own, LINE * half), FLOATS)
        store_halves(builder, row, add(builder, y, to, LINE // 2 * half))
    loop.end()


round_lines = for_kernels(4, _round_lines)
