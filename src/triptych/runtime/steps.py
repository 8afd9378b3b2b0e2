"""Products of a decoder: of one row at most steps, of a few when texts go together, of many once.

A step with one row reads the weights as they are (`runtime/one_row.py`). With more rows it wants
them in a library's layout (`runtime/packed.py`), which is made when such a step comes and not
before: who decodes one text has the weights once in memory. A prompt, read once, does without it.

Shapes: I columns in, O columns out.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from triptych.core.products import has_onednn
from triptych.runtime.int8 import Int8Linear, has_int8, laid_out, quantize_weight
from triptych.runtime.int8_loops import LEVELS
from triptych.runtime.linear import fast_linear
from triptych.runtime.one_row import Int8Row, row_product
from triptych.runtime.openmp import has_team
from triptych.runtime.packed import (
    SMALL,
    Activation,
    InPieces,
    OneDnn,
    Precision,
    Product,
    packed,
)


def for_steps(
    weight: Tensor, bias: Tensor | None, precision: Precision, activation: Activation | None = None
) -> Product:
    """act(x Wᵀ + b): weight [O, I], bias [O], x [..., I]; x [B, T, I] with T > 1 is a prompt."""
    is_small = precision == "fp32" and weight.numel() <= SMALL
    is_exact = precision != "int8" or has_int8()  # of torch's own product of integers
    if is_small or not is_exact or not has_team() or not has_onednn():
        return packed(weight, bias, precision, activation)
    if precision == "int8":
        return _int8_by_rows(weight, bias, activation)
    return _float_by_rows(weight, bias, precision, activation)


class _ByRows:
    def __init__(self, one: Product, prompt: Product, lay_out: Callable[[], Product]) -> None:
        self.one, self.prompt, self.lay_out = one, prompt, lay_out
        self.few: Product | None = None

    def __call__(self, x: Tensor) -> Tensor:
        if x.numel() == x.size(-1):
            return self.one(x.contiguous())
        is_prompt = x.dim() == 3 and x.size(1) > 1
        if self.few is None and is_prompt:
            return self.prompt(x)
        self.few = self.few or self.lay_out()
        return self.few(x)


def _float_by_rows(
    weight: Tensor, bias: Tensor | None, precision: Precision, activation: Activation | None
) -> Product:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    w, b = weight.detach().to(dtype).contiguous(), None if bias is None else bias.detach().float()
    small_b = None if b is None else b.to(dtype)

    def one(x: Tensor) -> Tensor:
        y = row_product(x.to(dtype), w)
        y = y if b is None else y.add_(b)
        return y if activation is None else activation(y)

    def prompt(x: Tensor) -> Tensor:
        return fast_linear(x.to(dtype), w, small_b, activation)

    return _ByRows(one, InPieces(prompt), lambda: InPieces(OneDnn(w, small_b, activation)))


def _int8_by_rows(weight: Tensor, bias: Tensor | None, activation: Activation | None) -> Product:
    w, scale = quantize_weight(weight)
    loop = Int8Row(w, scale, bias)

    def one(x: Tensor) -> Tensor:
        y = loop(x)
        return y if activation is None else activation(y)

    def multiply(rows: Tensor) -> Tensor:
        signed = rows.view(-1, rows.size(-1)).bitwise_xor(128).view(torch.int8)  # X
        return torch.mul(torch._int_mm(signed, w.T), scale / LEVELS).view(*rows.shape[:-1], -1)

    def laid_out_linear() -> Product:
        return InPieces(Int8Linear(laid_out(w, scale), bias, activation))

    return _ByRows(one, InPieces(Int8Linear(multiply, bias, activation)), laid_out_linear)
