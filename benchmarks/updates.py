"""Updates of our model by the trainer's own step, and of transformers' by torch, to be timed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from triptych.training.optimizer import make_optimizer, set_learning_rate
from triptych.training.settings import OptimizerSettings
from triptych.training.step import Stepper

RATE = 1e-5
Loss = Callable[[], Tensor]
"""A forward pass and the mean loss."""


def our_update(stepper: Stepper, batch: Any, settings: OptimizerSettings) -> Callable[[], float]:
    """One update by our trainer's own step, clipping as the stepper does."""
    optimizer = make_optimizer(stepper.model, settings)
    set_learning_rate(optimizer, RATE)

    def update() -> float:
        means = stepper.gradients([batch])
        optimizer.step()
        return means.loss

    return update


def their_update(
    peer: nn.Module, loss: Loss, precision: str, settings: OptimizerSettings
) -> Callable[[], float]:
    """One update of transformers' model, with torch's fused AdamW of the same values."""
    optimizer = torch.optim.AdamW(
        peer.parameters(),
        lr=RATE,
        betas=(settings.beta_1, settings.beta_2),
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        fused=True,
    )

    def update() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            found = loss()
        optimizer.zero_grad(set_to_none=True)
        found.backward()  # type: ignore[no-untyped-call]
        if settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(peer.parameters(), settings.clip_norm)
        optimizer.step()
        return float(found.detach())

    return update


def difference(stepper: Stepper, batch: Any, peer: nn.Module, loss: Loss) -> float:
    """The largest relative difference of loss and gradient norm, dropout off; at most 1e-4."""
    stepper.model.eval(), peer.eval()
    means = stepper.gradients([batch])
    found = loss()
    found.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.get_total_norm([p.grad for p in peer.parameters() if p.grad is not None])
    stepper.model.train(), peer.train()
    stepper.model.zero_grad(), peer.zero_grad()
    pairs = ((means.loss, float(found.detach())), (means.gradient_norm, float(norm)))
    worst = max(abs(a / b - 1) for a, b in pairs)
    assert worst < 1e-4, f"the two do not compute the same: {worst}"
    return worst
