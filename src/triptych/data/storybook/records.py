"""What a story says about itself.

Word indices count the words of `tokenize`: whatever white space divides, with the signs . , ? !
split off as words of their own.
"""

import re
from dataclasses import dataclass

WORD = re.compile(r"[^\s.,?!]+|[.,?!]")


def tokenize(text: str) -> tuple[str, ...]:
    """Words and punctuation marks in order; every index of a link or sense counts these."""
    return tuple(WORD.findall(text))


@dataclass(frozen=True)
class WordSense:
    """An ambiguous English word where it stands, and what it means there.

    `word` is the dictionary form, `sense` the German one; `german_form` is the form printed in
    this sentence, `alternatives` are all German forms of the word's other senses.
    """

    word: str
    english_index: int
    german_index: int
    sense: str
    german_form: str
    alternatives: tuple[str, ...]


@dataclass(frozen=True)
class StorySentence:
    """A sentence in both languages with everything that the grammar knows about it.

    `alignment` holds the sure links (English index, German index), `possible` the debatable
    ones; no link is in both. `log_prob` is the natural log of this sentence's probability given
    the sentences before it in its story.
    """

    english: str
    german: str
    alignment: tuple[tuple[int, int], ...]
    possible: tuple[tuple[int, int], ...]
    senses: tuple[WordSense, ...]
    log_prob: float

    @property
    def english_words(self) -> tuple[str, ...]:
        """The words that the English indices count."""
        return tokenize(self.english)

    @property
    def german_words(self) -> tuple[str, ...]:
        """The words that the German indices count."""
        return tokenize(self.german)


@dataclass(frozen=True)
class Story:
    """Sentences in their order; `log_prob` is exact and includes the decision to end there."""

    sentences: tuple[StorySentence, ...]
    log_prob: float

    @property
    def text(self) -> str:
        """The English story on one line."""
        return " ".join(sentence.english for sentence in self.sentences)

    @property
    def german_text(self) -> str:
        """The German story on one line."""
        return " ".join(sentence.german for sentence in self.sentences)
