"""Everything that the training of a generator needs to be repeated: its `run.toml`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from triptych.config import Range
from triptych.errors import ConfigError
from triptych.recipes.language_model_run import LanguageModelTraining
from triptych.training.settings import MuonSettings, ScheduleName

PRESETS = ("nano", "tiny", "mini", "small", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")
METRICS = ("loss", "perplexity", "bits_per_byte", "accuracy")
"""What each validation measures (`gpt_validation.py`)."""


@dataclass(frozen=True, kw_only=True)
class GptData:
    """Text, and how it becomes rows of tokens — the defaults are those of GPT-2."""

    text: tuple[str, ...]
    """Files, folders, JSONL or `hub:` names to learn from."""
    valid_text: tuple[str, ...]
    """As text, for validation."""
    documents: Literal["blank", "file", "line"] = "blank"
    """What ends a document of plain text: a blank line, the end of its file or of its line."""
    text_field: str = "text"
    """The field of a JSON object that is its text."""
    tokenizer: str | None = None
    """A folder with a byte-level BPE (tokenizer.json, or vocab.json and merges.txt)."""
    kind: Literal["byte-bpe", "characters"] = "byte-bpe"
    """What is trained when no tokenizer is given."""
    vocab_size: Annotated[int, Range(2)] = 16_384
    """Entries of the vocabulary that is trained."""
    max_seq_len: Annotated[int, Range(2)] = 256
    """Tokens of a row: the context that is learned."""
    batch_size: Annotated[int, Range(1)] = 32
    """Rows of a batch."""
    whole_documents: bool = False
    """Rows hold whole documents, as many as fit; otherwise the text is cut wherever a row ends."""
    attend_across: bool = True
    """A token sees the documents before its own in the row."""
    reset_positions: bool = False
    """Positions are counted from the beginning of each document, not of the row."""


@dataclass(frozen=True, kw_only=True)
class GptShape:
    """Where the weights come from."""

    preset: str = "nano"
    """nano, tiny, mini, small, gpt2, gpt2-medium, gpt2-large or gpt2-xl (`models/presets.py`)."""
    dropout: float | None = None
    """Of embeddings, sub-layers and attention weights; none: as the preset or the given model."""
    start_from: str | None = None
    """A model folder to go on from, with its tokenizer; of the rest, dropout alone matters then."""
    initial_std: float = 0.02
    """Deviation of the first weights; the published one is for a width of 768."""
    sinusoidal_start: bool = False
    """Begin the learned positions as the waves of Vaswani et al. 2017, not as noise."""

    def __post_init__(self) -> None:
        if not self.initial_std > 0:
            raise ConfigError(f"initial_std is {self.initial_std}; it must be above 0")
        if self.preset not in PRESETS:
            raise ConfigError(f"preset is {self.preset!r}; there are {', '.join(PRESETS)}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; choose it in [0, 1)")

    @property
    def has_first_weights_of_its_own(self) -> bool:
        """Whether they are drawn by another law than the published one."""
        return self.sinusoidal_start or self.initial_std != 0.02


@dataclass(frozen=True, kw_only=True)
class GptOptimizer(MuonSettings):
    """AdamW with a cosine, as Radford et al. 2018, §4.1, with the values in use since; or Muon."""

    learning_rate: float | None = 1e-3
    """Peak learning rate."""
    warmup: int = 200
    """Updates of linear growth to the peak."""
    schedule: ScheduleName = "cosine"
    beta_2: float = 0.99
    """Decay of the mean of squared gradients."""
    eps: float = 1e-8
    """Added to the root of the second mean."""
    weight_decay: float = 0.1
    """Decoupled decay of matrices (AdamW); norms and biases never decay."""
    clip_norm: float = 1.0
    """Largest norm of the whole gradient; 0 means no clipping."""


@dataclass(frozen=True, kw_only=True)
class GptRun:
    """One run: data, model, optimizer, training."""

    data: GptData
    model: GptShape = field(default_factory=GptShape)
    optimizer: GptOptimizer = field(default_factory=GptOptimizer)
    training: LanguageModelTraining = field(default_factory=LanguageModelTraining)
    tensorboard: bool = False
    """Also write event files for TensorBoard (an extra) into `tensorboard/`."""

    def __post_init__(self) -> None:
        if self.training.select not in METRICS:
            raise ConfigError(f"select is {self.training.select!r}; there are {', '.join(METRICS)}")
