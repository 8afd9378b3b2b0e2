"""Everything that one translation run needs to be repeated: the content of its `run.toml`."""

from dataclasses import dataclass, field
from typing import Annotated

from triptych.config import Range
from triptych.errors import ConfigError
from triptych.training.settings import MuonSettings, TrainingSettings

PRESETS = ("nano", "tiny", "base", "big")
METRICS = ("bleu", "chrf", "papers_bleu", "loss", "nll", "perplexity")
"""What each validation measures (`translation_validation.py`)."""


@dataclass(frozen=True, kw_only=True)
class TranslationData:
    """Sentence pairs, and how they become batches."""

    source: tuple[str, ...]
    """Files of source sentences; or TSV files or one `hub:` name with both sides, and no target."""
    target: tuple[str, ...] = ()
    """Files aligned line by line with `source`."""
    valid_source: tuple[str, ...]
    """As `source`, for validation."""
    valid_target: tuple[str, ...] = ()
    """As `target`, for validation."""
    source_language: str = "en"
    """Language code of the source, for the model card."""
    target_language: str = "de"
    """Language code of the target; where Moses has rules for it, validation has papers_bleu."""
    vocab_size: int = 10_000
    """Entries of the joint BPE that is trained when no tokenizer is given."""
    tokenizer: str | None = None
    """A folder with a trained tokenizer."""
    batch_tokens: int = 4096
    """Padded tokens of the longer side of a batch, at most."""
    max_tokens: int = 256
    """Longest side of a pair; longer pairs are left out and counted."""
    bpe_dropout: float = 0.0
    """Share of merges left out at random, drawn anew each epoch (Provilkov et al. 2020)."""

    def __post_init__(self) -> None:
        if not 0 <= self.bpe_dropout < 1:
            raise ConfigError(f"bpe_dropout is {self.bpe_dropout}; choose it in [0, 1)")
        if self.max_tokens < 2:
            raise ConfigError(f"max_tokens is {self.max_tokens}; a word and its end take 2")
        if self.max_tokens > self.batch_tokens:
            raise ConfigError(
                f"max_tokens ({self.max_tokens}) is more than batch_tokens ({self.batch_tokens}): "
                "the longest pair would fit into no batch"
            )


@dataclass(frozen=True, kw_only=True)
class TranslationModel:
    """Where the weights come from."""

    preset: str = "base"
    """nano, tiny, base or big (`models/presets.py`)."""
    dropout: float | None = None
    """None: as the preset or the given model."""
    d_ff: Annotated[int, Range(1)] | None = None
    """Feed-forward width, in place of the preset's."""
    start_from: str | None = None
    """A model folder to go on from, with its tokenizer; then the preset does not matter."""

    def __post_init__(self) -> None:
        if self.start_from is not None and self.d_ff is not None:
            raise ConfigError(
                f"d_ff is {self.d_ff}, but the weights of {self.start_from} have their width; "
                "leave out one of the two"
            )
        if self.preset not in PRESETS:
            raise ConfigError(f"preset is {self.preset!r}; there are {', '.join(PRESETS)}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; choose it in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class TranslationLoss:
    """What is minimized."""

    label_smoothing: float = 0.1
    """ε of Vaswani et al. 2017, §5.4 (formula: `core/loss.py`)."""
    r_drop: float = 0.0
    """α of R-Drop (Liang et al. 2021): two passes with different dropout must agree; 0 means none,
    the paper takes 5 for translation."""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing is {self.label_smoothing}; choose it in [0, 1)")
        if self.r_drop < 0:
            raise ConfigError(f"r_drop is {self.r_drop}; choose 0 or more")


@dataclass(frozen=True, kw_only=True)
class TranslationRun:
    """One run: data, model, loss, optimizer, training."""

    data: TranslationData
    model: TranslationModel = field(default_factory=TranslationModel)
    loss: TranslationLoss = field(default_factory=TranslationLoss)
    optimizer: MuonSettings = field(default_factory=MuonSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    tensorboard: bool = False
    """Also write event files for TensorBoard (an extra) into `tensorboard/`."""

    def __post_init__(self) -> None:
        if self.training.select not in METRICS:
            raise ConfigError(f"select is {self.training.select!r}; there are {', '.join(METRICS)}")
