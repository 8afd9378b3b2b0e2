"""Adam, or Muon and Adam, over a model's parameters in groups: norms and biases never decay."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from triptych.core.blocks import Block, CrossBlock
from triptych.training.settings import MuonSettings, OptimizerSettings

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
    """Torch's fused Adam (AdamW when there is a decay), or `MuonAndAdam` where the settings ask
    for it; the learning rate is set at each update.

    `factor(name)` multiplies the learning rate of a parameter; parameters that need no gradient
    are left out.
    """
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not (isinstance(settings, MuonSettings) and settings.optimizer == "muon"):
        return _adam(named, settings, factor)
    matrices = {id(p) for p in block_matrices(model)}
    inside = {name: p for name, p in named.items() if id(p) in matrices}
    outside = {name: p for name, p in named.items() if id(p) not in matrices}
    assert settings.learning_rate is not None
    ratio = settings.muon_learning_rate / settings.learning_rate
    groups = _groups(inside, settings.weight_decay, lambda name: ratio * factor(name))
    muon = torch.optim.Muon(groups, lr=0.0, adjust_lr_fn="match_rms_adamw")
    return MuonAndAdam(muon, _adam(outside, settings, factor))


class MuonAndAdam(torch.optim.Optimizer):
    """Torch's Muon for some parameters and Adam for the others, with one state for both.

    For a matrix W [A, B] with gradient G, in each update (Jordan et al. 2024; the scale is that of
    Liu et al. 2025, §2.2, with which Muon takes rates and decays that suit AdamW):

        M ← 0.95 M + 0.05 G
        O = NewtonSchulz₅(0.95 M + 0.05 G)     about U Vᵀ, where U Σ Vᵀ is the argument
        W ← (1 − rate · decay) W − rate · 0.2 √max(A, B) · O
    """

    def __init__(self, muon: torch.optim.Muon, adam: torch.optim.Optimizer) -> None:
        self.parts: tuple[torch.optim.Optimizer, ...] = (muon, adam)
        self.n_muon_groups = len(muon.param_groups)
        super().__init__([*muon.param_groups, *adam.param_groups], {})
        self._share()

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of all parameters; there is no use for a closure here."""
        for part in self.parts:
            part.step()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As torch's; both parts go on from it."""
        super().load_state_dict(dict(state_dict))
        self._share()

    def _share(self) -> None:
        """Let both parts work on the groups and the state of the whole."""
        muon, adam = self.parts
        muon.param_groups = self.param_groups[: self.n_muon_groups]
        adam.param_groups = self.param_groups[self.n_muon_groups :]
        muon.state = adam.state = self.state


def block_matrices(model: nn.Module) -> list[Tensor]:
    """Every matrix within a block of the model: those that turn one hidden vector into another."""
    blocks = [part for part in model.modules() if isinstance(part, Block | CrossBlock)]
    return [p for block in blocks for p in block.parameters() if p.dim() == 2]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The rate for every group, times the factor of each."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[FACTOR]


def _adam(
    named: Mapping[str, nn.Parameter],
    settings: OptimizerSettings,
    factor: Callable[[str], float],
) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if settings.weight_decay else torch.optim.Adam
    groups = _groups(named, settings.weight_decay, factor)
    betas = (settings.beta_1, settings.beta_2)
    return kind(groups, lr=0.0, betas=betas, eps=settings.eps, fused=True)


def _groups(
    named: Mapping[str, nn.Parameter], weight_decay: float, factor: Callable[[str], float]
) -> list[dict[str, Any]]:
    """By factor, the largest first; in each, what decays before what does not."""
    groups = [
        {
            "params": [p for n, p in named.items() if (p.dim() > 1) is decays and factor(n) == f],
            "weight_decay": weight_decay if decays else 0.0,
            FACTOR: f,
        }
        for f in sorted({factor(name) for name in named}, reverse=True)
        for decays in (True, False)
    ]
    return groups
