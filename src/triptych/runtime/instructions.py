"""The compiler's own language inside a kernel: what `runtime/dots.py` and `panels.py` share."""

from typing import Any

from llvmlite import ir

Value = Any
"""A value of that language."""
LONG, INT, BYTE, FLOAT = ir.IntType(64), ir.IntType(32), ir.IntType(8), ir.FloatType()
INTS, FLOATS = ir.VectorType(INT, 16), ir.VectorType(FLOAT, 16)


def pointer(builder: ir.IRBuilder, at: Value, kind: ir.Type) -> Value:
    return builder.inttoptr(at, kind.as_pointer())


def load(builder: ir.IRBuilder, at: Value, kind: ir.Type) -> Value:
    """From an address of any alignment."""
    return builder.load(pointer(builder, at, kind), align=1)


def call(builder: ir.IRBuilder, name: str, result: ir.Type | None, *given: Value) -> Value:
    """One of the compiler's own functions; most are an instruction."""
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(result or ir.VoidType(), [value.type for value in given])
        function = ir.Function(builder.module, kind, name)
    return builder.call(function, given)


def ask_for(builder: ir.IRBuilder, at: Value) -> None:
    """Let the memory bring what is at an address, which need not exist."""
    call(builder, "llvm.prefetch.p0", None, pointer(builder, at, BYTE), INT(0), INT(3), INT(1))
