"""The last word of a passage, from all that stands before it: LAMBADA, Paperno et al. 2016.

A word is right where greedy decoding gives all its tokens; that it ends there is not asked. Many
guesses are words that could go on but not end the passage; Radford et al. 2019, §3.3, exclude stop
words, which is a filter on the guess. The list they used is not published; this one is Porter's
(NLTK's, without contractions and their pieces), and a token is barred from beginning the last word
where it is a space and a stop word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from triptych.evaluation.language_model import perplexity

PORTER = (
    "i me my myself we our ours ourselves you your yours yourself yourselves he him his himself "
    "she her hers herself it its itself they them their theirs themselves what which who whom "
    "this that these those am is are was were be been being have has had having do does did "
    "doing a an the and but if or because as until while of at by for with about against "
    "between into through during before after above below to from up down in out on off over "
    "under again further then once here there when where why how all any both each few more "
    "most other some such no nor not only own same so than too very can will just should now"
)
STOP_WORDS = frozenset(PORTER.split())


class LastWord(NamedTuple):
    """What a model makes of one last word."""

    log_prob: float
    is_greedy: bool
    """All its tokens are the likeliest."""
    is_greedy_filtered: bool
    """The same, where no stop word may begin the guess."""
    last_is_greedy: bool
    """Its last token is the likeliest, the others given."""


@dataclass(frozen=True)
class LastWordScores:
    """Of `n` passages."""

    n: int
    accuracy: float
    accuracy_stop_words: float
    """With the filter: no stop word as a guess."""
    accuracy_last_token: float
    """The last token alone, as some published figures have it."""
    perplexity: float
    """exp(mean −log p of the whole word)."""

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {
            "accuracy": self.accuracy,
            "accuracy_stop_words": self.accuracy_stop_words,
            "accuracy_last_token": self.accuracy_last_token,
            "perplexity": self.perplexity,
            "n": self.n,
        }


def score_last_words(found: Sequence[LastWord]) -> LastWordScores:
    """All figures at once."""
    n = len(found)
    return LastWordScores(
        n=n,
        accuracy=sum(word.is_greedy for word in found) / n,
        accuracy_stop_words=sum(word.is_greedy_filtered for word in found) / n,
        accuracy_last_token=sum(word.last_is_greedy for word in found) / n,
        perplexity=perplexity(-sum(word.log_prob for word in found), n),
    )


def cut_last_word(text: str) -> tuple[str, str]:
    """A text before its last word, and the word with the white space in front of it.

    Text without white space in it has no last word: what comes first is then empty.
    """
    text = text.rstrip()
    before = text[: len(text) - len(text.split()[-1])] if text else ""
    context = before.rstrip()
    return context, text[len(context) :]


def stop_word_ids(token_bytes: Sequence[bytes]) -> list[int]:
    """The ids of tokens that are a space and a stop word, in any case."""
    spaced = {b" " + word.encode() for word in STOP_WORDS}
    return [token_id for token_id, token in enumerate(token_bytes) if token.lower() in spaced]
