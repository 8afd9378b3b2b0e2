"""Train, valid and test, such that nothing held out was ever seen.

Sentences for translation are drawn two from a story, which spreads them over more stories than
reading each to its end would; equal sentences are kept once. So their distribution is not quite
the grammar's. The exact limit of a language model holds in expectation for unfiltered stories:
`story_split` filters nothing but whole stories that recur, and says which held-out sentences the
training stories do not contain.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from triptych.data.storybook.records import Story, StorySentence
from triptych.data.storybook.sampling import stories
from triptych.errors import UsageError

SENTENCES_A_STORY = 2


@dataclass(frozen=True)
class Split:
    """Lists of sentences; no English sentence occurs twice, in one list or in two."""

    train: list[StorySentence]
    valid: list[StorySentence]
    test: list[StorySentence]


@dataclass(frozen=True)
class StorySplit:
    """Lists of stories; no story of one list occurs in another."""

    train: list[Story]
    valid: list[Story]
    test: list[Story]

    @cached_property
    def train_sentences(self) -> frozenset[str]:
        """Every English sentence of the training stories."""
        return frozenset(s.english for story in self.train for s in story.sentences)

    def unseen(self, held_out: list[Story]) -> list[list[bool]]:
        """For each sentence of each story: does no training story contain it?"""
        seen = self.train_sentences
        return [[s.english not in seen for s in story.sentences] for story in held_out]

    def unseen_share(self, held_out: list[Story]) -> float:
        """The share of sentences that no training story contains; not a number without any."""
        flags = [flag for story in self.unseen(held_out) for flag in story]
        return sum(flags) / len(flags) if flags else float("nan")


def translation_split(
    seed: int = 1, n_train: int = 12_000, n_valid: int = 500, n_test: int = 1_000
) -> Split:
    """Distinct sentences in random order, cut in three. Raises UsageError for negative numbers."""
    require_counts(n_train, n_valid, n_test)
    sentences = distinct_sentences(seed)
    drawn = [next(sentences) for _ in range(n_train + n_valid + n_test)]
    random.Random(seed).shuffle(drawn)
    held_out = n_valid + n_test
    return Split(drawn[held_out:], drawn[:n_valid], drawn[n_valid:held_out])


def story_split(
    seed: int = 1, n_train: int = 20_000, n_valid: int = 500, n_test: int = 1_000
) -> StorySplit:
    """Stories as they are drawn; the held-out ones come first and do not recur in train.

    Raises UsageError for negative numbers.
    """
    require_counts(n_train, n_valid, n_test)
    source = stories(seed)
    valid = [next(source) for _ in range(n_valid)]
    known = {story.text for story in valid}
    test = take_new(source, known, n_test)
    known |= {story.text for story in test}
    return StorySplit(take_new(source, known, n_train), valid, test)


def take_new(source: Iterator[Story], known: set[str], count: int) -> list[Story]:
    """The next `count` stories whose text is not known."""
    new = (story for story in source if story.text not in known)
    return [next(new) for _ in range(count)]


def distinct_sentences(seed: int) -> Iterator[StorySentence]:
    """Without end: two sentences of each story, drawn at random, those seen before left out."""
    choose = random.Random(seed)
    seen: set[str] = set()
    for story in stories(seed):
        for sentence in choose.sample(story.sentences, SENTENCES_A_STORY):
            if sentence.english not in seen:
                seen.add(sentence.english)
                yield sentence


def require_counts(*counts: int) -> None:
    """Refuse negative numbers."""
    for count in counts:
        if count < 0:
            raise UsageError(f"a split of {count} cannot be made; give 0 or more")
