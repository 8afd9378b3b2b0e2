"""ELMo's LSTM for a CPU: its gradient written out, so that a step is two products and one loop.

The plain layer has a dozen small operations a step, each with a gradient of its own, and adds to
the gradient of its weights at every step; here that gradient is one product over all steps.

Shapes: B rows, R as many and more up to a multiple of 16, T steps, P width of the output, D cells.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from triptych.core.loss import autocast_dtype
from triptych.predecessors.elmo import ProjectedLstm
from triptych.runtime.lstm_loops import Loops
from triptych.runtime.openmp import has_team
from triptych.runtime.packed import Product, library_product

ROWS = 16
"""Rows go in multiples of so many: oneDNN keeps code for each number of them."""


def use_fast_lstms(model: nn.Module) -> nn.Module:
    """Let each LSTM choose its way; returns the model. Parameters keep their names and values."""
    for part in model.modules():
        if type(part) is ProjectedLstm:
            part.__class__ = FastLstm  # it differs in `forward` alone
    return model


class FastLstm(ProjectedLstm):
    """`ProjectedLstm`, by `_Lstm` in float32 and, under autocast, bf16 on a CPU."""

    def forward(
        self, x: Tensor, valid: Tensor | None, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        is_plain = torch.compiler.is_compiling() or x.device.type != "cpu" or not has_team()
        dtype = autocast_dtype(x)
        is_known = self.bias.dtype == torch.float32 and dtype in (torch.float32, torch.bfloat16)
        if is_plain or not is_known:
            return super().forward(x, valid, hidden, cell)
        weights = self.w_input, self.w_hidden, self.bias, self.w_projection
        clips = self.cell_clip, self.clip
        found: tuple[Tensor, Tensor, Tensor] = _Lstm.apply(  # type: ignore[no-untyped-call]
            x, *weights, valid, hidden, cell, clips, dtype
        )
        return found


class _Lstm(torch.autograd.Function):
    """With z the gates before σ and tanh, y what the cell shows and h = clip(W_p y):

    dy = W_pᵀ dh, dz from dy and dc by the loop, dh before += W_hᵀ dz; over all steps together
    dW_i = dzᵀ x, dW_h = dzᵀ h before, db = Σ dz, dW_p = dhᵀ y, dx = dz W_i.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *given: Any) -> tuple[Tensor, Tensor, Tensor]:
        w_input, w_hidden, bias, w_projection, valid, hidden, cell, clips, dtype = given
        with torch.autocast("cpu", enabled=False):
            steps = _Steps(x, valid, hidden, cell, dtype)
            gates = F.linear(steps.x, w_input.to(dtype), bias.to(dtype))  # [T, R, 4D]
            recur, project = _product(w_hidden, dtype), _product(w_projection, dtype)
            shown, loops = gates.new_empty(steps.cells[1:].shape), Loops(clips, dtype)
            for t, real in enumerate(steps.real):
                h, cells = steps.h[t], (steps.cells[t], steps.cells[t + 1])
                loops.step(gates[t], recur(h), real, cells, shown[t])
                loops.clip_output(project(shown[t]), h, real, steps.h[t + 1])
        ctx.save_for_backward(w_input, w_hidden, w_projection)
        ctx.kept, ctx.x_dtype = (steps, gates, shown, loops), x.dtype
        last = steps.h[-1, : len(x)].to(hidden.dtype, copy=True), steps.cells[-1, : len(x)].clone()
        return steps.h[1:, : len(x)].transpose(0, 1), *last  # what is kept is not all steps

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor, d_last: Tensor, d_cell: Tensor) -> tuple[Any, ...]:
        if ctx.kept is None:
            raise RuntimeError("a second gradient of this LSTM: the first one overwrote its gates")
        kept, ctx.kept = ctx.kept, None
        with torch.autocast("cpu", enabled=False):
            d_x, *others, d_h, d_c = _gradients(ctx.saved_tensors, kept, (d_y, d_last, d_cell))
        return d_x.to(ctx.x_dtype), *others, None, d_h, d_c, None, None


def _gradients(
    weights: tuple[Tensor, ...], kept: tuple[Any, ...], upstream: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Of x, w_input, w_hidden, bias, w_projection, and of hidden and cell before the first step."""
    (w_input, w_hidden, w_projection), (d_y, d_last, d_cell) = weights, upstream
    steps, gates, shown, loops = kept
    dtype, n = gates.dtype, len(d_y)
    to_h, to_shown = _product(w_hidden.T, dtype), _product(w_projection.T, dtype)
    d_h, d_c = steps.like_rows(d_last), steps.like_rows(d_cell)
    d_y, d_projected = steps.by_steps(d_y), torch.empty_like(steps.h[1:])
    from_next = torch.zeros_like(d_projected[0])
    for t in reversed(range(len(gates))):
        real, cells = steps.real[t], (steps.cells[t], steps.cells[t + 1])
        loops.clip_back(d_h, (from_next, d_y[t]), steps.h[t + 1], real, d_projected[t])
        loops.step_back(gates[t], to_shown(d_projected[t]), real, cells, d_c)
        from_next = to_h(gates[t])  # which are their gradient now
    rows, before, x = (part.flatten(0, 1) for part in (gates, steps.h[:-1], steps.x))
    d_x = (rows @ w_input.to(dtype)).view(steps.x.shape)[:, :n].transpose(0, 1)
    beside = torch.cat([x, before, x.new_ones(len(x), 1)], dim=1)  # one product for all three
    d_input, d_hidden, d_bias = (
        (rows.T @ beside).float().split([x.size(1), before.size(1), 1], dim=1)
    )
    d_w_projection = (d_projected.flatten(0, 1).T @ shown.flatten(0, 1)).float()
    d_weights = d_input, d_hidden, d_bias[:, 0], d_w_projection
    d_h += from_next
    return d_x, *d_weights, d_h[:n], d_c[:n]


class _Steps:
    """What goes from step to step, step by step [T, R, …] in memory; rows are filled up.

    x [T, R, P], the outputs h [T + 1, R, P] and cells [T + 1, R, D] with those before the first
    step, and real [T, R], bytes.
    """

    def __init__(
        self, x: Tensor, valid: Tensor | None, hidden: Tensor, cell: Tensor, dtype: torch.dtype
    ) -> None:
        self.n_rows, self.n_steps = -(-len(x) // ROWS) * ROWS, x.size(1)
        self.dtype = dtype
        self.x = self.by_steps(x)
        self.h = self.x.new_empty(self.n_steps + 1, self.n_rows, hidden.size(1))
        self.cells = torch.empty(self.n_steps + 1, self.n_rows, cell.size(1), dtype=torch.float32)
        self.h[0], self.cells[0] = self.like_rows(hidden), self.like_rows(cell)
        self.real = torch.zeros(self.n_steps, self.n_rows, dtype=torch.uint8)
        self.real[:, : len(x)] = 1 if valid is None else valid.T

    def by_steps(self, given: Tensor) -> Tensor:
        """[B, T, P] -> [T, R, P], zeros where rows are filled up."""
        found = torch.zeros(self.n_steps, self.n_rows, given.size(2), dtype=self.dtype)
        found[:, : len(given)] = given.transpose(0, 1)
        return found

    def like_rows(self, given: Tensor) -> Tensor:
        """[B, …] -> [R, …], likewise, in float32."""
        found = torch.zeros(self.n_rows, *given.shape[1:], dtype=torch.float32)
        found[: len(given)] = given
        return found


def _product(weight: Tensor, dtype: torch.dtype) -> Product:
    """x Wᵀ, the weight laid out once for all steps: without it half of the time is that."""
    return library_product(weight.detach().to(dtype).contiguous(), None)
