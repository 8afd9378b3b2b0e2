"""Everything that a fine-tuning needs to be repeated: its `run.toml`, one class a kind of task."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from triptych.config import POSITIONAL, Range
from triptych.errors import ConfigError
from triptych.training.settings import OptimizerSettings, TrainingSettings


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Examples."""

    train: tuple[str, ...]
    """Files to learn from."""
    valid: tuple[str, ...] = ()
    """Files that choose the best model."""
    holdout_every: Annotated[int, Range(2)] = 10
    """Without --valid: every n-th training example is held out in its place."""
    max_seq_len: Annotated[int, Range(8)] = 128
    """Longest input in tokens, special ones included; what is longer is cut or split."""
    batch_size: Annotated[int, Range(1)] = 32
    """Inputs of a batch, and of an update."""


@dataclass(frozen=True, kw_only=True)
class TextColumns:
    """Columns of a table, TSV or CSV (found without being named where that is safe)."""

    text_column: str | None = None
    """The texts: a name in the header, or a number from 1."""
    pair_column: str | None = None
    """The second text of each pair, if the task is about pairs."""
    label_column: str | None = None
    """The labels, or the values of a regression."""
    header: Literal["auto", "yes", "no"] = "auto"
    """Whether the first line names the columns."""


@dataclass(frozen=True, kw_only=True)
class TagColumns:
    """Columns of a CoNLL file, from 1."""

    word_column: Annotated[int, Range(1)] = 1
    """The words."""
    tag_column: Annotated[int | None, Range(1)] = None
    """The tags; the last column if not given."""


@dataclass(frozen=True, kw_only=True)
class Windows(Examples):
    """Questions and contexts, in the format of SQuAD."""

    max_seq_len: Annotated[int, Range(8)] = 384
    """Longest input in tokens; a longer context goes through in windows."""
    stride: Annotated[int, Range(1)] = 128
    """Tokens by which a window begins after the one before."""
    max_answer_tokens: Annotated[int, Range(1)] = 30
    """Longest answer, in tokens."""


@dataclass(frozen=True, kw_only=True)
class FinetuneModel:
    """What is learned anew."""

    from_scratch: bool = False
    """Keep the model's shape and vocabulary, and draw all its weights anew."""
    freeze_layers: Annotated[int, Range(0)] = 0
    """Leave the embeddings and this many layers, from below, as they are."""
    layer_decay: Annotated[float, Range(0.0, 1.0)] = 1.0
    """Each layer learns at this multiple of the rate of the one above it."""
    dropout: Annotated[float | None, Range(0.0, 0.99)] = None
    """Of sub-layers and attention weights, in place of the model's."""


@dataclass(frozen=True, kw_only=True)
class FinetuneTraining:
    """AdamW with bias correction, linear warm-up and decay — Devlin et al. 2018, appendix A.3."""

    learning_rate: float = 5e-5
    """Peak learning rate."""
    epochs: Annotated[int, Range(1)] = 3
    """Passes over the training examples; each ends with a validation."""
    warmup_share: Annotated[float, Range(0.0, 1.0)] = 0.1
    """Share of the updates in which the rate grows."""
    weight_decay: Annotated[float, Range(0.0)] = 0.01
    """Decoupled decay of matrices; norms and biases never decay."""
    clip_norm: Annotated[float, Range(0.0)] = 1.0
    """Largest norm of the whole gradient; 0 means no clipping."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: products under autocast, weights and sums in float32."""
    select: str | None = None
    """The validation metric that chooses the best model; the usual one of the task if not given."""
    seeds: Annotated[int, Range(1)] = 5
    """Runs that differ in new weights, dropout and order alone."""
    seed: Annotated[int, Range(0)] = 1
    """Of the first run; each further one has the next number."""

    def optimizer(self, updates: int) -> OptimizerSettings:
        """For a run of so many updates."""
        return OptimizerSettings(
            learning_rate=self.learning_rate,
            warmup=max(1, round(self.warmup_share * updates)),
            schedule="linear",
            beta_2=0.999,
            eps=1e-8,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
        )

    def settings(self, updates: int, select: str) -> TrainingSettings:
        """For a run of so many updates, one validation an epoch."""
        return TrainingSettings(
            max_updates=updates,
            precision=self.precision,
            validate_every=updates // self.epochs,
            select=select,
            patience=self.epochs,
            average=1,
            seed=self.seed,
        )

    def __post_init__(self) -> None:
        self.optimizer(1)


@dataclass(frozen=True, kw_only=True)
class FinetuneRun:
    """What every kind of fine-tuning has."""

    model: Annotated[str, POSITIONAL]
    """The encoder to start from: a model folder, or a name on the Hugging Face Hub."""
    data: Examples
    weights: FinetuneModel = field(default_factory=FinetuneModel)
    training: FinetuneTraining = field(default_factory=FinetuneTraining)


@dataclass(frozen=True, kw_only=True)
class ClassificationRun(FinetuneRun):
    """Labels of texts or pairs of texts."""

    columns: TextColumns = field(default_factory=TextColumns)

    def __post_init__(self) -> None:
        check_select(self.training, ("accuracy", "f1", "macro_f1", "matthews", "loss"))


@dataclass(frozen=True, kw_only=True)
class RegressionRun(FinetuneRun):
    """Values of texts or pairs of texts."""

    columns: TextColumns = field(default_factory=TextColumns)

    def __post_init__(self) -> None:
        check_select(self.training, ("spearman", "pearson", "loss"))


@dataclass(frozen=True, kw_only=True)
class TaggingRun(FinetuneRun):
    """Tags of words."""

    columns: TagColumns = field(default_factory=TagColumns)

    def __post_init__(self) -> None:
        check_select(self.training, ("f1", "precision", "recall", "accuracy", "loss"))


@dataclass(frozen=True, kw_only=True)
class AnswerRun(FinetuneRun):
    """Answers that stand in a context."""

    data: Windows

    def __post_init__(self) -> None:
        check_select(self.training, ("f1", "exact_match", "loss"))


def check_select(training: FinetuneTraining, metrics: tuple[str, ...]) -> None:
    """Raises ConfigError for a metric that the task does not have."""
    if training.select is not None and training.select not in metrics:
        raise ConfigError(f"select is {training.select!r}; there are {', '.join(metrics)}")
