"""Everything that the training of vectors of words needs to be repeated."""

from dataclasses import dataclass, field
from typing import Annotated

from triptych.config import Range
from triptych.predecessors.settings import GloveSettings, Word2VecSettings


@dataclass(frozen=True, kw_only=True)
class VectorsText:
    """Text, and which of its words get a vector."""

    text: tuple[str, ...]
    """Files, folders, JSONL or `hub:` names to learn from; no window reaches over a line's end."""
    text_field: str = "text"
    """The field of a JSON object that is its text."""
    min_count: Annotated[int, Range(1)] = 5
    """Words that occur less often are left out of the text."""
    vocab_size: Annotated[int, Range(2)] | None = None
    """Most words that stay, the most frequent ones; all if not given."""


@dataclass(frozen=True, kw_only=True)
class Word2VecRun:
    """One run of Word2Vec."""

    data: VectorsText
    training: Word2VecSettings = field(default_factory=Word2VecSettings)


@dataclass(frozen=True, kw_only=True)
class GloveRun:
    """One run of GloVe."""

    data: VectorsText
    training: GloveSettings = field(default_factory=GloveSettings)


Run = Word2VecRun | GloveRun
