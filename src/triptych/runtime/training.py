"""What training does faster than the plain modules, switched on for a whole model at once."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from triptych.core.feed_forward import FeedForward
from triptych.core.products import product
from triptych.runtime.attention import use_fast_attention
from triptych.runtime.gelu import FastActivation


def use_fast_training(model: nn.Module) -> nn.Module:
    """Let attention and activations choose their kernel, and float32 products their library;
    returns the model.

    Parameters keep their names and values.
    """
    for part in model.modules():
        if type(part) is nn.Linear:
            part.__class__ = FastLinear  # it differs in `forward` alone, as the next does
        elif type(part) is FeedForward:
            part.__class__ = FastActivation
    return use_fast_attention(model)


ROWS = 256
"""Full batches have a multiple of so many positions, and ragged ones a number of their own, which
`core/products.py` is not for."""


class FastLinear(nn.Linear):
    """`nn.Linear`, with `core/products.py` for all three products of full batches in float32.

    They were two thirds of such an update and take half the time (`benchmarks/train_gpt.py`). For
    other batches, under autocast, on a GPU, and where the compiler chooses, it is the plain one.
    """

    def forward(self, x: Tensor) -> Tensor:
        is_float = x.device.type == "cpu" and x.dtype == torch.float32
        is_full = (x.numel() // self.in_features) % ROWS == 0
        decided = torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling()
        if decided or not (is_float and is_full):
            return F.linear(x, self.weight, self.bias)
        found: Tensor = _Linear.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return found


class _Linear(torch.autograd.Function):
    """y = x Wᵀ + b; dx = dy W, dW = dyᵀ x, db = Σ dy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        y = product(x.reshape(-1, x.size(-1)), weight.T, bias)
        return y.view(*x.shape[:-1], len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dx = dw = db = None
        rows = dy.reshape(-1, dy.size(-1))
        if ctx.needs_input_grad[0]:
            dx = product(rows, weight).view(x.shape)
        if ctx.needs_input_grad[1]:
            dw = product(rows.T, x.reshape(-1, x.size(-1)))
        if ctx.needs_input_grad[2]:
            db = rows.sum(dim=0)
        return dx, dw, db
