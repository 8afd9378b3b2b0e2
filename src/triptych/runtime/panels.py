"""Products of bytes with weights in panels of sixteen outputs, as instructions: the inside of
`runtime/int8_rows.py`.

A panel holds of each four inputs the weights of sixteen outputs side by side, 64 bytes. VNNI's
instruction multiplies such a line by four bytes of a row and adds to sixteen sums, which are
outputs already; AMX's takes sixteen lines and sixteen rows at once. What a loop over numbers would
become depends on the compiler's luck, so these are written in its own language.

Shapes: X rows of bytes, W panels; a line is 64 bytes.
"""

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core.extending import intrinsic

from triptych.runtime.instructions import (
    BYTE,
    INT,
    INTS,
    LONG,
    Value,
    ask_for,
    call,
    load,
    pointer,
)  # fmt: skip

LINE, OUTPUTS, DEPTH = 64, 16, 4
"""Bytes of a line, the outputs in it, and the inputs of each."""
TILE_ROWS = 16
"""Rows of a tile: of bytes [16, 64], of a panel's lines [16, 64], of sums [16, 16]."""
BYTES = ir.VectorType(BYTE, LINE)
BYTES_SINCE = 22
"""The version of the compiler since which VNNI is given bytes, and not four of them as one."""


def vnni_sums(n_x: int, n_panels: int) -> Any:
    """A function for kernels, (w, panel, x, x_row, n_lines, y, y_row) -> nothing: sums y[X, 16 · W]
    of n_lines · 4 products. All but `n_lines` are addresses, or bytes from one to the next."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> Any:
        w, panel, x, x_row, n_lines, y, y_row = given
        before = builder.block
        loop, after = (builder.append_basic_block(name) for name in ("line", "sums"))
        builder.branch(loop)
        builder.position_at_end(loop)
        line = builder.phi(LONG)
        totals = [[builder.phi(INTS) for _ in range(n_panels)] for _ in range(n_x)]
        ahead, offset = builder.mul(panel, LONG(n_panels)), builder.mul(line, LONG(LINE))
        lines = []
        for p in range(n_panels):
            at = builder.add(builder.add(w, builder.mul(panel, LONG(p))), offset)
            ask_for(builder, builder.add(at, ahead))
            lines.append(load(builder, at, INTS))
        new = []
        for i in range(n_x):
            at = builder.add(x, builder.mul(x_row, LONG(i)))
            four = load(builder, builder.add(at, builder.mul(line, LONG(DEPTH))), INT)
            row = _everywhere(builder, four)
            new.append([_vnni(builder, totals[i][p], row, lines[p]) for p in range(n_panels)])
        following = builder.add(line, LONG(1))
        builder.cbranch(builder.icmp_signed("<", following, n_lines), loop, after)
        line.add_incoming(LONG(0), before)
        line.add_incoming(following, loop)
        builder.position_at_end(after)
        for i in range(n_x):
            for p in range(n_panels):
                totals[i][p].add_incoming(ir.Constant(INTS, [0] * OUTPUTS), before)
                totals[i][p].add_incoming(new[i][p], loop)
                at = builder.add(builder.add(y, builder.mul(y_row, LONG(i))), LONG(LINE * p))
                builder.store(new[i][p], pointer(builder, at, INTS), align=4)
        return _context.get_dummy_value()

    return _seven_numbers(generate)


def _everywhere(builder: ir.IRBuilder, number: Value) -> Value:
    one = builder.insert_element(ir.Constant(INTS, ir.Undefined), number, INT(0))
    return builder.shuffle_vector(one, one, ir.Constant(INTS, [0] * OUTPUTS))


def _vnni(builder: ir.IRBuilder, total: Value, row: Value, line: Value) -> Value:
    kind = BYTES if binding.llvm_version_info[0] >= BYTES_SINCE else INTS
    given = (builder.bitcast(part, kind) for part in (row, line))
    return call(builder, "llvm.x86.avx512.vpdpbusd.512", INTS, total, *given)


def amx_sums(n_blocks: int, n_panels: int) -> Any:
    """As `vnni_sums` for sixteen rows a block: X = 16 · blocks. n_lines is a multiple of 16."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> Any:
        w, panel, x, x_row, n_lines, y, y_row = given
        sums = [[n_panels * b + p for p in range(n_panels)] for b in range(n_blocks)]  # of tiles
        first = n_blocks * n_panels
        rows = [first + b for b in range(n_blocks)]
        weights = [first + n_blocks + p for p in range(n_panels)]
        for block in sums:
            for tile in block:
                call(builder, "llvm.x86.tilezero", None, BYTE(tile))
        before = builder.block
        loop, after = (builder.append_basic_block(name) for name in ("tile", "sums"))
        builder.branch(loop)
        builder.position_at_end(loop)
        line = builder.phi(LONG)
        ahead, offset = builder.mul(panel, LONG(n_panels)), builder.mul(line, LONG(LINE))
        for p, tile in enumerate(weights):
            at = builder.add(builder.add(w, builder.mul(panel, LONG(p))), offset)
            for i in range(TILE_ROWS):
                ask_for(builder, builder.add(at, builder.add(ahead, LONG(LINE * i))))
            _load_tile(builder, tile, at, LONG(LINE))
        for b, tile in enumerate(rows):
            at = builder.add(x, builder.mul(x_row, LONG(TILE_ROWS * b)))
            _load_tile(builder, tile, builder.add(at, builder.mul(line, LONG(DEPTH))), x_row)
            for p, weight in enumerate(weights):
                given_tiles = (BYTE(sums[b][p]), BYTE(tile), BYTE(weight))
                call(builder, "llvm.x86.tdpbusd", None, *given_tiles)
        following = builder.add(line, LONG(TILE_ROWS))
        builder.cbranch(builder.icmp_signed("<", following, n_lines), loop, after)
        line.add_incoming(LONG(0), before)
        line.add_incoming(following, loop)
        builder.position_at_end(after)
        for b, block in enumerate(sums):
            for p, tile in enumerate(block):
                at = builder.add(y, builder.mul(y_row, LONG(TILE_ROWS * b)))
                place = pointer(builder, builder.add(at, LONG(LINE * p)), BYTE)
                call(builder, "llvm.x86.tilestored64", None, BYTE(tile), place, y_row)
        return _context.get_dummy_value()

    return _seven_numbers(generate)


def _load_tile(builder: ir.IRBuilder, tile: int, at: Value, row: Value) -> None:
    call(builder, "llvm.x86.tileloadd64", None, BYTE(tile), pointer(builder, at, BYTE), row)


def _seven_numbers(generate: Any) -> Any:
    def typed(_typing: Any, w, panel, x, x_row, n_lines, y, y_row) -> Any:  # type: ignore[no-untyped-def]
        return types.void(*[types.int64] * 7), generate

    return intrinsic(typed)


def _tile_setting(name: str) -> Any:
    """A function for kernels, (at) -> nothing: sets the tiles' sizes, or writes them down."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> Any:
        call(builder, name, None, pointer(builder, given[0], BYTE))
        return _context.get_dummy_value()

    def typed(_typing: Any, at) -> Any:  # type: ignore[no-untyped-def]
        return types.void(types.int64), generate

    return intrinsic(typed)


set_tiles, write_tiles = _tile_setting("llvm.x86.ldtilecfg"), _tile_setting("llvm.x86.sttilecfg")
