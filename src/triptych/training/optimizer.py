"""Adam over a model's parameters, in groups: matrices decay, norms and biases do not."""

from collections.abc import Callable

import torch
from torch import nn

from triptych.training.settings import OptimizerSettings

FACTOR = "factor"
"""The key of a group by which `set_learning_rate` multiplies the rate."""


def same_rate(name: str) -> float:
    """The factor of every parameter where all learn at one rate."""
    return 1.0


def make_optimizer(
    model: nn.Module,
    settings: OptimizerSettings,
    factor: Callable[[str], float] = same_rate,
) -> torch.optim.Optimizer:
    """Torch's fused Adam (AdamW when there is a decay); the learning rate is set at each update.

    `factor(name)` multiplies the learning rate of a parameter; parameters that need no gradient
    are left out.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [
        {
            "params": [p for name, p in named if (p.dim() > 1) is decays and factor(name) == each],
            "weight_decay": settings.weight_decay if decays else 0.0,
            FACTOR: each,
        }
        for each in sorted({factor(name) for name, _ in named}, reverse=True)
        for decays in (True, False)
    ]
    kind = torch.optim.AdamW if settings.weight_decay else torch.optim.Adam
    betas = (settings.beta_1, settings.beta_2)
    return kind(groups, lr=0.0, betas=betas, eps=settings.eps, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The rate for every group, times the factor of each."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[FACTOR]
