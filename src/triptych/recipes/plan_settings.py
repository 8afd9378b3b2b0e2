"""What a plan is asked for; read before torch is."""

from dataclasses import dataclass
from typing import Annotated, Literal

from triptych.config import POSITIONAL, Range


@dataclass(frozen=True, kw_only=True)
class PlanSettings:
    """A run that has not begun."""

    preset: Annotated[str, POSITIONAL]
    """As for training, with its family where several have it: gpt2-xl, bert-base, translation-big,
    gpt-nano."""
    gpus: Annotated[int, Range(0)] = 1
    """GPUs, each with its own rows; 0 means the CPU of one machine."""
    tokens: Annotated[float, Range(1)]
    """Tokens to train on, each time it is seen counted; of a translation, those of the target."""
    batch_size: Annotated[int, Range(1)] = 8
    """Rows that go through the model at once, on each GPU."""
    accumulate: Annotated[int, Range(1)] = 1
    """Such passes of a GPU in one update."""
    seq_len: Annotated[int | None, Range(2)] = None
    """Tokens of a row; the model's limit if not given, and 32 for a side of a translation."""
    vocab_size: Annotated[int | None, Range(2)] = None
    """Entries of the vocabulary; the paper's if not given."""
    dropout: Annotated[float | None, Range(0, 0.99)] = None
    """Of everything, in place of the preset's."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """bf16: products under autocast, weights and sums in float32."""
    activation_checkpointing: bool = False
    """Keep each block's input alone and compute the block again on the way back."""
    flops_per_second: Annotated[float | None, Range(1)] = None
    """Of one GPU at its best, as 989e12; what this machine reaches now if not given."""
    share: Annotated[float | None, Range(0.001, 1)] = None
    """How much of that training will reach, as its progress line tells; 0.4 if not given, and 0.3
    with activation checkpointing, whose second pass of the blocks is not counted as work."""
