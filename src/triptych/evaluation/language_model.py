"""How well a text is predicted: per token, per word of the original, per byte.

A perplexity per token depends on the tokens: fewer, longer ones make it larger. Divided by what no
model chooses, the words or bytes of the original text, models of any tokenizer can be compared; so
Radford et al. 2019, §3.1, report every corpus of words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LARGEST = 700.0
"""e to a larger power is no float."""


@dataclass(frozen=True)
class TextSums:
    """Of a whole text, what its figures are made of."""

    nll: float
    """Σ −log p of the tokens predicted, nats."""
    n_tokens: int
    n_words: int
    """Of the original text, before any detokenizer."""
    n_bytes: int
    """Of the original text, in UTF-8."""

    @property
    def loss(self) -> float:
        """Nats a token."""
        return self.nll / self.n_tokens

    @property
    def perplexity(self) -> float:
        """exp(nats a token)."""
        return perplexity(self.nll, self.n_tokens)

    @property
    def word_perplexity(self) -> float:
        """exp(nats a word of the original)."""
        return perplexity(self.nll, self.n_words)

    @property
    def bits_per_byte(self) -> float:
        """log₂ of what is left to be told, for each byte."""
        return self.nll / math.log(2) / self.n_bytes

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {
            "perplexity": self.perplexity,
            "n": self.n_tokens,
            "word_perplexity": self.word_perplexity,
            "n_words": self.n_words,
            "bits_per_byte": self.bits_per_byte,
            "n_bytes": self.n_bytes,
            "loss": self.loss,
        }


def perplexity(nll: float, n: int) -> float:
    """exp(nll / n)."""
    return math.exp(min(nll / n, LARGEST))


def count_words(text: str, with_line_ends: bool) -> int:
    """Runs of anything but white space, and, if asked, each line end as one more: <eos>."""
    return len(text.split()) + (text.count("\n") if with_line_ends else 0)


def signature(choices: Sequence[tuple[str, object]]) -> str:
    """Every choice behind a figure in one line, in sacreBLEU's manner."""
    return "|".join(f"{name}:{value}" for name, value in choices)
