"""Stories with a word left out, and what can stand there: exact, since the grammar is known.

The probability of a word given all the rest of the story is that of the story with the word over
the sum of those with every word. So the most probable word is the best that anyone can guess.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from triptych.data.storybook.grammar import start
from triptych.data.storybook.recognition import Begun, go_on, story_stages, texts
from triptych.data.storybook.records import WORD, Story
from triptych.data.storybook.sampling import STAGES, distinct_patterns


@dataclass(frozen=True)
class Blank:
    """A story, the number of a sentence in it, and the index of the word left out there."""

    story: Story
    sentence: int
    place: int

    @property
    def answer(self) -> str:
        """The word left out, as printed."""
        return self.story.sentences[self.sentence].english_words[self.place]

    @property
    def text_place(self) -> int:
        """The index of the word in the words of the whole story."""
        before = self.story.sentences[: self.sentence]
        return sum(len(s.english_words) for s in before) + self.place

    def filled(self, word: str) -> str:
        """The sentence with another word in the place."""
        sentence = self.story.sentences[self.sentence].english
        found = list(WORD.finditer(sentence))[self.place]
        return sentence[: found.start()] + word + sentence[found.end() :]


def draw_blanks(
    stories: Sequence[Story], usable: Sequence[Sequence[bool]], seed: int
) -> list[Blank]:
    """One blank a story, any word (no sign) of any of its usable sentences alike.

    `usable` has a flag for each sentence of each story; stories without any are passed over.
    """
    choose = random.Random(seed)
    blanks = []
    for story, flags in zip(stories, usable, strict=True):
        places = [
            Blank(story, number, place)
            for number, (sentence, flag) in enumerate(zip(story.sentences, flags, strict=True))
            for place, word in enumerate(sentence.english_words)
            if flag and word not in SIGNS
        ]
        if places:
            blanks.append(choose.choice(places))
    return blanks


def blank_probabilities(blank: Blank) -> dict[str, float]:
    """Each word that can stand in the blank with its probability given all the rest."""
    sentences = [sentence.english for sentence in blank.story.sentences]
    stages = story_stages(len(sentences))
    begun: list[Begun] = [(0.0, start())]
    for sentence, stage in zip(sentences[: blank.sentence], stages, strict=False):
        begun = go_on(begun, sentence, stage)
    found = {}
    for word in capitalized() if blank.place == 0 else vocabulary():
        ended = go_on(begun, blank.filled(word), stages[blank.sentence])
        for number in range(blank.sentence + 1, len(sentences)):
            ended = go_on(ended, sentences[number], stages[number])
        if ended:
            found[word] = math.fsum(math.exp(log_prob) for log_prob, _ in ended)
    whole = math.fsum(found.values())
    return {word: part / whole for word, part in found.items()}


SIGNS = frozenset(".,?!")


@cache
def vocabulary() -> tuple[str, ...]:
    """Every English word of the grammar as it stands within a sentence, sorted."""
    printed: set[str] = set()
    for stage in STAGES:
        for pattern in distinct_patterns(stage):
            for number, form, _ in pattern.outline.english:
                slot = pattern.outline.slots[number]
                literal = slot == "literals"
                printed |= {pattern.literals.english[form]} if literal else texts(slot, form)
    return tuple(sorted({word for text in printed for word in WORD.findall(text)} - SIGNS))


@cache
def capitalized() -> tuple[str, ...]:
    """The same words as they begin a sentence."""
    return tuple(sorted({word[:1].upper() + word[1:] for word in vocabulary()}))
