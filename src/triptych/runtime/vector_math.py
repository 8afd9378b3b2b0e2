"""bfloat16, and both kinds of GELU as precise as it can show, of sixteen numbers at once, in the
compiler's own language: a loop over numbers would compute half as many, and divide exactly.

Where the processor has no `BFLOAT`, none of these may be put into a kernel.
"""

import math

from llvmlite import ir

from triptych.runtime.instructions import FLOATS, INT, INTS, Build, Value, call, load, store

BFLOAT = "avx512bf16"
SIXTEEN = ir.IntType(16)
EVERY = SIXTEEN(-1)
"""A mask of all sixteen."""
AS_SET = INT(4)
"""Rounding as the processor is set to."""
POWERS_OF_2 = (0.0096181291, 0.0555041086, 0.2402265069, 0.6931471805, 1.0)
"""2^r = Σ ln(2)^k / k! · r^k to r^4, highest first; to 4e-5 for |r| ≤ ½."""
TAIL = (
    0.5 * 1.061405429,
    0.5 * -1.453152027,
    0.5 * 1.421413741,
    0.5 * -0.284496736,
    0.5 * 0.254829592,
)
CUBIC = 0.044715
SLOPE = 2 * math.sqrt(2 / math.pi)


class HalfType(ir.Type):  # type: ignore[misc]
    """bfloat16, which llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HalfType)

    def __hash__(self) -> int:
        return hash(HalfType)


def load_halves(builder: Build, at: Value) -> Value:
    """Sixteen bfloat16 as floats."""
    wide = builder.zext(load(builder, at, ir.VectorType(SIXTEEN, 16)), INTS)
    return builder.bitcast(builder.shl(wide, ir.Constant(INTS, [16] * 16)), FLOATS)


def store_halves(builder: Build, values: Value, at: Value) -> None:
    """Sixteen floats, rounded to bfloat16."""
    halves = builder.fptrunc(values, ir.VectorType(HalfType(), 16))
    store(builder, builder.bitcast(halves, ir.VectorType(INT, 8)), at)


def number(value: float) -> Value:
    return ir.Constant(FLOATS, [value] * 16)


def fma(builder: Build, a: Value, b: Value, c: Value) -> Value:
    """a · b + c."""
    return call(builder, "llvm.fma.v16f32", FLOATS, a, b, c)


def power_of_2(builder: Build, x: Value) -> Value:
    """2^x = 2^n · 2^r with n whole."""
    n = call(builder, "llvm.rint.v16f32", FLOATS, x)
    r = builder.fsub(x, n)
    found = number(POWERS_OF_2[0])
    for factor in POWERS_OF_2[1:]:
        found = fma(builder, found, r, number(factor))
    scale = "llvm.x86.avx512.mask.scalef.ps.512"
    return call(builder, scale, FLOATS, found, n, found, EVERY, AS_SET)


def reciprocal(builder: Build, x: Value) -> Value:
    """1 / x to 6e-5."""
    return call(builder, "llvm.x86.avx512.rcp14.ps.512", FLOATS, x, x, EVERY)


def sigmoid(builder: Build, x: Value) -> Value:
    """1 / (1 + e^-x)."""
    power = power_of_2(builder, builder.fmul(x, number(-1 / math.log(2))))
    return reciprocal(builder, builder.fadd(number(1), power))


def gelu_parts(builder: Build, x: Value) -> tuple[Value, Value]:
    """GELU(x) = x · σ(2u), u = √(2/π) (x + 0.044715 x³) -> x² and σ(2u)."""
    square = builder.fmul(x, x)
    inner = fma(builder, square, number(SLOPE * CUBIC), number(SLOPE))
    return square, sigmoid(builder, builder.fmul(x, inner))


def gelu(builder: Build, x: Value) -> Value:
    return builder.fmul(x, gelu_parts(builder, x)[1])


def gelu_gradient(builder: Build, x: Value, dy: Value) -> Value:
    """dy (σ + x · σ (1 − σ) · (2u)′), (2u)′ = 2 √(2/π) (1 + 3 · 0.044715 x²)."""
    square, s = gelu_parts(builder, x)
    inner = fma(builder, square, number(3 * SLOPE * CUBIC), number(SLOPE))
    rest = builder.fmul(s, builder.fsub(number(1), s))
    return builder.fmul(dy, fma(builder, builder.fmul(x, rest), inner, s))


def normal_parts(builder: Build, x: Value) -> tuple[Value, Value]:
    """Φ(x), by a polynomial for its tail (Abramowitz and Stegun 1964, 7.1.26), and e^(-x²/2)."""
    size = call(builder, "llvm.fabs.v16f32", FLOATS, x)
    t = reciprocal(builder, fma(builder, size, number(0.3275911 * math.sqrt(0.5)), number(1)))
    p = number(TAIL[0])
    for factor in TAIL[1:]:
        p = fma(builder, p, t, number(factor))
    bell = power_of_2(builder, builder.fmul(builder.fmul(x, x), number(-0.5 / math.log(2))))
    tail = builder.fmul(builder.fmul(p, t), bell)
    is_above = builder.fcmp_unordered(">", x, number(0))
    return builder.select(is_above, builder.fsub(number(1), tail), tail), bell


def exact_gelu(builder: Build, x: Value) -> Value:
    """x · Φ(x)."""
    return builder.fmul(x, normal_parts(builder, x)[0])


def exact_gelu_gradient(builder: Build, x: Value, dy: Value) -> Value:
    """dy (Φ(x) + x · e^(-x²/2) / √(2π))."""
    below, bell = normal_parts(builder, x)
    density = builder.fmul(bell, number(1 / math.sqrt(2 * math.pi)))
    return builder.fmul(dy, fma(builder, x, density, below))
