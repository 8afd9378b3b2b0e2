"""What stands before a product of integers, in one pass: see `runtime/int8.py`.

As torch operations it is five passes over the rows. To the bit the same.

Shapes: R rows, I columns in.
"""

from functools import partial

import numpy as np
import torch
from numba import carray
from torch import Tensor

from triptych.runtime.int8 import LEVELS, SMALLEST
from triptych.runtime.team import Arrays, Kernel, Scalar, address, floats, inner, share

exact = partial(inner, sums=False)
SIZE, INFINITY = np.int32(0x7FFFFFFF), np.int32(0x7F800000)
"""The bits of a float32 without its sign; of such, the larger number has the larger bits."""


@exact
def quantize(x: Arrays, bits: Arrays, rows: Arrays) -> Scalar:
    """x [I], its bits [I] -> its largest number, and the bytes in rows [I]."""
    most = np.int32(0)
    for i in range(len(bits)):
        most = max(most, np.int32(bits[i] & SIZE))
    largest = max(np.int32(most).view(np.float32), np.float32(SMALLEST))
    if most > INFINITY:  # what is no number has the largest bits of all
        largest = np.float32(np.nan)
    for i in range(len(x)):
        level = np.float32(128.5) + np.float32(LEVELS) * x[i] / largest
        rows[i] = np.uint8(np.int32(level))
    return largest


@Kernel
def quantize_kernel(data):  # type: ignore[no-untyped-def]
    x_at, rows_at, largest_at, n_rows, n_in = carray(data, 5)
    largest = floats(largest_at, 0, (n_rows,))
    first, last = share(n_rows)
    for row in range(first, last):
        x = floats(x_at, row * n_in, (n_in,))
        bits = carray(address(x_at + 4 * row * n_in), n_in, np.int32)
        largest[row] = quantize(x, bits, carray(address(rows_at + row * n_in), n_in, np.uint8))


def quantize_by_loop(x: Tensor) -> tuple[Tensor, Tensor]:
    """As `runtime/int8.py:quantize_rows`: x [..., I] -> X + 128 [..., I] in bytes, a [..., 1]."""
    x = x.contiguous()
    rows = torch.empty(x.shape, dtype=torch.uint8, device="cpu")
    largest = torch.empty(*x.shape[:-1], 1, dtype=torch.float32, device="cpu")
    n_in = x.size(-1)
    quantize_kernel(x.data_ptr(), rows.data_ptr(), largest.data_ptr(), x.numel() // n_in, n_in)
    return rows, largest
