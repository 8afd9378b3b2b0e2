"""Products of a decoder: of a few rows at most steps, of many when many texts go together.

A step with few rows reads the weights as they are (`runtime/few_rows.py`). With more rows it wants
them in a library's layout (`runtime/packed.py`), which is made when such a step comes and not
before: who decodes a few texts has the weights once in memory. A prompt, read once, does without
it. In int8 one layout is for any number of rows (`runtime/int8_rows.py`).

Shapes: I columns in, O columns out.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from triptych.core.products import has_onednn
from triptych.runtime.few_rows import FewRows
from triptych.runtime.half_query import WIDTHS
from triptych.runtime.half_rows import HalfRows, has_halves
from triptych.runtime.instructions import AVX_512, FMA, NEON, can_compile
from triptych.runtime.int8_rows import Int8Rows
from triptych.runtime.linear import Activation, fast_linear
from triptych.runtime.openmp import has_team
from triptych.runtime.packed import (
    SMALL,
    Activated,
    InPieces,
    OneDnn,
    Plain,
    Precision,
    Product,
    activated,
    packed,
    rounded,
)

LayOut = Callable[[], Product]
MOST = {"fp32": 8, "bf16": 4}
"""Rows up to which our loop is the faster one (`benchmarks/kernels.py`), with AVX-512's vectors."""
MOST_NARROW = 2
"""With narrower ones, whose registers the sums of more rows do not fit."""


def most_rows(precision: Precision) -> int:
    return MOST[precision] if can_compile(AVX_512) else min(MOST[precision], MOST_NARROW)


def has_rows() -> bool:
    """Whether our loop can be had, and multiplies and adds in one instruction."""
    return has_team() and (can_compile(FMA) or can_compile(NEON))


def for_steps(
    weight: Tensor, bias: Tensor | None, precision: Precision, activation: Activation | None = None
) -> Product:
    """act(x Wᵀ + b): weight [O, I], bias [O], x [..., I]; x [B, T, I] with T > 1 is a prompt."""
    is_small = precision == "fp32" and weight.numel() <= SMALL
    if precision == "bf16" and has_halves():
        return rounded(HalfRows(weight, bias), activation)
    if precision == "int8" or is_small or not has_rows() or not has_onednn():
        return packed(weight, bias, precision, activation)
    return _float_by_rows(weight, bias, precision, activation)


def type_of_past(precision: Precision, width: int) -> torch.dtype:
    """Of the keys and values that a decoder keeps, with heads so wide."""
    is_half = precision == "bf16" and has_halves() and width % WIDTHS == 0
    return torch.bfloat16 if is_half else torch.float32


Rows = FewRows | HalfRows | Int8Rows


def rows_of(product: Product) -> Rows | None:
    """Our loop for the rows of a step, of a product without what is applied to its result; None
    where it has none."""
    if isinstance(product, _ByRows):
        product = product.few
    if isinstance(product, Activated):
        product = product.product
    if isinstance(product, Plain) and has_rows():
        return FewRows(product.weight, product.bias)
    return product if isinstance(product, Rows) else None


class _ByRows:
    def __init__(self, few: Product, most: int, prompt: Product, lay_out: LayOut) -> None:
        self.few, self.most, self.prompt, self.lay_out = few, most, prompt, lay_out
        self.many: Product | None = None

    def __call__(self, x: Tensor) -> Tensor:
        if x.numel() <= self.most * x.size(-1):
            return self.few(x)
        is_prompt = x.dim() == 3 and x.size(1) > 1
        if self.many is None and is_prompt:
            return self.prompt(x)
        self.many = self.many or self.lay_out()
        return self.many(x)


def _float_by_rows(
    weight: Tensor, bias: Tensor | None, precision: Precision, activation: Activation | None
) -> Product:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    w, b = weight.detach().to(dtype).contiguous(), None if bias is None else bias.detach().to(dtype)

    def prompt(x: Tensor) -> Tensor:
        return fast_linear(x.to(dtype), w, b, activation)

    def laid_out_linear() -> Product:
        return InPieces(OneDnn(w, b, activation))

    few = activated(FewRows(w, bias), activation)
    return _ByRows(few, most_rows(precision), InPieces(prompt), laid_out_linear)
