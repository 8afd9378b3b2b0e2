"""x Wᵀ + b for a few rows x, as fast as W is read.

What decodes reads every weight once a step and does little with it. Libraries' products are made
for many rows; this loop asks the memory ahead of what it reads (`benchmarks/kernels.py` compares
them). Weights stay as they are, a row an output, and threads take some of the outputs. A row comes
out the same, to the bit, whatever stands beside it.

Shapes: R rows, I columns in, O columns out.
"""

from typing import Any

import torch
import torch.nn.functional as F
from numba import carray
from torch import Tensor

from triptych.runtime.dots import CHUNK, FLOAT, HALF, Kind, dots
from triptych.runtime.halves import as_float, as_half
from triptych.runtime.pieces import ALL, NONE_LEFT, block_of, number_of_blocks, take, untaken
from triptych.runtime.team import (
    Arrays,
    Kernel,
    Scalar,
    floats,
    inner,
    scratch_for,
    thread_number,
)

BLOCK = 4
"""Outputs that are computed together."""
TOGETHER = 8
"""Rows that are computed together: with two rows of weights half of AVX-512's registers."""


Sizes = tuple[int, int, int, int]


def four_outputs(kind: Kind) -> Any:
    """A function (w, w_row, x, x_row, n_chunks, n_left, y) -> how many of the rows left it took:
    their products with four rows of weights, y [8, 4]. Addresses, and bytes of a row."""
    one, two = dots(kind, 1, 4), dots(kind, 2, 4)
    four, eight = dots(kind, 4, 2), dots(kind, 8, 2)
    row = 4 * BLOCK  # bytes

    def multiply(
        w: int, w_row: int, x: int, x_row: int, n_chunks: int, n_left: int, y: int
    ) -> Scalar:
        if n_left >= 8:
            eight(w, w_row, x, x_row, n_chunks, y, row)
            eight(w + 2 * w_row, w_row, x, x_row, n_chunks, y + 8, row)
            return 8
        if n_left >= 4:
            four(w, w_row, x, x_row, n_chunks, y, row)
            four(w + 2 * w_row, w_row, x, x_row, n_chunks, y + 8, row)
            return 4
        if n_left >= 2:
            two(w, w_row, x, x_row, n_chunks, y, row)
            return 2
        one(w, w_row, x, x_row, n_chunks, y, row)
        return 1

    return inner(multiply)


float_block, half_block = four_outputs(FLOAT), four_outputs(HALF)


@inner
def rounded_pairs(x: Arrays, y: Arrays) -> None:
    """x [I], rounded to bfloat16, in the order that `dots.py:HALF` wants."""
    for start in range(0, len(x), 32):
        for i in range(16):
            y[start + i] = as_float(as_half(x[start + 2 * i]))
            y[start + 16 + i] = as_float(as_half(x[start + 2 * i + 1]))


@inner
def multiply_block(
    block: int, x_at: int, w_at: int, bias: Arrays, y: Arrays, own_at: int, sizes: Sizes
) -> None:
    """Four outputs of all rows: w [O, I] as `is_half` says, bias [O], y [R, O]."""
    is_half, n_rows, n_out, n_in = sizes
    w_row = (2 if is_half else 4) * n_in
    found = floats(own_at, 0, (TOGETHER, BLOCK))
    start = min(BLOCK * block, n_out - BLOCK)  # the last one may have some of those before
    row, w = 0, w_at + start * w_row
    while row < n_rows:
        at, left, n_chunks = x_at + 4 * row * n_in, n_rows - row, w_row // CHUNK
        if is_half:
            n = half_block(w, w_row, at, 4 * n_in, n_chunks, left, own_at)
        else:
            n = float_block(w, w_row, at, 4 * n_in, n_chunks, left, own_at)
        for i in range(n):
            for j in range(BLOCK * block - start, BLOCK):
                y[row + i, start + j] = found[i, j] + bias[start + j]
        row += n


@Kernel
def float_rows(data):  # type: ignore[no-untyped-def]
    (x_at, y_at, scratch_at, taken_at, own_size, w_at, bias_at, is_half,
     n_rows, n_out, n_in, blocks_at, n_some) = carray(data, 13)  # fmt: skip
    bias, y = floats(bias_at, 0, (n_out,)), floats(y_at, 0, (n_rows, n_out))
    own_at = scratch_at + thread_number() * own_size
    given_at = x_at
    if is_half:
        given_at = own_at + 4 * TOGETHER * BLOCK
        x, given = floats(x_at, 0, (n_rows, n_in)), floats(given_at, 0, (n_rows, n_in))
        for row in range(n_rows):  # by each thread for itself: sooner done than waited for
            rounded_pairs(x[row], given[row])
    sizes, some = (is_half, n_rows, n_out, n_in), (blocks_at, n_some)
    n_blocks = number_of_blocks(n_out, BLOCK, some)
    first, last, turn = take(taken_at, 0, n_blocks)
    while turn != NONE_LEFT:
        for n in range(first, last):
            multiply_block(block_of(n, some), given_at, w_at, bias, y, own_at, sizes)
        first, last, turn = take(taken_at, turn, n_blocks)


class FewRows:
    """x [..., I], of few rows -> x Wᵀ + b [..., O] in float32. With W [O, I] in bfloat16 x is
    rounded to it too, and the sums are float32's."""

    kernel, together = float_rows, BLOCK

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        n_out, n_in = self.shape = weight.shape
        # Zeros up to whole chunks and blocks; of most weights nothing is missing.
        self.missing, n_more = -n_in % (CHUNK // weight.element_size()), max(0, BLOCK - n_out)
        w = weight.detach()
        if self.missing or n_more:
            w = F.pad(w, (0, self.missing, 0, n_more))
        self.w, self.is_half = w.contiguous(), int(weight.dtype == torch.bfloat16)
        self.bias = torch.zeros(len(w), dtype=torch.float32, device="cpu")
        if bias is not None:
            self.bias[:n_out] = bias.detach()

    def numbers(self, n_rows: int) -> tuple[int, ...]:
        """What the kernel is told after where x [R, I], y [R, O], its scratch and who takes what
        are: first, how many bytes of scratch are a thread's, and last, that it is all blocks."""
        own_size = 4 * (TOGETHER * BLOCK + self.is_half * n_rows * self.w.size(1))
        at = self.w.data_ptr(), self.bias.data_ptr()
        return own_size, *at, self.is_half, n_rows, *self.w.shape, *ALL

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.size(-1)).float()
        rows = F.pad(rows, (0, self.missing)) if self.missing else rows.contiguous()
        y = torch.empty(len(rows), len(self.w), dtype=torch.float32, device="cpu")
        numbers = self.numbers(len(rows))
        given = (rows, y, scratch_for(numbers), untaken())
        self.kernel(*(tensor.data_ptr() for tensor in given), *numbers)
        return y[:, : self.shape[0]].view(*x.shape[:-1], self.shape[0])
