"""What decides how a model is trained; a run writes both into its `run.toml`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from triptych.config import Range
from triptych.errors import ConfigError

ScheduleName = Literal["inverse_sqrt", "linear", "cosine", "constant", "wsd"]
"""The decays of `training/schedule.py`."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Adam and its learning rate — Vaswani et al. 2017, §5.3."""

    learning_rate: float | None = None
    """Peak learning rate; none means the paper's d_model^−½ · warmup^−½."""
    warmup: int = 4000
    """Updates of linear growth to the peak."""
    schedule: ScheduleName = "inverse_sqrt"
    """What follows the warm-up: peak · √(warmup / update), or a decay to zero, or none; wsd: none
    until the last updates, then a decay to zero."""
    decay_share: float = 0.2
    """Share of the updates, the last ones, in which wsd decays."""
    beta_1: float = 0.9
    """Decay of the mean of gradients."""
    beta_2: float = 0.98
    """Decay of the mean of squared gradients."""
    eps: float = 1e-9
    """Added to the root of the second mean."""
    weight_decay: float = 0.0
    """Decoupled decay of matrices (AdamW); norms and biases never decay."""
    clip_norm: float = 0.0
    """Largest norm of the whole gradient; 0 means no clipping."""

    def __post_init__(self) -> None:
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise ConfigError(f"learning_rate is {self.learning_rate}; choose it between 0 and 1")
        if self.warmup < 1:
            raise ConfigError(f"warmup is {self.warmup}; it needs at least 1 update")
        for name in ("beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; choose it in [0, 1)")
        for name in ("weight_decay", "clip_norm"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; choose 0 or more")
        if not self.eps > 0:
            raise ConfigError(f"eps is {self.eps}; it must be above 0")
        if not 0 < self.decay_share <= 1:
            raise ConfigError(f"decay_share is {self.decay_share}; choose it in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class MuonSettings(OptimizerSettings):
    """Adam for everything, or Muon (Jordan et al. 2024) for the matrices of the blocks."""

    optimizer: Literal["adamw", "muon"] = "adamw"
    """muon: the matrices of the blocks learn by Muon; embeddings, norms and biases by Adam."""
    muon_learning_rate: float = 1e-3
    """Peak learning rate of Muon, on the scale of AdamW's (formula: `training/optimizer.py`)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.muon_learning_rate < 1:
            raise ConfigError(
                f"muon_learning_rate is {self.muon_learning_rate}; choose it between 0 and 1"
            )
        if self.optimizer == "muon" and self.learning_rate is None:
            raise ConfigError("learning_rate is none; muon needs a number for the rest of a model")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Length, precision and choice of the best model."""

    max_updates: int = 100_000
    """Optimizer steps at most."""
    accumulate: int = 1
    """Batches that make one update, over all processes together."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: products under autocast, weights and sums in float32."""
    validate_every: int = 500
    """Updates between validations; each one writes a checkpoint."""
    checkpoint_every: int = 0
    """Further checkpoints between validations; 0 means none."""
    select: str = "bleu"
    """The validation metric that chooses `best/` and stops early."""
    patience: int = 10
    """Validations without a better one before the run stops."""
    average: int = 5
    """Checkpoints whose mean is validated and kept (Vaswani et al. 2017, §6.1); 1 means none."""
    compile: bool = False
    """torch.compile, where there is a compiler."""
    activation_checkpointing: bool = False
    """Keep only what enters each block and compute the rest again for the gradient: less memory,
    more time, the same result."""
    seed: Annotated[int, Range(0)] = 1
    """Of initialization, dropout and data order."""

    def __post_init__(self) -> None:
        for name in ("max_updates", "accumulate", "validate_every", "patience", "average"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.checkpoint_every < 0:
            raise ConfigError(f"checkpoint_every is {self.checkpoint_every}; choose 0 or more")


SMALLER_IS_BETTER = frozenset(
    {
        *("loss", "nll", "masked_nll", "next_nll", "forward_nll", "backward_nll"),
        *("perplexity", "bits_per_byte"),
    }
)
"""Validation metrics of which the smallest is the best; of all others the largest is."""
