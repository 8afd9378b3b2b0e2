"""x Wᵀ + b in 8-bit integers: weights with a scale for each output, inputs with one for each row.

x ≈ a · X / 127 with a = max |x| of its row, W ≈ S · w, so x Wᵀ ≈ a · (S / 127) · (X wᵀ), and X wᵀ
is a sum of integers, which has no rounding: a row comes out the same whatever stands beside it. The
scale of a row is found anew for each input, so nothing has to be calibrated.

This is the plain twin of `runtime/int8_rows.py`. Its product is oneDNN's, which takes inputs as
bytes without a sign, so X has 128 added. Of torch's others on a processor with VNNI, `_int_mm` is
as fast for one row and half as fast for eight, `quantized.linear_dynamic` knows no scale for each
row and `_weight_int8pack_mm` is slower.

Shapes: I columns in, O columns out.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

LEVELS = 127
SMALLEST = 1e-30
"""In place of the largest number of a row that is all zeros."""
PIECE = 256
"""Rows of a weight that are looked at in one go."""
HALF = torch.tensor(128.5, dtype=torch.float32)
Multiply = Callable[[Tensor], Tensor]
"""X + 128 [..., I] as bytes -> S / 127 · (X wᵀ) [..., O] in float32."""


def quantize_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """weight [O, I] -> w [O, I] int8 and S [O] with W ≈ S · w, its largest error S / 2."""
    weight = weight.detach()
    w, scale = (
        torch.empty(weight.shape, dtype=torch.int8, device=weight.device),
        torch.empty(len(weight), dtype=torch.float32, device=weight.device),
    )
    for first in range(0, len(weight), PIECE):  # what is between stays small in memory
        rows = slice(first, first + PIECE)
        some = weight[rows].float()
        largest = some.abs().amax(dim=1).clamp_(min=SMALLEST)
        scale[rows] = largest / LEVELS
        w[rows] = (some / scale[rows, None]).round_().to(torch.int8)
    return w, scale


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [..., I] -> X + 128 [..., I] as bytes without a sign, and a [..., 1]."""
    largest = x.abs().amax(dim=-1, keepdim=True).clamp_(min=SMALLEST)
    # Truncation after adding a half is rounding, as nothing is below 0.
    return torch.addcdiv(HALF, x, largest, value=LEVELS).to(torch.uint8), largest


def finish_rows(y: Tensor, largest: Tensor, bias: Tensor | None) -> Tensor:
    """y [..., O] · a [..., 1] + b [O], in place."""
    y = y.mul_(largest)
    return y if bias is None else y.add_(bias)


def has_int8() -> bool:
    """Whether oneDNN has the product, and the processor the instruction (VNNI) that makes it exact.

    Older ones add pairs of products in 16 bits, where they overflow.
    """
    has_vnni = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return hasattr(torch.ops.onednn, "qlinear_pointwise") and bool(has_vnni())


def laid_out(w: Tensor, scale: Tensor) -> Multiply:
    """Of w [O, I] and S [O], in the layout of the library where there is one."""
    product = _OneDnnProduct if has_int8() else _PlainProduct
    return product(w, scale / LEVELS)


class Int8Linear:
    """act(x Wᵀ + b) for float32 x [..., I] -> float32 [..., O], by a product of integers."""

    def __init__(
        self,
        multiply: Multiply,
        bias: Tensor | None,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.multiply, self.activation = multiply, activation
        self.bias = None if bias is None else bias.detach().float().contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        rows, largest = quantize_rows(x)
        y = finish_rows(self.multiply(rows), largest, self.bias)
        return y if self.activation is None else self.activation(y)


def int8_linear(
    weight: Tensor,
    bias: Tensor | None,
    activation: Callable[[Tensor], Tensor] | None = None,
) -> Int8Linear:
    """Of weight [O, I], bias [O], for any number of rows."""
    return Int8Linear(laid_out(*quantize_weight(weight)), bias, activation)


class _OneDnnProduct:
    """S / 127 · (X wᵀ)."""

    def __init__(self, w: Tensor, scale: Tensor) -> None:
        # It takes no strides into account, and a weight may be a view of a mapped file.
        self.w: Any = torch.ops.onednn.qlinear_prepack(w.contiguous(), None)
        self.scale, self.no_shift = scale, torch.zeros(len(w), dtype=torch.int32)

    def __call__(self, rows: Tensor) -> Tensor:
        y: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(rows, 1.0, 128, self.w, self.scale, self.no_shift, None),
            *(1.0, 0, torch.float32, "none", [], ""),
        )
        return y


class _PlainProduct:
    """The same in float32, for any machine: no faster than float32 weights, and as large."""

    def __init__(self, w: Tensor, scale: Tensor) -> None:
        self.w, self.scale = w.float().T, scale

    def __call__(self, rows: Tensor) -> Tensor:
        return ((rows.float() - 128) @ self.w).mul_(self.scale)
