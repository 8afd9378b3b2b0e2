"""Everything that the training of ELMo needs to be repeated: its `run.toml`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from triptych.config import Range
from triptych.errors import ConfigError
from triptych.recipes.language_model_run import LanguageModelTraining
from triptych.training.settings import OptimizerSettings, ScheduleName

PRESETS = ("nano", "tiny", "small", "medium", "original")
METRICS = ("loss", "perplexity", "forward_nll", "backward_nll")
"""What each validation measures (`elmo_validation.py`)."""


@dataclass(frozen=True, kw_only=True)
class ElmoData:
    """Text, and how it becomes sentences of words."""

    text: tuple[str, ...]
    """Files, folders, JSONL or `hub:` names to learn from; lines are split into sentences."""
    valid_text: tuple[str, ...]
    """As text, for validation."""
    text_field: str = "text"
    """The field of a JSON object that is its text."""
    language: Literal["en", "de", "lines"] = "en"
    """By whose rules lines are split into sentences; lines: each is one."""
    vocab_size: Annotated[int, Range(5)] = 20_000
    """Words that are predicted, the commonest ones; every word is read, by its characters."""
    max_seq_len: Annotated[int, Range(2)] = 60
    """Words of a sentence; a longer one is cut."""
    batch_words: Annotated[int, Range(8)] = 1500
    """Padded words of a batch of like sentences."""


@dataclass(frozen=True, kw_only=True)
class ElmoShape:
    """Where the weights come from."""

    preset: str = "tiny"
    """nano, tiny, small, medium or original (`predecessors/presets.py`)."""
    dropout: float | None = None
    """On what goes into the LSTMs and the softmax; none: as the preset or the given model."""
    start_from: str | None = None
    """A model folder to go on from, with its words; then the preset does not matter."""
    n_samples: Annotated[int, Range(0)] = 1024
    """Words drawn for the softmax of a training batch; 0 or as many as there are: all of them."""

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"preset is {self.preset!r}; there are {', '.join(PRESETS)}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; choose it in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class ElmoOptimizer(OptimizerSettings):
    """Adam with a cosine. (The released code has AdaGrad at 0.2, which begins slower.)"""

    learning_rate: float | None = 2e-3
    """Peak learning rate."""
    warmup: int = 200
    """Updates of linear growth to the peak."""
    schedule: ScheduleName = "cosine"
    beta_2: float = 0.99
    """Decay of the mean of squared gradients."""
    eps: float = 1e-8
    """Added to the root of the second mean."""
    clip_norm: float = 1.0
    """Largest norm of the whole gradient; 0 means no clipping."""


@dataclass(frozen=True, kw_only=True)
class ElmoRun:
    """One run: data, model, optimizer, training."""

    data: ElmoData
    model: ElmoShape = field(default_factory=ElmoShape)
    optimizer: ElmoOptimizer = field(default_factory=ElmoOptimizer)
    training: LanguageModelTraining = field(default_factory=LanguageModelTraining)
    tensorboard: bool = False
    """Also write event files for TensorBoard (an extra) into `tensorboard/`."""

    def __post_init__(self) -> None:
        if self.training.select not in METRICS:
            raise ConfigError(f"select is {self.training.select!r}; there are {', '.join(METRICS)}")
        if self.training.activation_checkpointing:
            raise ConfigError(
                "activation_checkpointing is for the blocks of a Transformer, and ELMo has none; "
                "leave it out, and lower batch_words where memory is short"
            )
        if self.data.batch_words < self.data.max_seq_len + 2:
            raise ConfigError(
                f"batch_words is {self.data.batch_words}, less than one sentence of "
                f"{self.data.max_seq_len} words and its two marks; raise it"
            )
