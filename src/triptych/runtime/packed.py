"""x Wᵀ + b for a weight used many times: laid out once for the product, and smaller if asked.

A decoding step reads every weight once and does little with it, so its time is that of reading.
oneDNN's own layout is read at the memory's speed, in float32 about twice as fast as by `F.linear`
at one row, and three times at eight (`benchmarks/generate.py`); bf16 has half the bytes, int8 a
quarter (`runtime/int8.py`). Without gradients; without oneDNN it is `F.linear`.

Shapes: I columns in, O columns out.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.core.products import has_onednn
from triptych.runtime.gelu import rounded_gelu
from triptych.runtime.int8 import int8_linear, quantize_weight
from triptych.runtime.int8_rows import Int8Rows, has_bytes
from triptych.runtime.linear import Activation, fused

Precision = Literal["fp32", "bf16", "int8"]
Product = Callable[[Tensor], Tensor]
"""x [..., I] -> [..., O]."""

SMALL = 65_536
"""Elements up to which a float32 weight stays in the core's own cache: there oneDNN's 12 µs a call
are longer than the whole of `F.linear` at one row."""


def packed(
    weight: Tensor, bias: Tensor | None, precision: Precision, activation: Activation | None = None
) -> Product:
    """act(x Wᵀ + b): weight [O, I], bias [O]. What comes out is bf16 for bf16, else float32."""
    if precision == "int8" and has_bytes():
        return rounded(Int8Rows(*quantize_weight(weight), bias), activation)
    if precision == "int8":
        return InPieces(int8_linear(weight, bias, activation))
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    weight = weight.detach().to(dtype).contiguous()
    bias = None if bias is None else bias.detach().to(dtype)
    is_small = precision == "fp32" and weight.numel() <= SMALL
    if is_small:
        return Plain(weight, bias, activation)
    product = library_product(weight, bias, activation)
    return product if isinstance(product, Plain) else InPieces(product)


def version_of(weight: Tensor) -> tuple[int, int]:
    """Changes when a weight moves, or is changed in a way that torch counts (not by `.data`)."""
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version


class Activated:
    """act(product(x))."""

    def __init__(self, product: Product, activation: Activation) -> None:
        self.product, self.activation = product, activation

    def __call__(self, x: Tensor) -> Tensor:
        return self.activation(self.product(x))


def rounded(product: Product, activation: Activation | None) -> Product:
    """As `activated`, where the next product rounds what comes out."""
    return activated(product, None if activation is None else rounded_gelu(activation))


def activated(product: Product, activation: Activation | None) -> Product:
    return product if activation is None else Activated(product, activation)


def library_product(
    weight: Tensor, bias: Tensor | None, activation: Activation | None = None
) -> Product:
    """The same for numbers of rows that are few already: weight [O, I], contiguous, and bias [O]
    have the precision that x has."""
    if has_onednn() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return OneDnn(weight, bias, activation)
    return Plain(weight, bias, activation)


FEW, PIECE, MOST = 16, 256, 1024
"""Rows that go as they are; rows of whose number larger pieces are a multiple; and their most."""


class InPieces:
    """A product whose rows come in few numbers, whatever the prompts.

    oneDNN keeps code, a megabyte or so, for each number of rows (`core/products.py`), and lays out
    weights that are as they were for each piece. More than a few rows go in pieces of 256 to 1,024,
    and what is left is filled up to 32, 64, 128 or 256.
    """

    def __init__(self, product: Product) -> None:
        self.product = product

    def __call__(self, x: Tensor) -> Tensor:
        n_rows = x.numel() // x.size(-1)
        if n_rows <= FEW:
            return self.product(x)
        found = [self.product(piece) for piece in _cut(x.reshape(n_rows, -1))]
        y = found[0] if len(found) == 1 else torch.cat(found)
        return y[:n_rows].view(*x.shape[:-1], -1)


def _cut(rows: Tensor) -> list[Tensor]:
    """rows [R, I] in pieces, with rows of zeros at the end."""
    pieces = []
    for piece in torch.split(rows, MOST):
        left = len(piece) % PIECE
        if left > PIECE // 2 or left == len(piece):
            pieces.append(_filled_up(piece))
        elif left:
            pieces += [piece[:-left], _filled_up(piece[-left:])]
        else:
            pieces.append(piece)
    return pieces


def _filled_up(piece: Tensor) -> Tensor:
    """piece [n, I] with rows of zeros up to the next power of two, from 32 to 256, or a multiple of
    256."""
    n = len(piece)
    whole = -(-n // PIECE) * PIECE if n > PIECE else max(32, 1 << (n - 1).bit_length())
    return F.pad(piece, (0, 0, 0, whole - n)) if whole > n else piece


class OneDnn:
    """In the library's own layout."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation | None) -> None:
        # Without a number of rows: the layout for one row is slow for all others.
        self.weight: Any = torch.ops.mkldnn._reorder_linear_weight(weight)
        self.bias, self.dtype = bias, weight.dtype
        self.name, self.algorithm, self.activation = fused(activation)

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(
            x.to(self.dtype), self.weight, self.bias, self.name, [], self.algorithm
        )
        return y if self.activation is None else self.activation(y)


class Plain:
    """The weight as it is."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation | None) -> None:
        self.weight, self.bias, self.activation = weight, bias, activation

    def __call__(self, x: Tensor) -> Tensor:
        y = F.linear(x.to(self.weight.dtype), self.weight, self.bias)
        return y if self.activation is None else self.activation(y)
