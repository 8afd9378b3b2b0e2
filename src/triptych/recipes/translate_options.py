"""How to translate: the choices of a person, and those a model folder brings along."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from triptych.decoding.beam import BeamOptions
from triptych.decoding.penalties import PenaltyName
from triptych.errors import ModelFileError, UsageError

OnTooLong = Literal["refuse", "split"]


@dataclass(frozen=True, kw_only=True)
class TranslateOptions:
    """How to search for translations, and what to do with each line."""

    beam_size: int = 4
    """Beams of a sentence; 1 is greedy search."""
    n_best: int = 1
    """Candidates returned for a line, at most beam_size."""
    length_penalty: PenaltyName = "length"
    """By which a log-probability is divided: gnmt, length or none (`decoding/penalties.py`)."""
    alpha: float = 1.0
    """Exponent of the length penalty; more favors longer texts."""
    patience: float = 1.0
    """Texts that a sentence finishes before its search ends, as a multiple of beam_size."""
    max_new_tokens: int | None = None
    """Most tokens of a translation, its end included. By default twice those of the source, plus
    10, plus those of the prefix, and never more than the model's limit."""
    batch_tokens: int = 4096
    """Padded source tokens of a batch, counted once a beam. Speed and memory only."""
    split_sentences: str | None = None
    """Language (en, de) by whose rules each line is split into sentences first."""
    on_too_long: OnTooLong = "refuse"
    """A sentence longer than the model's limit: refuse it by its line number, or split it."""
    alignments: bool = False
    """Whether to align each translation with its source, word by word."""

    def __post_init__(self) -> None:
        self.beam_options()
        if self.on_too_long not in ("refuse", "split"):
            raise UsageError(f"on_too_long is {self.on_too_long!r}; choose refuse or split")
        for name in ("batch_tokens", "max_new_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; it must be at least 1")

    def beam_options(self) -> BeamOptions:
        """What the search is told. Texts may decode alike, so all beams are asked for if many."""
        return BeamOptions(
            beam_size=self.beam_size,
            n_best=self.beam_size if 1 < self.n_best <= self.beam_size else self.n_best,
            length_penalty=self.length_penalty,
            alpha=self.alpha,
            patience=self.patience,
        )


def options_from_generation(generation: Mapping[str, Any], place: str) -> TranslateOptions:
    """The options that a model's generation_config.json asks for; the rest as usual.

    `length_penalty` there is the exponent of the penalty called `length`. Raises
    ModelFileError for a value out of range.
    """
    beam_size, alpha = generation.get("num_beams", 4), generation.get("length_penalty", 1.0)
    if type(beam_size) is not int or not isinstance(alpha, int | float):
        raise ModelFileError(
            f"{place}: num_beams is {beam_size!r} and length_penalty {alpha!r}; both are numbers"
        )
    try:
        return TranslateOptions(beam_size=beam_size, alpha=float(alpha))
    except UsageError as error:
        raise ModelFileError(f"{place}: {error}") from error


def banned_from_generation(generation: Mapping[str, Any], place: str) -> tuple[int, ...]:
    """The ids in `bad_words_ids`. Raises ModelFileError for sequences of several tokens."""
    banned = []
    for sequence in generation.get("bad_words_ids") or []:
        if not isinstance(sequence, list) or len(sequence) != 1 or type(sequence[0]) is not int:
            raise ModelFileError(
                f"{place}: bad_words_ids has {sequence!r}; only single tokens can be banned"
            )
        banned.append(sequence[0])
    return tuple(banned)
