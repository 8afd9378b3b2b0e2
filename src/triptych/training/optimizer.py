"""Adam over a model's parameters, in two groups: matrices decay, norms and biases do not."""

import torch
from torch import nn

from triptych.training.settings import OptimizerSettings


def make_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Torch's fused Adam (AdamW when there is a decay); the learning rate is set at each update."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if settings.weight_decay else torch.optim.Adam
    betas = (settings.beta_1, settings.beta_2)
    return kind(groups, lr=0.0, betas=betas, eps=settings.eps, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The same rate for every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate
