"""Everything that one pretraining run of an encoder needs to be repeated: its `run.toml`."""

from dataclasses import dataclass, field
from typing import Literal

from triptych.errors import ConfigError
from triptych.training.settings import MuonSettings, ScheduleName, TrainingSettings

PRESETS = ("nano", "tiny", "mini", "small", "medium", "base", "large")
METRICS = ("loss", "masked_nll", "next_nll", "masked_accuracy", "next_accuracy")
"""What each validation measures (`bert_validation.py`)."""
SHORTEST = 5
"""Tokens of the shortest input: two parts of one token, [CLS], and [SEP] after each part."""


@dataclass(frozen=True, kw_only=True)
class BertData:
    """Documents, and how they become inputs — Devlin et al. 2018, §3.1 and appendix A.2."""

    text: tuple[str, ...]
    """Text files: a paragraph or a sentence a line, a blank line between documents."""
    valid_text: tuple[str, ...]
    """As `text`, for validation."""
    language: Literal["en", "de", "lines"] = "en"
    """Rules that split a line into sentences; lines: each line is a sentence."""
    vocab_size: int = 30_000
    """Entries of the WordPiece vocabulary that is trained when no tokenizer is given."""
    tokenizer: str | None = None
    """A folder with a WordPiece tokenizer (vocab.txt or tokenizer.json)."""
    keep_case: bool = False
    """Train a vocabulary that tells upper from lower case and keeps accents."""
    batch_size: int = 256
    """Inputs of a batch."""
    max_seq_len: int = 128
    """Longest input in tokens, special ones included."""
    short_seq_prob: float = 0.1
    """Share of documents that aim at shorter inputs."""
    mask_prob: float = 0.15
    """Share of tokens to predict; of these 80 % are masked, 10 % random, 10 % kept."""
    whole_words: bool = False
    """Mask all pieces of a word together."""

    def __post_init__(self) -> None:
        _check_batch("max_seq_len", self.max_seq_len, "batch_size", self.batch_size)
        if not 0 <= self.short_seq_prob <= 1:
            raise ConfigError(f"short_seq_prob is {self.short_seq_prob}; choose it in [0, 1]")
        if not 0 < self.mask_prob <= 1:
            raise ConfigError(f"mask_prob is {self.mask_prob}; choose it in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class LongInputs:
    """A second phase with longer inputs, so that late positions are learned too (appendix A.2)."""

    long_updates: int = 0
    """How many of the updates, the last ones, have long inputs; the paper has a tenth."""
    long_seq_len: int = 512
    """Longest input of that phase in tokens."""
    long_batch_size: int = 256
    """Inputs of a batch in that phase."""

    def __post_init__(self) -> None:
        _check_batch("long_seq_len", self.long_seq_len, "long_batch_size", self.long_batch_size)


@dataclass(frozen=True, kw_only=True)
class BertShape:
    """Where the weights come from."""

    preset: str = "base"
    """nano, tiny, mini, small, medium, base or large (`models/presets.py`)."""
    dropout: float | None = None
    """Of sub-layers and attention weights; none: as the preset or the given model."""
    start_from: str | None = None
    """A model folder to go on from, with its tokenizer; of the rest, dropout alone matters then."""
    initial_std: float = 0.02
    """Deviation of the first weights; the paper's is for a width of 768."""
    sinusoidal_start: bool = False
    """Begin the learned positions as the waves of Vaswani et al. 2017, not as noise."""
    word_vectors: str | None = None
    """Word vectors, as wide as the model, from which the embeddings of their words begin."""

    def __post_init__(self) -> None:
        if not self.initial_std > 0:
            raise ConfigError(f"initial_std is {self.initial_std}; it must be above 0")
        if self.preset not in PRESETS:
            raise ConfigError(f"preset is {self.preset!r}; there are {', '.join(PRESETS)}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; choose it in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class BertOptimizer(MuonSettings):
    """AdamW with the paper's values (appendix A.2), and the clipping of its code.

    The paper's code leaves out Adam's bias correction; with a warm-up it makes no difference, and
    it is on here.
    """

    learning_rate: float | None = 1e-4
    """Peak learning rate."""
    warmup: int = 10_000
    """Updates of linear growth to the peak."""
    schedule: ScheduleName = "linear"
    beta_2: float = 0.999
    """Decay of the mean of squared gradients."""
    eps: float = 1e-6
    """Added to the root of the second mean."""
    weight_decay: float = 0.01
    """Decoupled decay of matrices (AdamW); norms and biases never decay."""
    clip_norm: float = 1.0
    """Largest norm of the whole gradient; 0 means no clipping."""


@dataclass(frozen=True, kw_only=True)
class BertTraining(TrainingSettings):
    """Length, precision and choice of the best model."""

    max_updates: int = 1_000_000
    """Optimizer steps at most, both phases together."""
    validate_every: int = 10_000
    """Updates between validations; each one writes a checkpoint."""
    select: str = "loss"
    """The validation metric that chooses `best/` and stops early."""
    average: int = 1
    """Checkpoints whose mean is validated and kept; 1 means none."""


@dataclass(frozen=True, kw_only=True)
class BertRun:
    """One run: data, second phase, model, optimizer, training."""

    data: BertData
    long: LongInputs = field(default_factory=LongInputs)
    model: BertShape = field(default_factory=BertShape)
    optimizer: BertOptimizer = field(default_factory=BertOptimizer)
    training: BertTraining = field(default_factory=BertTraining)
    tensorboard: bool = False
    """Also write event files for TensorBoard (an extra) into `tensorboard/`."""

    def __post_init__(self) -> None:
        if self.training.select not in METRICS:
            raise ConfigError(f"select is {self.training.select!r}; there are {', '.join(METRICS)}")
        if not 0 <= self.long.long_updates <= self.training.max_updates:
            raise ConfigError(
                f"long_updates is {self.long.long_updates}; choose it from 0 to max_updates "
                f"({self.training.max_updates})"
            )
        if self.optimizer.learning_rate is None:
            raise ConfigError("learning_rate is none; an encoder's run needs a number")

    @property
    def longest(self) -> int:
        """Most tokens of an input, in either phase."""
        return max(self.data.max_seq_len, self.long.long_seq_len if self.long.long_updates else 0)


def _check_batch(length_name: str, length: int, rows_name: str, rows: int) -> None:
    if length < SHORTEST:
        raise ConfigError(
            f"{length_name} is {length}, with no room for two parts beside [CLS] and two [SEP]; "
            f"it must be at least {SHORTEST}"
        )
    if rows < 1:
        raise ConfigError(f"{rows_name} is {rows}; it must be at least 1")
