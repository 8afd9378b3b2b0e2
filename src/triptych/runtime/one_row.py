"""x Wᵀ + b for a single row x, as fast as W is read.

What decodes one text reads every weight once a token and does two operations with it. Libraries'
products are made for many rows, and with one take 1.3 to 3.0 times as long as this loop, which
reads at the memory's speed (`benchmarks/kernels.py`). Weights stay as they are, a row an output;
all threads have as many outputs each.

Shapes: I columns in, O columns out.
"""

import numpy as np
import torch
from numba import carray
from torch import Tensor

from triptych.runtime.int8_loops import LEVELS, PIECE, quantize
from triptych.runtime.team import (
    Arrays,
    Kernel,
    Scalar,
    address,
    floats,
    inner,
    share,
    thread_number,
)


@inner
def dot(a: Arrays, b: Arrays) -> Scalar:
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@inner
def as_float(bits: int) -> Scalar:
    """bfloat16 is the upper half of float32."""
    return np.uint32(np.uint32(bits) << np.uint32(16)).view(np.float32)


@inner
def dot_bf16(a: Arrays, b: Arrays) -> Scalar:
    total = np.float32(0)
    for i in range(len(a)):
        total += as_float(a[i]) * as_float(b[i])
    return total


@inner
def dot_int8(a: Arrays, b: Arrays) -> Scalar:
    total = np.int32(0)
    for i in range(len(a)):
        total += np.int32(a[i]) * np.int32(b[i])
    return np.int32(total)  # told to be 32 bits wide, it becomes the processor's own products


@Kernel
def float_row(data):  # type: ignore[no-untyped-def]
    x_at, w_at, y_at, n_out, n_in = carray(data, 5)
    x, w, y = floats(x_at, 0, (n_in,)), floats(w_at, 0, (n_out, n_in)), floats(y_at, 0, (n_out,))
    first, last = share(n_out)
    for j in range(first, last):
        y[j] = dot(w[j], x)


@Kernel
def bf16_row(data):  # type: ignore[no-untyped-def]
    x_at, w_at, y_at, n_out, n_in = carray(data, 5)
    x, y = carray(address(x_at), n_in, np.uint16), floats(y_at, 0, (n_out,))
    w = carray(address(w_at), (n_out, n_in), np.uint16)
    first, last = share(n_out)
    for j in range(first, last):
        y[j] = dot_bf16(w[j], x)


@Kernel
def int8_row(data):  # type: ignore[no-untyped-def]
    x_at, rows_at, w_at, shift_at, scale_at, bias_at, y_at, n_out, n_in = carray(data, 9)
    x, bits = floats(x_at, 0, (n_in,)), carray(address(x_at), n_in, np.int32)
    w = carray(address(w_at), (n_out, n_in), np.int8)
    shift = carray(address(shift_at), n_out, np.int32)
    scale, bias = floats(scale_at, 0, (n_out,)), floats(bias_at, 0, (n_out,))
    y = floats(y_at, 0, (n_out,))
    mine = carray(address(rows_at + thread_number() * n_in), n_in, np.uint8)
    largest = quantize(x, bits, mine)  # by each thread for itself: sooner done than waited for
    first, last = share(n_out)
    for j in range(first, last):
        y[j] = np.float32(dot_int8(w[j], mine) - shift[j]) * scale[j] * largest + bias[j]


def row_product(x: Tensor, weight: Tensor) -> Tensor:
    """x [..., I] of one row in all, weight [O, I], both float32 or both bfloat16 and contiguous
    -> x Wᵀ [..., O] in float32."""
    kernel = bf16_row if weight.dtype == torch.bfloat16 else float_row
    n_out, n_in = weight.shape
    y = torch.empty(*x.shape[:-1], n_out)
    kernel(x.data_ptr(), weight.data_ptr(), y.data_ptr(), n_out, n_in)
    return y


class Int8Row:
    """`runtime/int8.py:Int8Linear` of one row x [..., I], to the bit: w [O, I], S [O], bias [O]."""

    def __init__(self, w: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        self.w, self.scale = w, scale / LEVELS
        self.shift = torch.empty(len(w), dtype=torch.int32)
        for some, sums in zip(torch.split(w, PIECE), torch.split(self.shift, PIECE), strict=True):
            torch.sum(some, 1, dtype=torch.int32, out=sums)  # by way of a copy of it in 32 bits
        self.shift *= 128
        self.bias = torch.zeros(len(w)) if bias is None else bias.detach().float().contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        n_out, n_in = self.w.shape
        y = torch.empty(*x.shape[:-1], n_out)
        bytes_ = torch.empty(torch.get_num_threads() * n_in, dtype=torch.uint8)
        given = (x, bytes_, self.w, self.shift, self.scale, self.bias, y)
        int8_row(*(tensor.data_ptr() for tensor in given), n_out, n_in)
        return y
