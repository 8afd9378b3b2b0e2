"""The compiler's own language inside a kernel: what `dots.py`, `panels.py` and others share."""

from collections.abc import Callable
from functools import cache
from inspect import Parameter, Signature
from typing import Any

import numba
from llvmlite import binding, ir
from numba import types
from numba.core.extending import intrinsic

Value = Any
"""A value of that language."""
Build = Any
"""What puts instruction behind instruction (`llvmlite.ir.IRBuilder`)."""
LONG, INT, BYTE, FLOAT = ir.IntType(64), ir.IntType(32), ir.IntType(8), ir.FloatType()
INTS, FLOATS = ir.VectorType(INT, 16), ir.VectorType(FLOAT, 16)


AVX_512, FMA, NEON = "avx512f", "fma", "neon"


@cache
def can_compile(feature: str) -> bool:
    """Whether the compiler makes code for a processor with this, by LLVM's name for it: that of
    this machine, unless numba was told of another. Asked for what is not there it would end the
    process."""
    if numba.config.CPU_NAME or numba.config.CPU_FEATURES is not None:
        return False
    if not numba.config.ENABLE_AVX and feature.startswith("avx"):
        return False
    try:
        return bool(binding.get_host_cpu_features().get(feature))
    except RuntimeError:  # of this machine it knows none
        return False


def add(builder: Build, at: Value, *more: Value | int) -> Value:
    """An address so many bytes further on."""
    for n in more:
        at = builder.add(at, LONG(n) if isinstance(n, int) else n)
    return at


def times(builder: Build, n: Value, factor: int) -> Value:
    return builder.mul(n, LONG(factor))


def pointer(builder: Build, at: Value, kind: ir.Type) -> Value:
    return builder.inttoptr(at, kind.as_pointer())


def load(builder: Build, at: Value, kind: ir.Type) -> Value:
    """From an address of any alignment."""
    return builder.load(pointer(builder, at, kind), align=1)


def store(builder: Build, value: Value, at: Value) -> None:
    """At an address that four divides."""
    builder.store(value, pointer(builder, at, value.type), align=4)


def everywhere(builder: Build, number: Value) -> Value:
    """Sixteen times the same 32 bits."""
    one = builder.insert_element(ir.Constant(INTS, ir.Undefined), number, INT(0))
    return builder.shuffle_vector(one, one, ir.Constant(INTS, [0] * 16))


def call(builder: Build, name: str, result: ir.Type | None, *given: Value) -> Value:
    """One of the compiler's own functions; most are an instruction."""
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(result or ir.VoidType(), [value.type for value in given])
        function = ir.Function(builder.module, kind, name)
    return builder.call(function, given)


def ask_for(builder: Build, at: Value) -> None:
    """Let the memory bring what is at an address, which need not exist."""
    call(builder, "llvm.prefetch.p0", None, pointer(builder, at, BYTE), INT(0), INT(3), INT(1))


class Loop:
    """`index` is 0, step, 2 · step … as long as it is below `stop`, and at least once 0.

    What is built after this stands in the loop, until `end`.
    """

    def __init__(self, builder: Build, stop: Value, step: int = 1) -> None:
        self.builder, self.stop, self.step, self.before = builder, stop, step, builder.block
        self.block = builder.append_basic_block("loop")
        builder.branch(self.block)
        builder.position_at_end(self.block)
        self.index = self.carried(LONG(0))

    def carried(self, first: Value) -> Value:
        """A value that each round leaves to the next, see `end`; before all else in the loop."""
        value = self.builder.phi(first.type)
        value.add_incoming(first, self.before)
        return value

    def end(self, *left: tuple[Value, Value]) -> None:
        """With each carried value and what it is in the next round."""
        following = add(self.builder, self.index, self.step)
        for value, new in ((self.index, following), *left):
            value.add_incoming(new, self.block)
        after = self.builder.append_basic_block("after")
        goes_on = self.builder.icmp_signed("<", following, self.stop)
        self.builder.cbranch(goes_on, self.block, after)
        self.builder.position_at_end(after)


def for_kernels(n_given: int, build: Callable[[Build, Any], None]) -> Any:
    """A function of so many whole numbers, for kernels, whose instructions `build` makes."""

    def generate(context: Any, builder: Build, _signature: Any, given: Any) -> Any:
        build(builder, given)
        return context.get_dummy_value()

    def typed(_typing: Any, *given: Any) -> Any:
        return types.void(*[types.int64] * n_given), generate

    names = ("typing", *(f"n{i}" for i in range(n_given)))  # numba wants to see them one by one
    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    typed.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return intrinsic(typed)
