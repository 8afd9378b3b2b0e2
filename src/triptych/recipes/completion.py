"""What `Generator` returns."""

from dataclasses import dataclass
from typing import Literal

from triptych.decoding.generate import StoppedBy


@dataclass(frozen=True)
class Completion:
    """What followed a prompt; the prompt is no part of it.

    `tokens`, `token_ids` and `logprobs` are of all that was drawn, the end-of-text token and those
    of a stop string included; `text` ends before either. `logprobs` are natural logarithms of the
    model's own probabilities, before temperature, penalties, bias and cuts: what `score` gives to
    the same tokens. They are none where they were not asked for. `stopped_by`: end (the end-of-text
    token), stop (a stop string), limit (max_new_tokens), context (the model's, which was full), or
    empty, for an empty line of a file.
    """

    text: str
    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]
    stopped_by: StoppedBy | Literal["empty"]
    token_ids: tuple[int, ...]

    @classmethod
    def empty(cls) -> "Completion":
        return cls("", (), (), "empty", ())

    @property
    def mean_logprob(self) -> float:
        """By which the best of several is chosen; 0 without log-probabilities."""
        return sum(self.logprobs) / len(self.logprobs) if self.logprobs else 0.0


@dataclass(frozen=True)
class TextScore:
    """What a model gives to a text that is already there: of each token, and their sum."""

    logprob: float
    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]
    token_ids: tuple[int, ...]
