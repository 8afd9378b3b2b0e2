"""What the runs of all language models share: GPT's and ELMo's."""

from dataclasses import dataclass

from triptych.training.settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class LanguageModelTraining(TrainingSettings):
    """Length, precision and choice of the best model."""

    max_updates: int = 10_000
    """Optimizer steps at most."""
    select: str = "loss"
    """The validation metric that chooses `best/` and stops early."""
    average: int = 1
    """Checkpoints whose mean is validated and kept; 1 means none."""
