"""What an LSTM's step does between its products, there and back, each in one pass.

As torch operations it is a dozen passes there and two dozen back, over so little that most of the
time is their calls; and it is most of the time of a step. A thread has rows of its own.

Shapes: R rows, D cells; gates in the order i, f, g, o, each [R, D] within [R, 4D].
"""

import numpy as np
import torch
from numba import carray
from torch import Tensor

from triptych.runtime.exponential import sigmoid, tanh
from triptych.runtime.halves import as_float, as_half
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
def step_forward(gates: Arrays, before: Arrays, after: Arrays, shown: Arrays, clip: Scalar) -> None:
    """One row: the gates [4D] become σ(i), σ(f), tanh(g), σ(o); the clipped cell [D], and what it
    shows [D]."""
    width = len(before)
    for k in range(width):
        i, f = sigmoid(gates[k]), sigmoid(gates[width + k])
        g, o = tanh(gates[2 * width + k]), sigmoid(gates[3 * width + k])
        gates[k], gates[width + k], gates[2 * width + k], gates[3 * width + k] = i, f, g, o
        after[k] = min(max(f * before[k] + i * g, -clip), clip)
        shown[k] = o * tanh(after[k])


@inner
def step_backward(
    gates: Arrays, d_shown: Arrays, before: Arrays, after: Arrays, d_cell: Arrays, clip: Scalar
) -> None:
    """One row: what the gates [4D] hold becomes the gradient of what went into them, and that of
    the cell [D] after this step becomes that of the cell before."""
    width = len(before)
    for k in range(width):
        i, f, g, o = gates[k], gates[width + k], gates[2 * width + k], gates[3 * width + k]
        shown = tanh(after[k])
        gates[3 * width + k] = d_shown[k] * shown * o * (np.float32(1) - o)
        d = d_cell[k] + d_shown[k] * o * (np.float32(1) - shown * shown)
        d = d if abs(after[k]) < clip else np.float32(0)
        gates[k] = d * g * i * (np.float32(1) - i)
        gates[width + k] = d * before[k] * f * (np.float32(1) - f)
        gates[2 * width + k] = d * i * (np.float32(1) - g * g)
        d_cell[k] = d * f


@inner
def add_row(x: Arrays, at: int, offset: int, is_half: int) -> None:
    """A row, from bfloat16 or float32, is added to x."""
    if is_half:
        half = carray(address(at + 2 * offset), len(x), np.uint16)
        for k in range(len(x)):
            x[k] += as_float(half[k])
    else:
        whole = floats(at, offset, (len(x),))
        for k in range(len(x)):
            x[k] += whole[k]


@inner
def store_row(x: Arrays, at: int, offset: int, is_half: int) -> None:
    """A row, to bfloat16 or float32."""
    if is_half:
        half = carray(address(at + 2 * offset), len(x), np.uint16)
        for k in range(len(x)):
            half[k] = as_half(x[k])
    else:
        whole = floats(at, offset, (len(x),))
        for k in range(len(x)):
            whole[k] = x[k]


@Kernel
def forward_kernel(data):  # type: ignore[no-untyped-def]
    (gates_at, added_at, real_at, before_at, after_at, shown_at, scratch_at, clip_at,
     is_half, n_rows, width) = carray(data, 11)  # fmt: skip
    before, after = floats(before_at, 0, (n_rows, width)), floats(after_at, 0, (n_rows, width))
    real, clip = carray(address(real_at), n_rows, np.uint8), floats(clip_at, 0, (1,))
    gates = floats(scratch_at, 5 * thread_number() * width, (4 * width,))
    shown = floats(scratch_at, (5 * thread_number() + 4) * width, (width,))
    first, last = share(n_rows)
    for row in range(first, last):
        gates[:] = 0
        if real[row]:
            add_row(gates, gates_at, 4 * row * width, is_half)
            add_row(gates, added_at, 4 * row * width, is_half)
            step_forward(gates, before[row], after[row], shown, clip[0])
        else:
            after[row], shown[:] = before[row], 0
        store_row(gates, gates_at, 4 * row * width, is_half)
        store_row(shown, shown_at, row * width, is_half)


@Kernel
def backward_kernel(data):  # type: ignore[no-untyped-def]
    (gates_at, d_shown_at, real_at, before_at, after_at, d_cell_at, scratch_at, clip_at,
     is_half, n_rows, width) = carray(data, 11)  # fmt: skip
    before, after = floats(before_at, 0, (n_rows, width)), floats(after_at, 0, (n_rows, width))
    real, clip = carray(address(real_at), n_rows, np.uint8), floats(clip_at, 0, (1,))
    d_cell = floats(d_cell_at, 0, (n_rows, width))
    gates = floats(scratch_at, 5 * thread_number() * width, (4 * width,))
    d_shown = floats(scratch_at, (5 * thread_number() + 4) * width, (width,))
    first, last = share(n_rows)
    for row in range(first, last):
        if real[row]:
            gates[:], d_shown[:] = 0, 0
            add_row(gates, gates_at, 4 * row * width, is_half)
            add_row(d_shown, d_shown_at, row * width, is_half)
            step_backward(gates, d_shown, before[row], after[row], d_cell[row], clip[0])
            store_row(gates, gates_at, 4 * row * width, is_half)


@Kernel
def clip_kernel(data):  # type: ignore[no-untyped-def]
    (projected_at, before_at, real_at, after_at, scratch_at, clip_at,
     is_half, n_rows, width) = carray(data, 9)  # fmt: skip
    real, clip = carray(address(real_at), n_rows, np.uint8), floats(clip_at, 0, (1,))
    h = floats(scratch_at, thread_number() * width, (width,))
    first, last = share(n_rows)
    for row in range(first, last):
        h[:] = 0
        add_row(h, projected_at if real[row] else before_at, row * width, is_half)
        if real[row]:
            for k in range(width):
                h[k] = min(max(h[k], -clip[0]), clip[0])
        store_row(h, after_at, row * width, is_half)


@Kernel
def clip_back_kernel(data):  # type: ignore[no-untyped-def]
    (d_h_at, from_next_at, d_y_at, after_at, real_at, own_at, scratch_at, clip_at,
     is_half, n_rows, width) = carray(data, 11)  # fmt: skip
    real, clip = carray(address(real_at), n_rows, np.uint8), floats(clip_at, 0, (1,))
    d_h = floats(d_h_at, 0, (n_rows, width))
    after = floats(scratch_at, 2 * thread_number() * width, (width,))
    own = floats(scratch_at, (2 * thread_number() + 1) * width, (width,))
    first, last = share(n_rows)
    for row in range(first, last):
        after[:], own[:] = 0, 0
        add_row(d_h[row], from_next_at, row * width, is_half)
        add_row(d_h[row], d_y_at, row * width, is_half)
        if real[row]:
            add_row(after, after_at, row * width, is_half)
            for k in range(width):
                own[k] = d_h[row, k] * np.float32(abs(after[k]) < clip[0])
            d_h[row] = 0
        store_row(own, own_at, row * width, is_half)


class Loops:
    """The loops of a layer. Rows are real [R] or padding, whose cell and output stay as they were.

    Cells [R, D] and the output's gradient are float32; `gates` [R, 4D], what a cell shows [R, D],
    outputs [R, P] and what comes from a product or goes to one, are `dtype`, bfloat16 or float32.
    """

    def __init__(self, clips: tuple[float, float], dtype: torch.dtype) -> None:
        """Of cells, and of outputs."""
        self.cell_clip = torch.tensor([clips[0]], dtype=torch.float32)
        self.clip = torch.tensor([clips[1]]).to(dtype).float()  # as outputs can be
        self.is_half = int(dtype == torch.bfloat16)

    def step(
        self,
        gates: Tensor,
        added: Tensor,
        real: Tensor,
        cells: tuple[Tensor, Tensor],
        shown: Tensor,
    ) -> None:
        """gates + added and the first of two cells -> the second one, clipped, and what it shows.

        `gates` holds σ(i), σ(f), tanh(g), σ(o) then, and zeros for padding.
        """
        self._run(forward_kernel, self.cell_clip, 5, gates, added, real, *cells, shown)

    def step_back(
        self, gates: Tensor, d_shown: Tensor, real: Tensor, cells: tuple[Tensor, Tensor],
        d_cell: Tensor,
    ) -> None:  # fmt: skip
        """In place: `gates`, as `step` left it, becomes its gradient, and `d_cell` of the second
        cell that of the first."""
        self._run(backward_kernel, self.cell_clip, 5, gates, d_shown, real, *cells, d_cell)

    def clip_output(self, projected: Tensor, before: Tensor, real: Tensor, after: Tensor) -> None:
        """The clipped output of a step, or that of the step before."""
        self._run(clip_kernel, self.clip, 1, projected, before, real, after)

    def clip_back(
        self, d_h: Tensor, parts: tuple[Tensor, Tensor], after: Tensor, real: Tensor, own: Tensor
    ) -> None:
        """d_h and two more parts of the gradient of the output -> that of what was clipped [own];
        where there is padding it stays in d_h, for the step before."""
        self._run(clip_back_kernel, self.clip, 2, d_h, *parts, after, real, own)

    def _run(self, kernel: Kernel, clip: Tensor, n_scratch: int, *given: Tensor) -> None:
        n_rows, width = given[-1].shape
        n_numbers = torch.get_num_threads() * n_scratch * width
        scratch = torch.empty(n_numbers, dtype=torch.float32)
        at = (tensor.data_ptr() for tensor in (*given, scratch, clip))
        kernel(*at, self.is_half, n_rows, width)
