"""GELU in bfloat16 for training on a CPU: a loop of our own for it and for its gradient.

torch's own take several times as long, and were an eighth of an update (`benchmarks/kernels.py`).
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from numba import carray
from torch import Tensor
from torch.autograd.function import once_differentiable

from triptych.core.feed_forward import FeedForward
from triptych.models.gpt import ACTIVATIONS
from triptych.runtime.instructions import (
    FLOATS,
    Build,
    Loop,
    Value,
    add,
    can_compile,
    for_kernels,
    load,
    store,
    times,
)
from triptych.runtime.openmp import has_team
from triptych.runtime.team import Kernel, share
from triptych.runtime.vector_math import (
    BFLOAT,
    exact_gelu,
    exact_gelu_gradient,
    gelu,
    gelu_gradient,
    load_halves,
    store_halves,
)

GELU_TANH = ACTIVATIONS["gelu_tanh"]
Activation = Callable[[Tensor], Tensor]
CHUNK, BYTES = 16, 2
"""Numbers that are computed together, and bytes of each."""


def each(n_given: int, compute: Callable[..., Value]) -> Any:
    """A function for kernels, (n_chunks, y, *given) -> nothing: y from n_given addresses of
    bfloat16, chunk by chunk. Where the processor has no bfloat16 it is empty."""

    def build(builder: Build, given: Any) -> None:
        if not can_compile(BFLOAT):
            return
        n_chunks, y, *at = given
        loop = Loop(builder, n_chunks)
        place = times(builder, loop.index, CHUNK * BYTES)
        values = [load_halves(builder, add(builder, one, place)) for one in at]
        store_halves(builder, compute(builder, *values), add(builder, y, place))
        loop.end()

    return for_kernels(2 + n_given, build)


def each_float(compute: Callable[..., Value]) -> Any:
    """A function for kernels, (n_chunks, x) -> nothing: as `each`, of float32 in their place."""

    def build(builder: Build, given: Any) -> None:
        if not can_compile(BFLOAT):
            return
        n_chunks, x = given
        loop = Loop(builder, n_chunks)
        at = add(builder, x, times(builder, loop.index, 4 * CHUNK))
        store(builder, compute(builder, load(builder, at, FLOATS)), at)
        loop.end()

    return for_kernels(2, build)


each_tanh, each_tanh_gradient = each(1, gelu), each(2, gelu_gradient)
each_exact, each_exact_gradient = each(1, exact_gelu), each(2, exact_gelu_gradient)
float_tanh, float_exact = each_float(gelu), each_float(exact_gelu)


@Kernel
def gelu_loop(data):  # type: ignore[no-untyped-def]
    y, x, n_chunks, is_exact = carray(data, 4)
    first, last = share(n_chunks)
    n, start = last - first, first * CHUNK * BYTES
    if n and is_exact:
        each_exact(n, y + start, x + start)
    elif n:
        each_tanh(n, y + start, x + start)


@Kernel
def gradient_loop(data):  # type: ignore[no-untyped-def]
    dx, x, dy, n_chunks, is_exact = carray(data, 5)
    first, last = share(n_chunks)
    n, start = last - first, first * CHUNK * BYTES
    if n and is_exact:
        each_exact_gradient(n, dx + start, x + start, dy + start)
    elif n:
        each_tanh_gradient(n, dx + start, x + start, dy + start)


@Kernel
def float_loop(data):  # type: ignore[no-untyped-def]
    x, n_chunks, is_exact = carray(data, 3)
    first, last = share(n_chunks)
    n, start = last - first, 4 * first * CHUNK
    if n and is_exact:
        float_exact(n, x + start)
    elif n:
        float_tanh(n, x + start)


def rounded_gelu(activation: Activation) -> Activation:
    """The activation, for what is to be rounded to bfloat16 or bytes next, and may be overwritten:
    GELU as precise as that, by a loop of our own where the processor has bfloat16."""
    if activation not in (GELU_TANH, F.gelu) or not has_gelu():
        return activation

    def activate(x: Tensor) -> Tensor:
        if x.dtype != torch.float32 or x.numel() % CHUNK or not x.is_contiguous():
            return activation(x)
        float_loop(x.data_ptr(), x.numel() // CHUNK, activation is F.gelu)
        return x

    return activate


class _Gelu(torch.autograd.Function):
    """dx = GELU′(x) dy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, is_exact: bool) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x)
        ctx.is_exact, y = is_exact, torch.empty_like(x)
        gelu_loop(y.data_ptr(), x.data_ptr(), x.numel() // CHUNK, is_exact)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        dy, dx = dy.contiguous(), torch.empty_like(x)
        at = (tensor.data_ptr() for tensor in (dx, x, dy))
        gradient_loop(*at, x.numel() // CHUNK, ctx.is_exact)
        return dx, None


class FastActivation(FeedForward):
    """`FeedForward` whose GELU, of bfloat16 on a CPU that has it, is our loop."""

    def forward(self, x: Tensor) -> Tensor:
        return self.w_down(self.activate(self.w_up(x)))  # type: ignore[no-any-return]

    def activate(self, x: Tensor) -> Tensor:
        is_ours = x.dtype == torch.bfloat16 and x.device.type == "cpu" and has_gelu()
        is_gelu = self.activation in (GELU_TANH, F.gelu)
        if not (is_ours and is_gelu) or x.numel() % CHUNK or torch.compiler.is_compiling():
            return self.activation(x)
        found: Tensor = _Gelu.apply(x, self.activation is F.gelu)  # type: ignore[no-untyped-call]
        return found


def has_gelu() -> bool:
    return has_team() and can_compile(BFLOAT)
